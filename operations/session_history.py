"""What happened to a session: each change that was seen, each trouble, and who asked for what; newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from database import set_tenant
from models import WahaSession
from operations import uptime
from operations.report_facts import Period
from operations.report_statuses import away, changes
from operations.sql import rows
from operations.uptime import AWAY, WORKING

PAGE = 15
_LAST_OF_ALL = UUID(int=2**128 - 1)


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    `kind` is `seen` (what: WAHA's word, who: webhook or poll), `began` or `ended` (what: a kind of incident, who: its
    cause) or `asked` (what: an action of the audit, who: the actor).
    """

    id: UUID
    at: datetime
    kind: str
    what: str
    who: str


@dataclass(frozen=True)
class History:
    """One page, and where the older one begins; "" where there is none."""

    events: tuple[Event, ...]
    older: str


@dataclass(frozen=True)
class Uptime:
    """Of the time that is known since then: how much of it the session worked, and how much it did not."""

    worked: timedelta
    down: timedelta
    server_away: timedelta


_EVENTS = """
    SELECT * FROM (
        SELECT id, observed_at AS at, 'seen' AS kind, raw_status AS what, source AS who
        FROM session_checks WHERE tenant_id = %(tenant)s AND session_id = %(session)s
        UNION ALL
        SELECT id, began_at, 'began', kind, cause
        FROM incidents WHERE tenant_id = %(tenant)s AND session_id = %(session)s
        UNION ALL
        SELECT id, ended_at, 'ended', kind, ''
        FROM incidents WHERE tenant_id = %(tenant)s AND session_id = %(session)s AND ended_at IS NOT NULL
        UNION ALL
        SELECT id, created_at, 'asked', action, actor
        FROM audit_entries WHERE tenant_id = %(tenant)s AND subject_id = %(session)s AND subject_table = 'waha_sessions'
    ) happened
    WHERE (at, id) < (%(before)s, %(before_id)s)
    ORDER BY at DESC, id DESC LIMIT %(limit)s
"""


def page(session: WahaSession, cursor: str, *, now: datetime) -> History:
    """The newest page, or the one that begins at a cursor of ours; one that cannot be read is the newest."""
    set_tenant(session.tenant_id)
    before, before_id = _place(cursor) or (now, _LAST_OF_ALL)
    found = rows(
        Event,
        _EVENTS,
        {
            "tenant": session.tenant_id,
            "session": session.id,
            "before": before,
            "before_id": before_id,
            "limit": PAGE + 1,
        },
    )
    last = found[PAGE - 1] if len(found) > PAGE else None
    return History(tuple(found[:PAGE]), f"{last.at.isoformat()}|{last.id}" if last is not None else "")


def uptime_of(session: WahaSession, since: datetime, now: datetime) -> Uptime:
    """How long it worked since then, as far as it was observed."""
    set_tenant(session.tenant_id)
    period = Period(since, now, 0)
    seen = changes(session.tenant_id, period).get(session.id, [])
    gone = away(session.tenant_id, [session.server], period).get(session.server, [])
    lengths = {WORKING: timedelta(0), AWAY: timedelta(0), "": timedelta(0)}
    for span in uptime.spans(seen, gone, since, now):
        lengths[span.status if span.status in lengths else ""] += span.length
    return Uptime(lengths[WORKING], lengths[""], lengths[AWAY])


def _place(cursor: str) -> tuple[datetime, UUID] | None:
    at, _, found = cursor.partition("|")
    try:
        return datetime.fromisoformat(at), UUID(found)
    except ValueError:
        return None
