"""The maths of pacing, for whatever time, text and clock."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations import sending_pace as pace

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Auckland"]).map(ZoneInfo)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)).map(lambda found: found.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware
CLOCKS = st.times().map(lambda found: found.replace(second=0, microsecond=0))
CHANCES = st.integers().map(random.Random)


@given(st.text(max_size=2000), CHANCES)
def test_typing_takes_as_long_as_a_person_and_never_longer_than_five_seconds(text: str, chance: random.Random) -> None:
    assert pace.SHORTEST_TYPING <= pace.typing_time(text, chance) <= pace.LONGEST_TYPING


def test_a_longer_text_is_typed_longer_and_the_same_text_never_exactly_as_long() -> None:
    chance = random.Random(7)  # noqa: S311 - no secret

    short, long, again = (pace.typing_time("x" * length, chance) for length in (30, 90, 90))

    assert short < long
    assert long != again


@given(st.floats(1, 4), CHANCES)
def test_a_pause_grows_with_how_much_sending_is_slowed(slow_factor: float, chance: random.Random) -> None:
    new, reply = (draw(slow_factor, chance) for draw in (pace.pause_before_next_contact, pace.pause_between_replies))

    assert 30 * slow_factor - 0.001 <= new.total_seconds() <= 60 * slow_factor + 0.001
    assert 0.5 * slow_factor - 0.001 <= reply.total_seconds() <= 2 * slow_factor + 0.001


@given(st.floats(-3, 1), CHANCES)
def test_nothing_makes_a_pause_shorter_than_the_advice(slow_factor: float, chance: random.Random) -> None:
    assert pace.pause_before_next_contact(slow_factor, chance) >= pace.BETWEEN_NEW_CONTACTS[0]


@given(MOMENTS, ZONES)
def test_a_moment_lies_in_its_day_and_a_day_has_23_to_25_hours(now: datetime, zone: ZoneInfo) -> None:
    begins, ends = pace.day_of(now, zone)

    assert begins <= now < ends
    assert timedelta(hours=23) <= ends - begins <= timedelta(hours=25)


@given(MOMENTS, ZONES, CLOCKS, CLOCKS)
def test_quiet_hours_hold_what_is_in_them_and_end_outside_of_them(
    now: datetime, zone: ZoneInfo, begins: time, ends: time
) -> None:
    quiet = pace.quiet_since_until(now, zone, begins, ends)
    free = pace.next_free(now, zone, begins, ends)

    if quiet is None:
        assert free == now
    else:
        assert quiet[0] <= now < quiet[1] == free
        assert quiet[1] - quiet[0] <= timedelta(hours=25)
        assert pace.quiet_since_until(free, zone, begins, ends) is None


@pytest.mark.parametrize(
    ("begins", "ends", "morning"),
    [
        (None, None, "2026-01-11T07:00+00:00"),
        (time(22), time(6), "2026-01-11T05:00+00:00"),
        (time(12), time(13), "2026-01-11T07:00+00:00"),
        (time(1), time(9, 30), "2026-01-11T08:30+00:00"),
    ],
)
def test_a_day_begins_when_its_quiet_hours_end_and_never_at_midnight(
    begins: time | None, ends: time | None, morning: str
) -> None:
    midnight = datetime.fromisoformat("2026-01-10T23:00+00:00")  # in Berlin

    assert pace.morning_of(midnight, BERLIN, begins, ends) == datetime.fromisoformat(morning)


@given(MOMENTS, CLOCKS, CLOCKS)
def test_where_the_clock_never_changes_quiet_is_what_the_wall_says(now: datetime, begins: time, ends: time) -> None:
    wall = now.time()
    is_quiet = begins <= wall < ends if begins <= ends else (wall >= begins or wall < ends)

    assert (pace.quiet_since_until(now, ZoneInfo("UTC"), begins, ends) is not None) == (is_quiet and begins != ends)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-10T21:30+00:00", "2026-01-11T06:00+00:00"),  # 22:30 in Berlin
        ("2026-01-11T05:59+00:00", "2026-01-11T06:00+00:00"),
        ("2026-03-28T23:00+00:00", "2026-03-29T05:00+00:00"),  # the night that loses an hour
        ("2026-10-24T22:00+00:00", "2026-10-25T06:00+00:00"),  # and the one that has it twice
        ("2026-01-11T06:00+00:00", None),
        ("2026-01-10T20:59+00:00", None),
    ],
)
def test_a_night_in_berlin_ends_at_seven_also_when_the_clock_changes(now: str, until: str | None) -> None:
    quiet = pace.quiet_since_until(datetime.fromisoformat(now), BERLIN, time(22), time(7))

    assert (quiet[1] if quiet else None) == (datetime.fromisoformat(until) if until else None)
