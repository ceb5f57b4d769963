from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slack.pacing import FORGET_ABOVE, IN_CHANNEL, IN_WORKSPACE, Bucket, Budget, Pacing, Rate

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NO_DELAY = timedelta(0)
SECOND = timedelta(seconds=1)


def calls_within(pacing: Pacing, channels: list[str], period: timedelta, budget: Budget = Budget.POST) -> int:
    """How many calls go out when each is made as soon as it may be, one channel after the other."""
    now, made = NOW, 0
    while True:
        channel = channels[made % len(channels)]
        now += pacing.delay_until(channel, now, budget)
        if now >= NOW + period:
            return made
        pacing.spend(channel, now, budget)
        made += 1


def test_a_channel_takes_a_burst_and_then_one_a_second() -> None:
    assert calls_within(Pacing(), ["C1"], 10 * SECOND) == IN_CHANNEL[Budget.POST].burst + 9


def test_a_busy_channel_does_not_delay_another() -> None:
    pacing = Pacing()

    for _ in range(5):
        pacing.spend("busy", NOW)

    assert pacing.delay_until("busy", NOW) > NO_DELAY
    assert pacing.delay_until("quiet", NOW) == NO_DELAY


def test_the_workspace_as_a_whole_has_its_limit() -> None:
    rate = IN_WORKSPACE[Budget.POST]

    assert calls_within(Pacing(), [f"C{number}" for number in range(500)], 60 * SECOND) == rate.burst + 199


@pytest.mark.parametrize(
    ("budget", "per_minute"), [(Budget.UPDATE, 50), (Budget.REACTION, 50), (Budget.REACTION_REMOVAL, 20)]
)
def test_a_tier_is_kept_in_the_long_run(budget: Budget, per_minute: int) -> None:
    hour = calls_within(Pacing(), ["C1"], timedelta(hours=1), budget)

    assert hour <= per_minute * 60 + IN_WORKSPACE[budget].burst


def test_receipts_never_hold_up_messages() -> None:
    pacing = Pacing()

    for _ in range(100):
        pacing.spend("C1", NOW, Budget.REACTION)

    assert pacing.delay_until("C1", NOW, Budget.REACTION) > NO_DELAY
    assert pacing.delay_until("C1", NOW, Budget.POST) == NO_DELAY


def test_a_pause_that_slack_asks_for_holds_every_channel_and_is_never_shortened() -> None:
    pacing = Pacing()

    pacing.pause(NOW + 30 * SECOND)
    pacing.pause(NOW + 5 * SECOND)

    assert pacing.delay_until("C1", NOW) == 30 * SECOND
    assert pacing.delay_until("C1", NOW, Budget.REACTION) == NO_DELAY
    assert pacing.delay_until("C1", NOW + 30 * SECOND) == NO_DELAY


def test_switched_off_it_delays_only_what_slack_asks_for() -> None:
    pacing = Pacing(switched_on=False)

    for _ in range(1000):
        pacing.spend("C1", NOW)
    assert pacing.delay_until("C1", NOW) == NO_DELAY

    pacing.pause(NOW + SECOND)
    assert pacing.delay_until("C1", NOW) == SECOND


def test_channels_at_rest_are_forgotten() -> None:
    pacing = Pacing()
    later = NOW + timedelta(hours=1)

    for number in range(FORGET_ABOVE + 1):
        pacing.spend(f"C{number}", NOW if number < FORGET_ABOVE else later)

    assert len(pacing._spent[Budget.POST].channels) == 1


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_than_the_burst_and_its_share(pauses: list[int], burst: int) -> None:
    bucket, now, taken = Bucket(Rate(SECOND, burst)), NOW, []
    for pause in pauses:
        now += timedelta(milliseconds=pause)
        now += bucket.delay(now)
        bucket.take(now)
        taken.append(now)

    for start in taken:
        for end in (one for one in taken if one >= start):
            inside = [one for one in taken if start <= one <= end]
            assert len(inside) <= burst + (end - start) / SECOND


def test_a_rate_without_a_call_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rate(SECOND, burst=0)
