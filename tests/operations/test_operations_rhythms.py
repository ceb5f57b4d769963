"""What is learned from silences: pure arithmetic, without a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.rhythms import ENOUGH, LONGEST, SHORTEST, Silence, default, hour_of_week, learn

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
YEAR = timedelta(days=365)


def silence(began: datetime, **length: float) -> Silence:
    return Silence(began, began + timedelta(**length))


def nights(count: int) -> list[Silence]:
    """From six in the evening until eight."""
    return [silence(MONDAY + timedelta(days=day, hours=18), hours=14) for day in range(count)]


@pytest.mark.parametrize(
    ("at", "hour"),
    [(MONDAY, 0), (MONDAY + timedelta(hours=5, minutes=59), 5), (MONDAY - timedelta(minutes=1), 167)],
)
def test_the_week_begins_on_monday_in_utc(at: datetime, hour: int) -> None:
    assert hour_of_week(at) == hour


def test_an_hour_of_the_clock_elsewhere_is_the_same_hour() -> None:
    berlin = datetime.fromisoformat("2026-11-02T01:30:00+01:00")

    assert hour_of_week(berlin) == 0


def test_an_hour_in_which_messages_come_all_the_time_knows_short_silences_only() -> None:
    rhythm = learn({9: 500}, [silence(MONDAY + timedelta(hours=9), minutes=40)], age=YEAR)

    assert rhythm["9"] == SHORTEST.total_seconds()


def test_one_in_a_hundred_is_unusual_and_two_are_not() -> None:
    long = [silence(MONDAY + timedelta(days=7 * week, hours=9), minutes=40) for week in range(2)]

    assert learn({9: 99}, long[:1], age=YEAR)["9"] == SHORTEST.total_seconds()
    assert learn({9: 98}, long, age=YEAR)["9"] == timedelta(minutes=40).total_seconds()


def test_a_silence_counts_in_every_hour_that_it_covers() -> None:
    assert silence(MONDAY + timedelta(hours=18, minutes=50), hours=2).hours == {18, 19, 20}
    assert silence(MONDAY - timedelta(minutes=30), hours=1).hours == {167, 0}
    assert len(silence(MONDAY, days=30).hours) == 7 * 24


def test_a_night_is_usual_on_every_day_though_each_day_has_few() -> None:
    rhythm = learn({hour: 50 for day in range(7) for hour in range(day * 24 + 8, day * 24 + 18)}, nights(28), age=YEAR)

    assert rhythm["3"] == timedelta(hours=14).total_seconds()
    assert rhythm["12"] == SHORTEST.total_seconds()


def test_an_hour_with_few_silences_takes_those_of_the_hours_beside_it() -> None:
    rhythm = learn({8: ENOUGH, 9: ENOUGH - 1}, [], age=YEAR)

    assert rhythm["9"] == SHORTEST.total_seconds()
    assert rhythm["11"] == default(YEAR).total_seconds()


@pytest.mark.parametrize(
    ("age", "usual"),
    [
        (timedelta(minutes=1), timedelta(hours=1)),
        (timedelta(hours=12), timedelta(hours=3)),
        (timedelta(days=3), timedelta(hours=18)),
        (YEAR, timedelta(hours=24)),
    ],
)
def test_of_a_session_that_told_little_a_quarter_of_its_age_is_usual(age: timedelta, usual: timedelta) -> None:
    assert default(age) == usual
    assert set(learn({}, [], age=age).values()) == {usual.total_seconds()}


@given(
    short=st.dictionaries(st.integers(0, 167), st.integers(0, 300)),
    long=st.lists(st.tuples(st.integers(0, 27 * 24 * 60), st.integers(3, 4 * 24 * 60)), max_size=60),
)
def test_every_hour_has_a_bounded_answer(short: dict[int, int], long: list[tuple[int, int]]) -> None:
    silences = [silence(MONDAY + timedelta(minutes=began), minutes=length) for began, length in long]

    rhythm = learn(short, silences, age=YEAR)

    assert set(rhythm) == {str(hour) for hour in range(168)}
    assert all(SHORTEST.total_seconds() <= seconds <= LONGEST.total_seconds() for seconds in rhythm.values())
