"""How fast a phone number may write without looking like a machine: pauses, typing, quiet hours, the day's end.

Pure functions. Times are handed in, and so is the source of chance. The figures are WAHA's own advice, "How to avoid
blocking": 30 to 60 s between messages to people who did not ask, four an hour to one of them, not around the clock.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

CHANCE: Final = random.Random()  # noqa: S311 - spreads pauses, keeps no secret

BETWEEN_NEW_CONTACTS: Final = (timedelta(seconds=30), timedelta(seconds=60))
BETWEEN_REPLIES: Final = (timedelta(seconds=0.5), timedelta(seconds=2))
A_CHARACTER: Final = timedelta(seconds=0.03)
SHORTEST_TYPING, LONGEST_TYPING = timedelta(seconds=0.8), timedelta(seconds=5)
MOST_UNANSWERED: Final = 4
"""So many messages an hour to somebody who never wrote."""

MORNING: Final = time(8)
"""What waited for another day leaves then, by its tenant's clock, where the session has no quiet hours at night."""

AN_HOUR: Final = timedelta(hours=1)
ANSWERED_AT_ONCE: Final = timedelta(minutes=30)
"""Whoever wrote so lately is awake, and is answered in quiet hours too."""


def pause_before_next_contact(slow_factor: float, chance: random.Random = CHANCE) -> timedelta:
    """How long an account waits after a message to somebody who never wrote, before the next one of that kind."""
    return _between(BETWEEN_NEW_CONTACTS, chance) * max(slow_factor, 1.0)


def pause_between_replies(slow_factor: float, chance: random.Random = CHANCE) -> timedelta:
    return _between(BETWEEN_REPLIES, chance) * max(slow_factor, 1.0)


def typing_time(text: str, chance: random.Random = CHANCE) -> timedelta:
    """How long “typing…” is shown: longer for a longer text, never the same twice."""
    typed = max(SHORTEST_TYPING, min(len(text) * A_CHARACTER, LONGEST_TYPING))
    return max(SHORTEST_TYPING, min(typed * chance.uniform(0.8, 1.2), LONGEST_TYPING))


def day_of(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the day of `now` began by the clock of `zone` and when the next one begins, in UTC.

    It has 23 or 25 hours when the clock changes.
    """
    today = now.astimezone(zone).date()
    return _at(datetime.combine(today, time()), zone), _at(datetime.combine(today + timedelta(days=1), time()), zone)


def quiet_since_until(
    now: datetime, zone: ZoneInfo, begins: time | None, ends: time | None
) -> tuple[datetime, datetime] | None:
    """The quiet hours in which `now` is, from when to when in UTC; None outside of them.

    22:00 to 07:00 ends on the next morning. Equal times are no quiet hours at all.
    """
    if begins is None or ends is None or begins == ends:
        return None
    today = now.astimezone(zone).date()
    for first_day in (today - timedelta(days=1), today):
        since = _at(datetime.combine(first_day, begins), zone)
        last_day = first_day if begins < ends else first_day + timedelta(days=1)
        until = _at(datetime.combine(last_day, ends), zone)
        if since <= now < until:
            return since, until
    return None


def next_free(now: datetime, zone: ZoneInfo, begins: time | None, ends: time | None) -> datetime:
    """`now`, or the end of the quiet hours in which it is."""
    quiet = quiet_since_until(now, zone, begins, ends)
    return quiet[1] if quiet is not None else now


def morning_of(day: datetime, zone: ZoneInfo, begins: time | None, ends: time | None) -> datetime:
    """When writing to new people begins on the day that begins then: after the night's quiet hours, else at eight."""
    after_night = next_free(day, zone, begins, ends)
    if after_night != day:
        return after_night
    return next_free(_at(datetime.combine(day.astimezone(zone).date(), MORNING), zone), zone, begins, ends)


def _at(local: datetime, zone: ZoneInfo) -> datetime:
    """A time on the wall in UTC; one that the clock skips is the moment after the gap as far as it was into it."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def _between(limits: tuple[timedelta, timedelta], chance: random.Random) -> timedelta:
    shortest, longest = limits
    return shortest + (longest - shortest) * chance.random()
