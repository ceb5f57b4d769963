"""Schedules as people write them, against a reference that walks through the days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cron import BadSchedule, slot_before, trigger

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONDAY = date(2026, 3, 2)
AN_HOUR = timedelta(hours=1)


def weekdays_that_fire(field: str) -> set[str]:
    """The days of one week on which `0 9 * * FIELD` fires."""
    fires = trigger(f"0 9 * * {field}", "UTC")
    week = [MONDAY + timedelta(days=day) for day in range(7)]
    nines = [datetime(day.year, day.month, day.day, 9, tzinfo=UTC) for day in week]
    return {nine.strftime("%a").lower() for nine in nines if slot_before(fires, nine, within=AN_HOUR) == nine}


def meant_by(part: tuple[int, int | None, int]) -> set[str]:
    """Walk the week's circle from the first day to the last, as a person would with a finger."""
    first, last, every = part
    day, walked = first % 7, [first % 7]
    while last is not None and (day != last % 7 or (first == 0 and last == 7 and len(walked) < 7)):
        day = (day + 1) % 7
        if len(walked) == 7:
            break
        walked.append(day)
    return {DAYS[one] for one in walked[::every]}


def written(part: tuple[int, int | None, int]) -> str:
    first, last, every = part
    return f"{first}" if last is None else f"{first}-{last}" + (f"/{every}" if every > 1 else "")


day_numbers = st.integers(0, 7)
parts = st.tuples(day_numbers, st.none() | day_numbers, st.integers(1, 3))


@given(st.lists(parts, min_size=1, max_size=3))
def test_numbered_weekdays_are_cron_s_and_not_apscheduler_s(chosen: list[tuple[int, int | None, int]]) -> None:
    field = ",".join(written(part) for part in chosen)

    assert weekdays_that_fire(field) == set().union(*map(meant_by, chosen))


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", set(DAYS)),
        ("mon-fri", {"mon", "tue", "wed", "thu", "fri"}),
        ("FRI-MON", {"fri", "sat", "sun", "mon"}),
        ("*/2", {"sun", "tue", "thu", "sat"}),
        ("0-7", set(DAYS)),
        ("7-7", {"sun"}),
    ],
)
def test_weekdays_by_name_and_by_step(field: str, days: set[str]) -> None:
    assert weekdays_that_fire(field) == days


def test_a_day_of_the_month_and_a_weekday_mean_either() -> None:
    fires = trigger("0 9 15 * mon", "UTC")

    slots = [slot_before(fires, datetime(2026, 3, day, 9, tzinfo=UTC), within=AN_HOUR) for day in range(1, 32)]

    assert [slot.day for slot in slots if slot is not None] == [2, 9, 15, 16, 23, 30]


@pytest.mark.parametrize(
    "cron", ["", "0 9 * *", "0 9 * * * *", "0 9 * * mon#2", "0 9 * * 8", "61 9 * * *", "0 9 * * xyz"]
)
def test_what_is_no_schedule_is_refused_in_a_sentence(cron: str) -> None:
    with pytest.raises(BadSchedule, match="schedule"):
        trigger(cron, "UTC")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(BadSchedule, match="Mars/Olympus"):
        trigger("0 9 * * *", "Mars/Olympus")


def test_a_run_that_comes_late_belongs_to_its_slot_until_the_grace_is_over() -> None:
    fires = trigger("0 9 * * *", "Europe/Berlin")
    nine = datetime(2026, 7, 1, 7, tzinfo=UTC)
    grace = timedelta(minutes=10)

    assert slot_before(fires, nine, within=grace) == nine
    assert slot_before(fires, nine + timedelta(minutes=9), within=grace) == nine
    assert slot_before(fires, nine + timedelta(minutes=11), within=grace) is None
    assert slot_before(fires, nine - timedelta(seconds=1), within=grace) is None


def slots_of_the_night(cron: str, evening: datetime) -> list[datetime]:
    """Every slot that a daemon finds that looks each ten minutes for ten hours."""
    fires = trigger(cron, "Europe/Berlin")
    looks = [evening + timedelta(minutes=10 * look) for look in range(60)]
    found = [slot_before(fires, look, within=timedelta(minutes=15)) for look in looks]
    return sorted({slot for slot in found if slot is not None})


def test_the_hour_that_comes_twice_in_autumn_has_its_slot_once() -> None:
    slots = slots_of_the_night("30 2 * * *", datetime(2026, 10, 24, 20, tzinfo=UTC))

    assert slots == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_the_night_that_skips_an_hour_in_spring_keeps_the_hours_around_it() -> None:
    slots = slots_of_the_night("30 1,3 * * *", datetime(2026, 3, 28, 20, tzinfo=UTC))

    assert slots == [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds it
    st.integers(0, 59),
    st.integers(0, 23),
)
def test_a_slot_is_never_in_the_future_and_never_older_than_asked(now: datetime, minute: int, hour: int) -> None:
    within = timedelta(hours=26)

    slot = slot_before(trigger(f"{minute} {hour} * * *", "Europe/Berlin"), now, within=within)

    assert slot is None or now - within - AN_HOUR <= slot <= now
