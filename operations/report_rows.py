"""Reads what a health report tells. Each statement counts all sessions of the tenant at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models import HealthLevel, Incident, NumberHealth, Tenant
from operations import dead_letters, incidents, report_conversations, report_statuses, sessions
from operations.buttons import Act
from operations.held import NO_CHANNEL
from operations.report_facts import (
    DeadLetters,
    IncidentFacts,
    NumberFacts,
    Period,
    Queue,
    ReportFacts,
    SessionFacts,
    Traffic,
    Volume,
    portion_of,
    portions,
)
from operations.sql import rows, value
from operations.uptime import share_working, spans

MOST_REPLAYED = 50
"""As many messages as one button may name."""


def facts(tenant_id: UUID, period: Period) -> ReportFacts:
    """In the tenant's transaction."""
    found = sessions.list_all(tenant_id)
    names = {one.session.id: one.session.name for one in found}
    traffic, volume = _traffic(tenant_id, period)
    return ReportFacts(
        tenant_name=Tenant.get_by_id(tenant_id).name,
        since=period.since,
        until=period.until,
        time_zone=period.time_zone,
        is_since_last=period.is_since_last,
        late=period.late,
        sessions=_sessions(tenant_id, found, traffic, period),
        incidents=_incidents(tenant_id, names, period),
        letters=_letters(tenant_id),
        unanswered=report_conversations.unanswered(tenant_id, period),
        responses=report_conversations.responses(tenant_id, period),
        volume=volume,
        held=_held(tenant_id),
    )


def _sessions(
    tenant_id: UUID, found: list[sessions.SessionFacts], traffic: dict[UUID, Traffic], period: Period
) -> tuple[SessionFacts, ...]:
    queues, changes, numbers = _queues(tenant_id), report_statuses.changes(tenant_id, period), _numbers(tenant_id)
    away = report_statuses.away(tenant_id, {one.session.server for one in found}, period)
    made = []
    for one in found:
        session = one.session
        known = changes.get(session.id) or [(session.status_changed_at or session.created_at, session.status.value)]
        server_away, wanted_since = away.get(session.server, []), session.wanted_since
        observed = spans(known, server_away, period.since, period.until, wanted_since=wanted_since)
        made.append(
            SessionFacts(
                name=session.name,
                status=session.status.value,
                is_wanted=session.desired_state == "running",
                since=session.status_changed_at,
                server=session.server,
                server_state=one.server.state.value if one.server is not None else "unknown",
                uptime=share_working(observed),
                spans=tuple(observed),
                traffic=traffic.get(session.id, Traffic()),
                queue=queues.get(session.id, Queue()),
                number=numbers.get(session.id),
                is_linked=bool(session.metadata.get("me_id")),
            )
        )
    return tuple(made)


@dataclass(frozen=True)
class _Counted:
    session_id: UUID | None
    portion: int | None
    received: int
    sent: int
    delivered: int
    read: int
    failed: int


# Both countings in one reading of the messages.
_COUNT = """
    SELECT session_id, portion, count(*) FILTER (WHERE is_inbound) AS received,
        count(*) FILTER (WHERE NOT is_inbound AND status IN ('sent', 'delivered')) AS sent,
        count(*) FILTER (WHERE NOT is_inbound AND status = 'delivered') AS delivered,
        count(*) FILTER (WHERE NOT is_inbound AND read_at IS NOT NULL) AS read,
        count(*) FILTER (WHERE NOT is_inbound AND status = 'failed') AS failed
    FROM (
        SELECT session_id, status, read_at, direction = 'inbound' AS is_inbound,
            floor(extract(epoch FROM created_at - %(since)s) / %(step)s)::integer AS portion
        FROM messages
        WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND created_at >= %(since)s AND created_at < %(until)s
    ) counted
    GROUP BY GROUPING SETS ((session_id), (portion))
"""


def _traffic(tenant_id: UUID, period: Period) -> tuple[dict[UUID, Traffic], Volume]:
    step = portion_of(period.until - period.since)
    parameters = {"tenant": tenant_id, "since": period.since, "until": period.until, "step": step.total_seconds()}
    found = rows(_Counted, _COUNT, parameters)
    by_session = {
        one.session_id: Traffic(one.received, one.sent, one.delivered, one.read, one.failed)
        for one in found
        if one.session_id is not None
    }
    by_portion = {one.portion: one for one in found if one.portion is not None}
    begins = portions(period.since, period.until, step)
    numbers = range(len(begins))
    received = tuple(by_portion[number].received if number in by_portion else 0 for number in numbers)
    sent = tuple(by_portion[number].sent if number in by_portion else 0 for number in numbers)
    return by_session, Volume(step, tuple(begins), received, sent)


@dataclass(frozen=True)
class _Queued:
    session_id: UUID
    waiting: int
    oldest: datetime


def _queues(tenant_id: UUID) -> dict[UUID, Queue]:
    found = rows(
        _Queued,
        "SELECT session_id, count(*) AS waiting, min(created_at) AS oldest FROM messages WHERE tenant_id = %s "
        "AND direction = 'outbound' AND status = 'queued' AND deleted_at IS NULL GROUP BY session_id",
        (tenant_id,),
    )
    return {one.session_id: Queue(one.waiting, one.oldest) for one in found}


def _numbers(tenant_id: UUID) -> dict[UUID, NumberFacts]:
    return {
        one.session_id: NumberFacts(one.level.value, str(one.reasons[0]) if one.reasons else "")
        for one in NumberHealth.select().where(NumberHealth.tenant_id == tenant_id)
        if one.level != HealthLevel.UNKNOWN
    }


def _incidents(tenant_id: UUID, names: dict[UUID, str], period: Period) -> tuple[IncidentFacts, ...]:
    """What people were told of: what is part of another incident is told by that one."""
    return tuple(
        IncidentFacts(one.kind.value, _session(one, names), one.began_at, one.ended_at, one.cause, one.server or "")
        for one in incidents.of_tenant(tenant_id, since=period.since)
    )


def _session(incident: Incident, names: dict[UUID, str]) -> str:
    return names.get(incident.session_id, "removed since") if incident.session_id is not None else ""


def _letters(tenant_id: UUID) -> DeadLetters:
    newest = dead_letters.failed(tenant_id, limit=MOST_REPLAYED)
    retryable = tuple(letter.message.id for letter in newest if Act.RETRY in letter.acts)
    count = len(newest) if len(newest) < MOST_REPLAYED else dead_letters.count(tenant_id)
    return DeadLetters(count, retryable)


def _held(tenant_id: UUID) -> int:
    """Messages that wait for a channel."""
    return int(
        value(
            "SELECT count(*) FROM messages WHERE tenant_id = %s AND hold_reason = %s AND deleted_at IS NULL",
            (tenant_id, NO_CHANNEL),
        )
    )
