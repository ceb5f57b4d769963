"""Which status a session had when, of what was observed; a server that was away lays over it. No rows are read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

AWAY: Final = "server away"
"""In place of a session's status while its server did not answer, or not to us: nobody knows, and nothing was sent."""

WORKING: Final = "working"
STOPPED: Final = "stopped"

Change: TypeAlias = tuple[datetime, str]
Window: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True)
class Span:
    """A time with one status."""

    begin: datetime
    end: datetime
    status: str

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


def spans(
    changes: Sequence[Change],
    away: Sequence[Window],
    begin: datetime,
    end: datetime,
    *,
    wanted_since: datetime | None = None,
) -> list[Span]:
    """From `begin` to `end` in their order; before the first change nothing is known, and nothing is said.

    `changes` are in the order of their times; the last one before `begin` says what was so at the beginning. That it
    was stopped before people last wanted it to run is left out: it is no trouble. What failed before that was.
    """
    known = [
        Span(max(at, begin), min(until, end), status) for (at, status), (until, _) in pairwise([*changes, (end, "")])
    ]
    covered = [piece for span in _meant(known, wanted_since) for piece in _with_away(span, away)]
    return list(_joined(covered))


def share_working(found: Sequence[Span]) -> float | None:
    """How much of the time a session worked, between 0 and 1; None where no time is known."""
    total = sum((span.length for span in found), timedelta(0))
    if not total:
        return None
    return sum((span.length for span in found if span.status == WORKING), timedelta(0)) / total


def _meant(known: Sequence[Span], wanted_since: datetime | None) -> Iterator[Span]:
    for span in known:
        if wanted_since is None or span.status != STOPPED or wanted_since <= span.begin:
            yield span
        elif wanted_since < span.end:
            yield Span(wanted_since, span.end, span.status)


def _with_away(span: Span, away: Sequence[Window]) -> Iterator[Span]:
    at = span.begin
    for left, at_end in sorted(away):
        begin, end = max(left, at), min(at_end, span.end)
        if begin >= end:
            continue
        if at < begin:
            yield Span(at, begin, span.status)
        yield Span(begin, end, AWAY)
        at = end
    if at < span.end:
        yield Span(at, span.end, span.status)


def _joined(found: Sequence[Span]) -> Iterator[Span]:
    """Neighbours of one status as one."""
    last: Span | None = None
    for span in found:
        if last is not None and last.status == span.status and last.end == span.begin:
            last = Span(last.begin, span.end, span.status)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
