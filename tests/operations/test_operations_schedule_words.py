"""When a report comes, as people say it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import BadInput
from operations.schedule_times import following
from operations.schedule_words import EXAMPLES, understood

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "cron"),
    [
        ("every day 09:00", "0 9 * * *"),
        ("every weekday 09:00", "0 9 * * 1-5"),
        ("Every  Weekday at 9:00", "0 9 * * 1-5"),
        ("every weekend 10:15", "15 10 * * 0,6"),
        ("every monday,thursday 08:00", "0 8 * * 1,4"),
        ("every Mon and Fri 9", "0 9 * * 1,5"),
        ("every weekday,sunday 9pm", "0 21 * * 0,1,2,3,4,5"),
        ("every monday-friday 09:00", "0 9 * * 1,2,3,4,5"),
        ("every fri to mon 09:00", "0 9 * * 0,1,5,6"),
        ("on tuesdays 12:30 am", "30 0 * * 2"),
        ("every hour", "0 * * * *"),
        ("every hour :30", "30 * * * *"),
        ("first of the month 08:00", "0 8 1 * *"),
        ("15th of each month 7:05", "5 7 15 * *"),
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("0 9 * * MON-FRI", "0 9 * * mon-fri"),
        ("0 */2 ? * *", "0 */2 * * *"),
    ],
)
def test_words_become_five_fields(said: str, cron: str) -> None:
    assert understood(said).cron == cron


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("every wekday 09:00", "Did you mean `weekday`?"),
        ("every monday,tusday 09:00", "Did you mean `tuesday`?"),
        ("every weekday", "such as `every weekday 09:00`"),
        ("every day 25:00", "write it as `09:00`"),
        ("every day 13pm", "write it as `09:00`"),
        ("every hour :75", "`every hour :30`"),
        ("every hour at 10:30", "Do you mean `every day 10:30` or `every hour :30`?"),
        ("every 2 hours", "For every 2 hours write `0 */2 * * *`."),
        ("every second hour", "For every 2 hours write `0 */2 * * *`."),
        ("every 48 hours", "Write `every hour`, or `every day 09:00`."),
        ("every week 9:00", "Write it as `every monday 09:00`."),
        ("every day 9:00 and 17:00", "Give one time, such as `every day 9:00`, and schedule another"),
        ("every weekday 9:00,17:00", "Give one time, such as `every weekday 9:00`, and schedule another"),
        ("every monday-hour 9:00", "`monday-hour` is no day."),
        ("mondays 09:00", "Did you mean `every monday,thursday 08:00`?"),
        ("31st of the month 08:00", "`first of the month 08:00`"),
        ("soon", "`every weekday 09:00`"),
        ("* * * * *", "at most once an hour"),
        ("0,30 9 * * *", "at most once an hour"),
        ("61 9 * * *", "`61` is no minute"),
        ("0 9 * *", "has 4"),
        ("", "`every weekday 09:00`"),
        ("every <!channel> 09:00", "`&lt;!channel&gt;` is no day"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_would_be_right(said: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        understood(said)

    assert sentence in refused.value.sentence


def test_every_example_is_understood() -> None:
    assert len({understood(example).cron for example in EXAMPLES}) == len(EXAMPLES)


@given(st.sets(st.sampled_from(DAYS), min_size=1), st.integers(0, 23), st.integers(0, 59))
def test_a_day_and_a_time_come_when_they_were_said(chosen: set[str], hour: int, minute: int) -> None:
    said = f"every {','.join(sorted(chosen))} {hour:02}:{minute:02}"

    times = [time.astimezone(ZoneInfo("Asia/Kolkata")) for time in islice(_times(said), 14)]

    assert {f"{time:%A}".lower() for time in times} == chosen
    assert {(time.hour, time.minute) for time in times} == {(hour, minute)}
    assert times[-1] - times[0] < timedelta(days=14 * 7 / len(chosen) + 7)


def _times(said: str) -> Iterator[datetime]:
    return following(understood(said).cron, "Asia/Kolkata", BEGIN)


@given(st.text())
def test_whatever_is_typed_is_understood_or_refused_in_a_sentence(said: str) -> None:
    try:
        cron = understood(said).cron
    except BadInput:
        return

    assert len(cron.split()) == 5
