"""Five-field cron as people know it, for APScheduler, which counts the days of the week otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from operations.errors import BadInput
from operations.schedule_times import WEEKDAYS, Schedule


class BadSchedule(ValueError):
    """It is no five-field cron schedule."""


def trigger(cron: str, time_zone: str) -> BaseTrigger:
    """`0 9 * * 1-5` in `Europe/Berlin` -> nine in the morning there, Monday to Friday.

    APScheduler's own `from_crontab` reads `1-5` as Tuesday to Saturday, ignores the `#2` of `mon#2`, asks for a
    13th that is a Friday where cron takes every 13th and every Friday, and refuses `1-3/5`. So it is given numbers.

    Raises:
        BadSchedule: a field is missing or not understood.
    """
    try:
        schedule = Schedule.of(cron)
        weekdays = _listed(WEEKDAYS[day] for day in sorted(schedule.weekdays))
        dates = _listed(sorted(schedule.days))
        either = [(dates, "*"), ("*", weekdays)] if schedule.takes_either else [(dates, weekdays)]
        fires = [
            CronTrigger(
                minute=_listed(sorted(schedule.minutes)),
                hour=_listed(sorted(schedule.hours)),
                day=on,
                month=_listed(sorted(schedule.months)),
                day_of_week=weekday,
                timezone=time_zone,
            )
            for on, weekday in either
        ]
        return fires[0] if len(fires) == 1 else OrTrigger(fires)
    except BadInput as error:
        raise BadSchedule(f"`{cron}` is no schedule: {error.sentence}") from error
    except (ValueError, LookupError) as error:
        raise BadSchedule(f"`{cron}` in {time_zone} is no schedule: {error}") from error


def _listed(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
