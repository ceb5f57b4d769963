"""Schedules as people write them, against a reference that walks through the days; what APScheduler makes of them, and
what `operations.schedule_times` does, which asks nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cron import BadSchedule, trigger
from daemon.scheduler import READ_EVERY_SECONDS, due_slot
from operations import reports
from operations.errors import BadInput
from operations.schedule_times import Schedule, following, latest

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONDAY = date(2026, 3, 2)
AN_HOUR = timedelta(hours=1)
A_READING = timedelta(seconds=READ_EVERY_SECONDS)
BERLIN = "Europe/Berlin"


def fired(cron: str, time_zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """The times after `begin` up to `end` that APScheduler names; of an hour that comes twice, at the first of both."""
    fires, at, found = trigger(cron, time_zone), begin, set()
    while (time := fires.get_next_fire_time(None, at + timedelta(microseconds=1))) is not None:
        # Onward in UTC: a second later by the wall clock may be an hour earlier, and would be found for ever.
        at = time.astimezone(UTC)
        if at > end:
            break
        found.add(time.replace(fold=0).astimezone(UTC))
    return sorted(slot for slot in found if begin < slot <= end)


def woken(cron: str, time_zone: str, begin: datetime, end: datetime) -> set[datetime]:
    """When APScheduler calls: each time by its own reckoning from the one before, which leaves some out."""
    fires, found, at = trigger(cron, time_zone), set(), begin
    before: datetime | None = None
    while (time := fires.get_next_fire_time(before, at)) is not None and (at := time.astimezone(UTC)) <= end:
        if at in found:
            break
        before = time
        found.add(at)
    return found


def posted(cron: str, time_zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """What a scheduler posts for that APScheduler calls and that reads the schedules half a minute after each time."""
    schedule = reports.Schedule(uuid4(), uuid4(), cron, time_zone, begin + timedelta(microseconds=1))
    readings = {slot + A_READING for slot in following_until(cron, time_zone, begin, end)}
    found: list[datetime] = []
    for now in sorted(woken(cron, time_zone, begin, end) | readings):
        slot = due_slot(replace(schedule, last_slot=max(found, default=None)), now)
        found += [slot] if slot is not None else []
    return found


def following_until(cron: str, time_zone: str, begin: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda time: time <= end, following(cron, time_zone, begin)))


def weekdays_that_fire(field: str) -> set[str]:
    """The days of one week on which `0 9 * * FIELD` fires."""
    monday = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC)
    fires = fired(f"0 9 * * {field}", "UTC", monday, monday + timedelta(days=7))
    on_days = {day for day in range(7) if Schedule.of(f"0 9 * * {field}").is_on(MONDAY + timedelta(days=day))}
    assert {nine.weekday() for nine in fires} == on_days
    return {nine.strftime("%a").lower() for nine in fires}


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
    begin, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)

    times = list(takewhile(lambda time: time < end, following("0 9 15 * mon", "UTC", begin)))

    assert [time.day for time in times] == [2, 9, 15, 16, 23, 30]
    assert fired("0 9 15 * mon", "UTC", begin, end) == times


@pytest.mark.parametrize(
    "cron", ["", "0 9 * *", "0 9 * * * *", "0 9 * * mon#2", "0 9 * * 8", "61 9 * * *", "0 9 * * xyz"]
)
def test_what_is_no_schedule_is_refused_in_a_sentence(cron: str) -> None:
    with pytest.raises(BadSchedule, match="schedule"):
        trigger(cron, "UTC")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(BadSchedule, match="Mars/Olympus"):
        trigger("0 9 * * *", "Mars/Olympus")


def test_a_time_that_is_past_is_found_however_late_one_looks() -> None:
    nine = datetime(2026, 7, 1, 7, tzinfo=UTC)
    found = {late: latest("0 9 * * *", BERLIN, nine + late) for late in (timedelta(0), AN_HOUR, timedelta(hours=23))}

    assert set(found.values()) == {nine}
    assert latest("0 9 * * *", BERLIN, nine - timedelta(seconds=1)) == nine - timedelta(days=1)
    assert latest("0 9 29 2 *", BERLIN, datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2024, 2, 29, 8, tzinfo=UTC)
    assert latest("0 9 31 2 *", BERLIN, nine) is None


def of_the_night(cron: str, evening: datetime) -> list[datetime]:
    times = following(cron, BERLIN, evening)
    return list(takewhile(lambda time: time < evening + timedelta(hours=12), times))


def test_the_hour_that_comes_twice_in_autumn_has_its_times_once() -> None:
    evening = datetime(2026, 10, 24, 20, tzinfo=UTC)

    assert of_the_night("30 2 * * *", evening) == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    # Each hour of that night but the second two o'clock.
    assert [time.hour for time in of_the_night("0 * * * *", evening)] == [21, 22, 23, 0, 2, 3, 4, 5, 6, 7]


def test_a_time_that_the_clock_skips_in_spring_comes_an_hour_later_and_never_twice() -> None:
    evening = datetime(2026, 3, 28, 20, tzinfo=UTC)
    half_past_three = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    assert of_the_night("30 2 * * *", evening) == [half_past_three]
    assert f"{half_past_three.astimezone(ZoneInfo(BERLIN)):%H:%M}" == "03:30"
    assert of_the_night("30 1,2,3 * * *", evening) == [half_past_three - AN_HOUR, half_past_three]


def field_of(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    some = st.lists(number, min_size=1, max_size=3).map(lambda found: ",".join(map(str, found)))
    spans = st.tuples(number, number, st.integers(1, 4)).map(lambda one: f"{min(one[:2])}-{max(one[:2])}/{one[2]}")
    return st.sampled_from(["*", "*/2", "*/5"]) | some | spans | number.map(lambda one: f"{one}/3")


crons = st.tuples(
    st.lists(st.integers(0, 59), min_size=1, max_size=3).map(lambda found: ",".join(map(str, found))),
    field_of(0, 23),
    field_of(1, 31),
    st.sampled_from(["*", "1-6", "jan-dec", "3,10"]),
    st.sampled_from(["*", "1-5", "fri-mon", "0,7", "*/2", "6", "2-5/2"]),
).map(" ".join)
# Zones with whole, half and odd hours, with clocks that change at midnight, by half an hour, or never.
zones = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut"]
)
days_of_change = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 9, 6), date(2026, 10, 25)]
days = st.sampled_from(days_of_change) | st.dates(date(2026, 1, 1), date(2027, 12, 31))


@settings(deadline=None, max_examples=60)
@given(crons, zones, days, st.integers(0, 24 * 60))
def test_times_are_those_at_which_apscheduler_fires(cron: str, time_zone: str, day: date, minutes: int) -> None:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=minutes)
    end = begin + timedelta(days=2)

    times = following_until(cron, time_zone, begin, end)

    # It names a skipped hour's times once the clock has come to them, which may be after the end: seen from outside.
    slots = fired(cron, time_zone, begin - timedelta(days=1), end + timedelta(days=1))
    assert times == [slot for slot in slots if begin < slot <= end]


@settings(deadline=None, max_examples=60)
@given(crons, zones, days, st.integers(0, 24 * 60))
def test_every_time_is_posted_for_once(cron: str, time_zone: str, day: date, minutes: int) -> None:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(minutes=minutes)
    end = begin + timedelta(days=2)

    assert posted(cron, time_zone, begin, end) == following_until(cron, time_zone, begin, end)


@pytest.mark.parametrize(
    ("cron", "time_zone", "night"),
    [
        ("0 0 * * *", "America/Santiago", date(2026, 9, 6)),
        ("30 0 * * *", "America/Santiago", date(2026, 9, 6)),
        ("30 0 * * *", "Africa/Cairo", date(2027, 4, 30)),
        ("15 0 * * *", "Asia/Beirut", date(2027, 3, 28)),
    ],
)
def test_a_day_that_apscheduler_leaves_out_is_found_by_reading(cron: str, time_zone: str, night: date) -> None:
    begin = datetime(night.year, night.month, night.day, tzinfo=UTC) - timedelta(days=1, hours=12)
    end = begin + timedelta(days=3)

    times = following_until(cron, time_zone, begin, end)

    assert len(times) == 3
    assert len(woken(cron, time_zone, begin, end)) == 2
    assert posted(cron, time_zone, begin, end) == times


@settings(deadline=None)
@given(crons, zones, days, st.integers(0, 24 * 60))
def test_looking_back_finds_what_looking_ahead_found(cron: str, time_zone: str, day: date, minutes: int) -> None:
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)

    slot = latest(cron, time_zone, now)

    if slot is not None:
        assert slot <= now
        assert next(following(cron, time_zone, slot - timedelta(seconds=1))) == slot
        assert next(following(cron, time_zone, slot), now + AN_HOUR) > now


@pytest.mark.parametrize(
    "cron", ["0 9 * *", "0 24 * * *", "0 9 0 * *", "0 9 * 13 *", "0 9 5-2 * *", "*/0 9 * * *", "a"]
)
def test_what_no_clock_ever_shows_is_refused_with_what_would_be_right(cron: str) -> None:
    with pytest.raises(BadInput, match=r"such as|write the smaller"):
        Schedule.of(cron)
