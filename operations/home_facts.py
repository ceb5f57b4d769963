"""What a person's home in Slack shows: of each tenant no more than their role there may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from uuid import UUID

import peewee

from database import set_tenant
from models import Incident, TenantStatus, WahaSession
from operations import dead_letters, incidents, slack_people
from operations.permissions import WHILE_DEACTIVATED, Permission, may
from operations.sql import rows
from operations.standing import Membership, Person, kept_out, memberships

UNANSWERED_FOR = timedelta(hours=4)
_LOOKS_BACK = timedelta(days=30)
MOST_SESSIONS = 12
MOST_TROUBLES = 4
MOST_LINKS = 5
MOST_NUMBERS = 5


@dataclass(frozen=True)
class SessionLine:
    """A session as its people know it, and how many there are besides; `server_state` is "" where nothing is known."""

    name: str
    status: str
    since: datetime | None
    is_wanted: bool
    server_state: str
    many: int
    working: int


@dataclass(frozen=True)
class Trouble:
    """An open incident; `session` is "" where it is about several, or a server."""

    incident: Incident
    session: str


@dataclass(frozen=True)
class Thread:
    """A conversation whose customer waits, one's own first, and how many there are; without a thread it has no link."""

    session: str
    since: datetime
    slack_channel_id: str | None
    slack_thread_ts: str | None
    is_mine: bool
    many: int
    mine: int


@dataclass(frozen=True)
class Number:
    """A number that is watched, and why."""

    session: str
    level: str
    reason: str


@dataclass(frozen=True)
class TenantFacts:
    """A tenant before somebody who has a role there; what the role may not see is empty.

    `closed_because` is why nothing is shown, "" where something is. `may` are the things that may be done there.
    """

    tenant_id: UUID
    name: str
    closed_because: str = ""
    is_active: bool = True
    may: frozenset[Permission] = frozenset()
    sessions: tuple[SessionLine, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    threads: tuple[Thread, ...] = ()
    failed: int = 0
    failed_mine: int = 0
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True)
class ServerLine:
    name: str
    state: str
    sessions: int


