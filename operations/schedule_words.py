"""When a report comes, as people say it: `every weekday 09:00`, as five-field cron."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from operations.errors import BadInput
from operations.schedule_times import FIELDS, Schedule
from slack.mrkdwn import escape

EXAMPLES = (
    "every weekday 09:00",
    "every day 18:30",
    "every monday,thursday 08:00",
    "every hour",
    "first of the month 08:00",
)

_DAYS = {"sunday": 0, "monday": 1, "tuesday": 2, "wednesday": 3, "thursday": 4, "friday": 5, "saturday": 6}
_SETS = {"day": "*", "weekday": "1-5", "workday": "1-5", "weekend": "0,6"}
_EVERY = re.compile(r"(?:every|each|on)\s+(?P<days>\S.*?)(?:\s+(?:at\s+)?(?P<time>\d[^\s]*(?:\s*[ap]\.?m\.?)?))?")
_OF_THE_MONTH = re.compile(
    r"(?:every|each|on)?\s*(?:the\s+)?(?P<day>first|\d{1,2}(?:st|nd|rd|th)?)"
    r"(?:\s+day)?\s+of\s+(?:the|each|every)\s+month"
    r"(?:\s+(?:at\s+)?(?P<time>\d[^\s]*(?:\s*[ap]\.?m\.?)?))?"
)
_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*([ap])?\.?(?:m\.?)?")
_HOURLY = re.compile(r"(?:every|each)\s+hour(?:\s+(?:at\s+)?(?P<hour>\d{1,2})?:(?P<minute>\d{2}))?")
_HOURS_APART = re.compile(r"(?:every|each)\s+(?P<hours>\d{1,2}|two|second|other|three|third)(?:nd|rd|th)?\s+hours?\b.*")
_SEVERAL_TIMES = re.compile(r"(?P<first>.+?\s+(?:at\s+)?\d[^\s,]*)(?:\s*,\s*|\s+and\s+)(?:at\s+)?\d(?!.* of ).*")
_BETWEEN = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_RANGE = re.compile(r"(?P<first>[a-z]+)\s*(?:-|\u2013|\bto\b|\buntil\b)\s*(?P<last>[a-z]+)")
_AS_NUMBER = {"two": 2, "second": 2, "other": 2, "three": 3, "third": 3}
_NOON, _MIDNIGHT_AGAIN, _MINUTES = 12, 24, 60
# There is none of the later ones in each month.
_LAST_OF_EACH_MONTH = 28


@dataclass(frozen=True)
class Words:
    """What was said, and the five fields that it means."""

    said: str
    cron: str


def understood(typed: str) -> Words:
    """`every weekday 09:00` -> `0 9 * * 1-5`; five fields stay as they are.

    Raises:
        BadInput: with what is not understood, and what would be right.
    """
    said = " ".join(typed.lower().split())
    cron = said.replace("?", "*") if _is_cron(said) else _cron_of(said)
    schedule = Schedule.of(cron)
    if len(schedule.minutes) > 1:
        raise BadInput(
            "A report comes at most once an hour: give one minute, as in `0 */2 * * *` for every second hour."
        )
    return Words(said, cron)


def _is_cron(said: str) -> bool:
    fields = said.split()
    return bool(fields) and fields[0][0] in "*?0123456789" and len(fields) > 1 and " of " not in said


def _cron_of(said: str) -> str:
    if hourly := _HOURLY.fullmatch(said):
        return f"{_minute(hourly['hour'], hourly['minute'])} * * * *"
    if (meant := _meant_by(said)) is not None:
        raise BadInput(f"I do not understand when `{escape(said)}` is. {meant}")
    if monthly := _OF_THE_MONTH.fullmatch(said):
        minute, hour = _time(monthly["time"], said)
        return f"{minute} {hour} {_day_of_month(monthly['day'])} * *"
    if weekly := _EVERY.fullmatch(said):
        days = _weekdays(weekly["days"])
        minute, hour = _time(weekly["time"], said)
        return f"{minute} {hour} * * {days}"
    raise _not_understood(said)


def _meant_by(said: str) -> str | None:
    """What to write instead of words for which there are only fields, or none."""
    if apart := _HOURS_APART.fullmatch(said):
        hours = _AS_NUMBER.get(apart["hours"]) or int(apart["hours"])
        if not 1 < hours < _MIDNIGHT_AGAIN:
            return "Write `every hour`, or `every day 09:00`."
        return f"For every {hours} hours write `0 */{hours} * * *`."
    if re.fullmatch(r"(?:every|each)\s+week(?:ly)?(?:\s.*)?", said):
        return "On which day of the week? Write it as `every monday 09:00`."
    if several := _SEVERAL_TIMES.fullmatch(said):
        return f"Give one time, such as `{escape(several['first'])}`, and schedule another report for the other."
    return None


def _weekdays(said: str) -> str:
    if said in _SETS:
        return _SETS[said]
    numbers = {number for word in _BETWEEN.split(said) for number in _numbers(word)}
    return ",".join(map(str, sorted(numbers)))


def _numbers(word: str) -> set[int]:
    if days := _RANGE.fullmatch(word):
        first, last = _day(days["first"]), _day(days["last"])
        if first is not None and last is not None:
            return {(first + number) % 7 for number in range((last - first) % 7 + 1)}
    if (day := _day(word)) is not None:
        return {day}
    name = word if word in _SETS else word.removesuffix("s")
    if name in _SETS:
        return set(Schedule.of(f"0 0 * * {_SETS[name]}").weekdays)
    near = difflib.get_close_matches(name, [*_DAYS, *_SETS, "hour"], n=1)
    meant = f" Did you mean `{near[0]}`?" if near else ""
    raise BadInput(
        f"`{escape(word)}` is no day.{meant} There are `day`, `weekday`, `weekend`, `hour`, and `monday` to `sunday`, "
        f"several with commas, such as `{EXAMPLES[2]}`."
    )


def _day(word: str) -> int | None:
    name = word if word in _DAYS else word.removesuffix("s")
    if name in _DAYS:
        return _DAYS[name]
    short = [day for day in _DAYS if len(name) >= 2 and day.startswith(name)]  # noqa: PLR2004 - `su`, `mo`
    return _DAYS[short[0]] if len(short) == 1 else None


def _time(typed: str | None, said: str) -> tuple[int, int]:
    """Minute and hour."""
    if typed is None:
        raise BadInput(f"At what time? Add it at the end, such as `{escape(said)} 09:00`.")
    found = _TIME.fullmatch(typed)
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (_MIDNIGHT_AGAIN, 0)
    if found and found[3] and 1 <= hour <= _NOON:
        hour = hour % _NOON + (_NOON if found[3] == "p" else 0)
    elif found and found[3]:
        hour = _MIDNIGHT_AGAIN
    if hour >= _MIDNIGHT_AGAIN or minute >= _MINUTES:
        raise BadInput(f"`{escape(typed)}` is no time of the day: write it as `09:00` or `18:30`.")
    return minute, hour


def _minute(hour: str | None, typed: str | None) -> int:
    if hour is not None:
        raise BadInput(f"Do you mean `every day {hour}:{typed}` or `every hour :{typed}`?")
    if typed is not None and int(typed) >= _MINUTES:
        raise BadInput(f"`:{typed}` is no minute of the hour: write `every hour :30`.")
    return int(typed or 0)


def _day_of_month(typed: str) -> int:
    day = 1 if typed == "first" else int(re.sub(r"\D", "", typed))
    if not 1 <= day <= _LAST_OF_EACH_MONTH:
        raise BadInput(
            f"Not every month has a day {day}: choose the first to the {_LAST_OF_EACH_MONTH}th, such as "
            f"`{EXAMPLES[4]}`."
        )
    return day


def _not_understood(said: str) -> BadInput:
    near = difflib.get_close_matches(said, EXAMPLES, n=1, cutoff=0.5)
    meant = f" Did you mean `{near[0]}`?" if near else ""
    known = ", ".join(f"`{example}`" for example in EXAMPLES)
    fields = ", ".join(field.name for field in FIELDS)
    return BadInput(
        f"I do not understand when `{escape(said)}` is.{meant} Write it as one of {known}, or as the five fields of "
        f"cron ({fields}), such as `0 9 * * 1-5`."
    )
