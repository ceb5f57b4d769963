"""When a five-field schedule comes due, by the clock on the wall of a time zone; no clock is asked here.

The hour that a clock shows twice in autumn has its times once, at the first of both. A time that the clock skips in
spring comes as much later as the clock is put forward: 02:30 at 03:30.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from operations.errors import BadInput
from slack.mrkdwn import escape

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_ANY = "*"
_PART = re.compile(r"(\*|[0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?")
_A_DAY = timedelta(days=1)
# A leap day on a weekday of its own comes each 28 years, but a schedule takes either: 8 years, over a year like 2100.
_LOOKS_FOR = 8 * 366


@dataclass(frozen=True)
class Field:
    """One of the five: what it is called, and the numbers that it may have."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    such_as: str = ""


FIELDS = (
    Field("minute", 0, 59, such_as="0"),
    Field("hour", 0, 23, such_as="9"),
    Field("day of the month", 1, 31, such_as="1"),
    Field("month", 1, 12, MONTHS, such_as="*"),
    Field("weekday", 0, 7, WEEKDAYS, such_as="1-5"),
)


@dataclass(frozen=True)
class Schedule:
    """Five fields as the numbers that they name; Sunday is 0. A day of the month and a weekday mean either."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    takes_either: bool

    @classmethod
    def of(cls, cron: str) -> Schedule:
        """`0 9 * * 1-5`.

        Raises:
            BadInput: with the field that is not understood, and what would be.
        """
        fields = cron.lower().split()
        if len(fields) != len(FIELDS):
            raise BadInput(
                f"Five fields are needed, minute, hour, day of the month, month and weekday, such as `0 9 * * 1-5`; "
                f"`{escape(cron)}` has {len(fields)}."
            )
        minutes, hours, days, months, weekdays = (
            _numbers(field, typed) for field, typed in zip(FIELDS, fields, strict=True)
        )
        either = _ANY not in {fields[2], fields[4]}
        return cls(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)

    def is_on(self, day: date) -> bool:
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        chosen = by_date or by_weekday if self.takes_either else by_date and by_weekday
        return chosen and day.month in self.months

    def on(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """Its times of a day, in UTC and in their order."""
        if not self.is_on(day):
            return []
        clocks = (
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            for hour in self.hours
            for minute in self.minutes
        )
        return sorted({clock.astimezone(UTC) for clock in clocks})


def following(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The times after one, in UTC and in their order; it ends where none comes within years."""
    schedule, zone = Schedule.of(cron), ZoneInfo(time_zone)
    # What the clock skips before midnight falls into the next day.
    first = after.astimezone(zone).date() - _A_DAY
    for number in range(_LOOKS_FOR):
        yield from (time for time in schedule.on(first + number * _A_DAY, zone) if time > after)


def latest(cron: str, time_zone: str, until: datetime) -> datetime | None:
    """The last time up to and including that one, in UTC."""
    schedule, zone = Schedule.of(cron), ZoneInfo(time_zone)
    last = until.astimezone(zone).date()
    for number in range(_LOOKS_FOR):
        if times := [time for time in schedule.on(last - number * _A_DAY, zone) if time <= until]:
            return times[-1]
    return None


def _numbers(field: Field, typed: str) -> frozenset[int]:
    return frozenset(number for part in typed.split(",") for number in _numbers_of(field, part))


def _numbers_of(field: Field, part: str) -> list[int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise _not_understood(field, part)
    begin, end, every = found.groups()
    step = int(every or 1)
    if step == 0 or (begin == _ANY and end is not None):
        raise _not_understood(field, part)
    if begin == _ANY:
        # Sunday has two numbers, and counts once.
        return list(range(field.least, min(field.most, 6) + 1 if field.names == WEEKDAYS else field.most + 1, step))
    first = _number(field, begin)
    if end is None:
        return list(range(first, (_last(field) if every else first) + 1, step))
    last = _number(field, end)
    if first <= last:
        return list(range(first, last + 1, step))
    if field.names == WEEKDAYS:  # friday to monday
        return [day % 7 for day in range(first, last + 8, step)]
    raise BadInput(f"The {field.name} `{escape(part)}` ends before it begins; write the smaller number first.")


def _last(field: Field) -> int:
    return 6 if field.names == WEEKDAYS else field.most


def _number(field: Field, typed: str) -> int:
    if typed in field.names:
        return field.names.index(typed) + field.least
    if not typed.isdigit() or not field.least <= int(typed) <= field.most:
        raise _not_understood(field, typed)
    return int(typed)


def _not_understood(field: Field, typed: str) -> BadInput:
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return BadInput(
        f"`{escape(typed)}` is no {field.name}: it is {field.least} to {field.most}{names}, several with commas, "
        f"such as `{field.such_as}`."
    )