@dataclass(frozen=True)
class Facts:
    """All that the home of a person shows. `kept_out` is why Slack's word closes every door, "" where it does not."""

    person: Person
    is_known: bool
    kept_out: str = ""
    tenants: tuple[TenantFacts, ...] = ()
    is_operator: bool = False
    servers: tuple[ServerLine, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def of(person: Person, *, operators: Collection[str], now: datetime, waiting: Waiting | None = None) -> Facts:
    """Read what the person may see, in the running transaction, whose tenant it changes."""
    shared = waiting or Waiting(now)
    known = slack_people.known(person)
    if known is None or known.outside:
        # Of somebody of whom Slack said nothing yet, nobody knows that they are no guest.
        return Facts(person, known is not None, kept_out(known.outside) if known is not None else "")
    tenants = tuple(_tenant(one, person, shared) for one in memberships(person))
    if person.key not in operators:
        return Facts(person, is_known=True, tenants=tenants)
    return Facts(
        person,
        is_known=True,
        tenants=tenants,
        is_operator=True,
        servers=tuple(rows(ServerLine, _SERVERS)),
        troubles=tuple(Trouble(one, "") for one in _open(Incident.tenant_id.is_null())),
    )


_SERVERS = """
    SELECT w.name, w.state, coalesce(l.sessions, 0) AS sessions
    FROM waha_servers w LEFT JOIN sessions_by_server() l ON l.server = w.name ORDER BY w.name
"""


def _tenant(one: Membership, person: Person, waiting: Waiting) -> TenantFacts:
    role, is_active = one.role_held, one.tenant_status == TenantStatus.ACTIVE
    if role is None:
        return TenantFacts(one.tenant_id, one.tenant_name, closed_because=one.closed_because)
    allowed = frozenset(
        permission
        for permission in Permission
        if may(permission, role, is_operator=False) and (is_active or permission in WHILE_DEACTIVATED)
    )
    set_tenant(one.tenant_id)
    shows, reads = Permission.SESSION_SHOW in allowed, Permission.MESSAGE_SHOW in allowed
    return TenantFacts(
        tenant_id=one.tenant_id,
        name=one.tenant_name,
        is_active=is_active,
        may=allowed,
        sessions=_sessions(one.tenant_id) if shows else (),
        troubles=_troubles(one.tenant_id) if shows else (),
        threads=_threads(one, waiting.in_tenant(one.tenant_id)) if reads else (),
        failed=dead_letters.count(one.tenant_id) if reads else 0,
        failed_mine=dead_letters.count(one.tenant_id, written_by=person.user_id) if reads else 0,
        numbers=_numbers(one.tenant_id) if shows else (),
    )


_SESSIONS = """
    SELECT s.name, s.status, s.status_changed_at AS since, s.desired_state = 'running' AS is_wanted,
        coalesce(w.state, '') AS server_state, count(*) OVER () AS many,
        count(*) FILTER (WHERE s.status = 'working') OVER () AS working
    FROM waha_sessions s LEFT JOIN waha_servers w ON w.name = s.server
    WHERE s.tenant_id = %s AND s.deleted_at IS NULL
    ORDER BY s.desired_state = 'running' AND s.status <> 'working' DESC, s.name LIMIT %s
"""


def _sessions(tenant_id: UUID) -> tuple[SessionLine, ...]:
    return tuple(rows(SessionLine, _SESSIONS, (tenant_id, MOST_SESSIONS)))


def _troubles(tenant_id: UUID) -> tuple[Trouble, ...]:
    found = _open(Incident.tenant_id == tenant_id)
    of = {one.session_id for one in found}
    columns = (WahaSession.id, WahaSession.name)
    mine = WahaSession.select(*columns).where(WahaSession.tenant_id == tenant_id, WahaSession.id.in_(of))
    names = {session.id: session.name for session in mine}
    return tuple(Trouble(one, names.get(one.session_id, "") if one.session_id else "") for one in found)


def _open(whose: peewee.Expression) -> list[Incident]:
    """What people read by itself, the newest first."""
    chosen = Incident.select().where(whose, Incident.ended_at.is_null(), incidents.stands_alone())
    return list(chosen.order_by(Incident.began_at.desc()).limit(MOST_TROUBLES))


@dataclass(frozen=True)
class _Waits:
    session: str
    since: datetime
    slack_channel_id: str | None
    slack_thread_ts: str | None
    assignee_id: UUID | None


class Waiting:
    """Whose customers wait, of each tenant read once, though it stands in the homes of many of its people."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._read: dict[UUID, list[_Waits]] = {}

    def in_tenant(self, tenant_id: UUID) -> list[_Waits]:
        """Those who wait longest come first. The running transaction's tenant has to be this one."""
        if tenant_id not in self._read:
            span = {"oldest": self._now - _LOOKS_BACK, "latest": self._now - UNANSWERED_FOR}
            self._read[tenant_id] = rows(_Waits, _WAITING, {"tenant": tenant_id} | span)
        return self._read[tenant_id]


# A customer waits since the first message after our last one that did not fail.
_WAITING = """
    SELECT s.name AS session, w.since, c.slack_channel_id, c.slack_thread_ts, c.assignee_id
    FROM conversations c
    JOIN waha_sessions s ON s.id = c.session_id AND s.tenant_id = c.tenant_id AND s.deleted_at IS NULL
    CROSS JOIN LATERAL (
        SELECT min(m.created_at) AS since FROM messages m
        WHERE m.tenant_id = %(tenant)s AND m.conversation_id = c.id AND m.direction = 'inbound'
            AND m.deleted_at IS NULL AND m.created_at > coalesce((
                SELECT max(o.created_at) FROM messages o
                WHERE o.tenant_id = %(tenant)s AND o.conversation_id = c.id AND o.direction = 'outbound'
                    AND o.status <> 'failed' AND o.deleted_at IS NULL
            ), '-infinity')
    ) w
    WHERE c.tenant_id = %(tenant)s AND c.deleted_at IS NULL AND c.state = 'open'
        AND c.last_inbound_at >= %(oldest)s AND w.since <= %(latest)s
    ORDER BY w.since
"""


def _threads(one: Membership, found: list[_Waits]) -> tuple[Thread, ...]:
    mine = [each for each in found if each.assignee_id == one.user_id]
    others = (each for each in found if each.assignee_id != one.user_id)
    return tuple(
        Thread(
            each.session,
            each.since,
            each.slack_channel_id,
            each.slack_thread_ts,
            is_mine=each.assignee_id == one.user_id,
            many=len(found),
            mine=len(mine),
        )
        for each in islice(chain(mine, others), MOST_LINKS)
    )


_NUMBERS = """
    SELECT s.name AS session, h.level, coalesce(h.reasons ->> 0, '') AS reason
    FROM number_healths h JOIN waha_sessions s ON s.id = h.session_id AND s.tenant_id = h.tenant_id
    WHERE h.tenant_id = %s AND s.deleted_at IS NULL AND h.level NOT IN ('unknown', 'good')
    ORDER BY s.name LIMIT %s
"""


def _numbers(tenant_id: UUID) -> tuple[Number, ...]:
    return tuple(rows(Number, _NUMBERS, (tenant_id, MOST_NUMBERS)))
