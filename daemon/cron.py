"""Five-field cron as people know it, for APScheduler, which counts the days of the week otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(\*|[0-7]|[a-z]{3})(?:-([0-7]|[a-z]{3}))?(?:/([1-7]))?")
_WEEK = 7


class BadSchedule(ValueError):
    """It is no five-field cron schedule."""


def trigger(cron: str, time_zone: str) -> BaseTrigger:
    """`0 9 * * 1-5` in `Europe/Berlin` -> nine in the morning there, Monday to Friday.

    APScheduler's own `from_crontab` reads `1-5` as Tuesday to Saturday, ignores the `#2` of `mon#2`, and asks for a
    13th that is a Friday where cron takes every 13th and every Friday.

    Raises:
        BadSchedule: a field is missing or not understood.
    """
    fields = cron.split()
    if len(fields) != 5:  # noqa: PLR2004 - five fields
        raise BadSchedule(f"A schedule has five fields, minute hour day month weekday; `{cron}` has {len(fields)}.")
    minute, hour, day, month, weekday = fields
    try:
        either = [(day, "*"), ("*", _weekdays(weekday))] if "*" not in {day, weekday} else [(day, _weekdays(weekday))]
        fires = [
            CronTrigger(minute=minute, hour=hour, day=on, month=month, day_of_week=weekdays, timezone=time_zone)
            for on, weekdays in either
        ]
        return fires[0] if len(fires) == 1 else OrTrigger(fires)
    except (ValueError, LookupError) as error:
        raise BadSchedule(f"`{cron}` in {time_zone} is no schedule: {error}") from error


def slot_before(fires: BaseTrigger, now: datetime, *, within: timedelta) -> datetime | None:
    """The last time that `fires` named up to `now`, in UTC; None where that is longer ago than `within`.

    A run that comes late belongs to the time it was meant for, so that a second daemon finds the slot taken. The hour
    that a clock shows twice in autumn has its slots once, at the first time.
    """
    slot: datetime | None = None
    at = (now - within).astimezone(UTC)
    while (following := fires.get_next_fire_time(None, at)) is not None and following <= now:
        # Onward in UTC: a second later by the wall clock may be an hour earlier, and would be found for ever.
        slot, at = following, following.astimezone(UTC) + timedelta(seconds=1)
    return slot.replace(fold=0).astimezone(UTC) if slot is not None else None


def _weekdays(field: str) -> str:
    if field in {"*", "?"}:
        return "*"
    days = sorted({day for part in field.lower().split(",") for day in _days_of(part)})
    return ",".join(_DAYS[day] for day in days)


def _days_of(part: str) -> list[int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"the weekday {part!r} is not understood")
    first, last, every = found.groups()
    if first == "*":
        days = list(range(_WEEK))
    elif last is None and every is None:
        days = [_day(first)]
    else:
        begin = _day(first)
        end = _day(last) if last is not None else _WEEK - 1
        whole_week = last == "7" and first in {"0", "sun"}
        days = [(begin + step) % _WEEK for step in range((_WEEK - 1 if whole_week else (end - begin) % _WEEK) + 1)]
    return days[:: int(every or 1)]


def _day(name: str) -> int:
    if name.isdigit():
        return int(name) % _WEEK  # both 0 and 7 are Sunday
    if name not in _DAYS:
        raise ValueError(f"there is no weekday {name!r}")
    return _DAYS.index(name)
