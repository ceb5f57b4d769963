"""What a health report tells, as plain values; read by `operations.report_rows`, said by `operations.report_text`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from operations.uptime import Span


@dataclass(frozen=True)
class Traffic:
    """Messages of a time: `received` from customers; of ours `sent` counts what left, delivered and read included."""

    received: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.received + other.received,
            self.sent + other.sent,
            self.delivered + other.delivered,
            self.read + other.read,
            self.failed + other.failed,
        )


@dataclass(frozen=True)
class Queue:
    """What waits to be sent now."""

    waiting: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True)
class NumberFacts:
    """How close an account is to being restricted: a level of `HealthLevel`, and why."""

    level: str
    reason: str = ""


@dataclass(frozen=True)
class SessionFacts:
    """One session; `spans` are its statuses since the report begins, `uptime` the share of them in which it worked.

    `is_linked` is whether an account is known that it is linked to.
    """

    name: str
    status: str
    is_wanted: bool = True
    since: datetime | None = None
    server: str = "main"
    server_state: str = "up"
    uptime: float | None = None
    spans: tuple[Span, ...] = ()
    traffic: Traffic = Traffic()
    queue: Queue = Queue()
    number: NumberFacts | None = None
    is_linked: bool = True

    @property
    def is_troubled(self) -> bool:
        return self.is_wanted and (
            self.status not in {"working", "starting"} or self.server_state in {"down", "key_refused"}
        )


@dataclass(frozen=True)
class IncidentFacts:
    """Trouble that was open in this time; without an end it still is. Of a server, or several, `session` is ""."""

    kind: str
    session: str
    began: datetime
    ended: datetime | None = None
    cause: str = ""
    server: str = ""

    def length(self, now: datetime) -> timedelta:
        return (self.ended or now) - self.began


@dataclass(frozen=True)
class DeadLetters:
    """What did not reach the customer: how many, and the ids of those that may be sent again as they are."""

    count: int = 0
    retryable: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A conversation whose customer waits, or waited, for an answer; `thread` is its address in Slack, "" for none."""

    session: str
    waited: timedelta
    channel_id: str = ""
    thread: str = ""


@dataclass(frozen=True)
class Unanswered:
    """Customers who wait for longer than `hours`: how many, and those who wait longest."""

    hours: int
    count: int = 0
    longest: tuple[Waiting, ...] = ()


@dataclass(frozen=True)
class Responses:
    """How long customers waited for the first answer; `slowest` with their threads."""

    seconds: tuple[float, ...] = ()
    slowest: tuple[Waiting, ...] = ()

    @property
    def median(self) -> timedelta:
        return self.quantile(0.5)

    @property
    def ninetieth(self) -> timedelta:
        return self.quantile(0.9)

    def quantile(self, share: float) -> timedelta:
        """The shortest time within which this share of the customers was answered."""
        ordered = sorted(self.seconds)
        return timedelta(seconds=ordered[max(0, ceil(share * len(ordered)) - 1)])


@dataclass(frozen=True)
class Volume:
    """Messages by time; `begins` are the beginnings of equal portions of `step`."""

    step: timedelta = timedelta(hours=1)
    begins: tuple[datetime, ...] = ()
    received: tuple[int, ...] = ()
    sent: tuple[int, ...] = ()


@dataclass(frozen=True)
class Late:
    """When a report that was missed had been due, and when it was made."""

    due: datetime
    made: datetime


@dataclass(frozen=True)
class Period:
    """What a report is about: a time, and for how many hours a customer may wait."""

    since: datetime
    until: datetime
    unanswered_hours: int
    time_zone: str = "UTC"
    is_since_last: bool = False
    late: Late | None = None


@dataclass(frozen=True)
class ReportFacts:
    """All of one report. `is_since_last` is whether it begins where the last one ended, or 24 hours ago."""

    tenant_name: str
    since: datetime
    until: datetime
    time_zone: str = "UTC"
    is_since_last: bool = False
    late: Late | None = None
    sessions: tuple[SessionFacts, ...] = ()
    incidents: tuple[IncidentFacts, ...] = ()
    letters: DeadLetters = DeadLetters()
    unanswered: Unanswered = Unanswered(4)
    responses: Responses = Responses()
    volume: Volume = Volume()
    held: int = 0

    @property
    def traffic(self) -> Traffic:
        return sum((one.traffic for one in self.sessions), Traffic())

    @property
    def waiting(self) -> int:
        return sum(one.queue.waiting for one in self.sessions)

    @property
    def oldest_waiting(self) -> datetime | None:
        return min((one.queue.oldest for one in self.sessions if one.queue.oldest is not None), default=None)


def portion_of(length: timedelta) -> timedelta:
    """In which portions a time is counted, so that a picture has bars that a phone can show."""
    return timedelta(hours=1) if length <= timedelta(hours=48) else timedelta(days=1)


def portions(since: datetime, until: datetime, step: timedelta) -> list[datetime]:
    return [since + number * step for number in range(max(1, ceil((until - since) / step)))]
