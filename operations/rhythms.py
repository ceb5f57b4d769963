"""How long a session is usually silent, by hour of the week: learned from the silences of its last four weeks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SHORTEST = timedelta(minutes=3)
LONGEST = timedelta(hours=24)
_WEEK = 7 * 24
_DAY = 24
# Fewer silences than these say little about an hour: those of the hours beside it are added, then those of all days.
ENOUGH = 20
# One in a hundred usual silences is taken for an unusual one.
_SHARE = 0.99
# A session of which little is known is taken to be silent for a quarter of its age; an hour when it is new.
_NEW = timedelta(hours=1)


@dataclass(frozen=True)
class Silence:
    """From one message to the next, of `SHORTEST` or more."""

    began: datetime
    ended: datetime

    @property
    def length(self) -> timedelta:
        return self.ended - self.began

    @property
    def hours(self) -> set[int]:
        """The hours of the week that it covers, in part at least."""
        first = self.began.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        count = min(_WEEK, math.ceil((self.ended - first) / timedelta(hours=1)))
        return {(hour_of_week(first) + passed) % _WEEK for passed in range(max(count, 1))}


def hour_of_week(at: datetime) -> int:
    """0 is Monday from 00:00 to 00:59 in UTC, 167 is Sunday from 23:00."""
    here = at.astimezone(UTC)
    return here.weekday() * _DAY + here.hour


def default(age: timedelta) -> timedelta:
    """The longest usual silence of a session that has told too little: it grows as long as it stays so quiet."""
    return min(max(age / 4, _NEW), LONGEST)


def learn(short: Mapping[int, int], long: Sequence[Silence], *, age: timedelta) -> dict[str, int]:
    """The longest usual silence in seconds by hour of the week: 99 of 100 that covered the hour were no longer.

    `short` counts the silences below `SHORTEST` by the hour in which they began.
    """
    covering: dict[int, set[int]] = {hour: set() for hour in range(_WEEK)}
    for number, silence in enumerate(long):
        for hour in silence.hours:
            covering[hour].add(number)
    return {str(hour): round(_usual(hour, short, long, covering, age).total_seconds()) for hour in range(_WEEK)}


def _usual(
    hour: int, short: Mapping[int, int], long: Sequence[Silence], covering: Mapping[int, set[int]], age: timedelta
) -> timedelta:
    for hours in _widening(hour):
        few = sum(short.get(one, 0) for one in hours)
        many = set().union(*(covering[one] for one in hours))
        if few + len(many) >= ENOUGH:
            return _longest_usual(few, (long[number].length for number in many))
    return default(age)


def _widening(hour: int) -> Iterable[set[int]]:
    yield {hour}
    yield {(hour + beside) % _WEEK for beside in (-1, 0, 1)}
    yield {(hour + day * _DAY) % _WEEK for day in range(7)}


def _longest_usual(few: int, lengths: Iterable[timedelta]) -> timedelta:
    """The 99th percentile by nearest rank, within bounds; `few` are known to be below the shortest."""
    ordered = sorted(lengths)
    place = math.ceil(_SHARE * (few + len(ordered))) - few
    return SHORTEST if place < 1 else min(max(ordered[place - 1], SHORTEST), LONGEST)
