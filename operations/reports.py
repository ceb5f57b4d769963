"""The health report of a tenant: each session's state, what waits, what failed, and what to do now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from database import set_tenant, tenant_transaction, transaction
from models import ChannelRoute, DesiredState, RoutePurpose, SessionStatus, Tenant, now_utc
from operations.posting import tell
from operations.routes import channel_for
from operations.sessions import SessionFacts, list_all
from operations.sql import changed, first, rows
from slack.mrkdwn import foreign, local_time

PLACES = (RoutePurpose.REPORTS, RoutePurpose.ALERTS, RoutePurpose.CONVERSATIONS)
"""A report goes to the tenant's channel for the first of these that it has."""

_LOOKS_BACK = timedelta(hours=24)
_MARK = {"working": "🟢", "starting": "🟡", "scan_qr": "🟠", "failed": "🔴", "stopped": "⚪"}
_WORDS = {
    "working": "working",
    "starting": "starting",
    "scan_qr": "waits for its QR code to be scanned",
    "failed": "failed",
    "stopped": "stopped",
}


@dataclass(frozen=True)
class Counts:
    """Messages of a session in the last 24 hours, and its queue now."""

    session_id: UUID
    received: int
    sent: int
    delivered: int
    failed: int
    queued: int
    oldest_queued: datetime | None


@dataclass(frozen=True)
class Schedule:
    """When a tenant's report is due: five-field cron in its own time zone, `since` it was made or changed.

    `last_slot` is the newest time that was posted for or passed over, as it was when the schedule was read.
    """

    tenant_id: UUID
    schedule_id: UUID
    cron: str
    time_zone: str
    since: datetime
    # It moves with each report, and makes no other schedule of it.
    last_slot: datetime | None = field(default=None, compare=False)


def schedules() -> list[Schedule]:
    with transaction():
        return rows(Schedule, "SELECT * FROM live_report_schedules()")


def post_scheduled(tenant_id: UUID, schedule_id: UUID, slot: datetime) -> bool:
    """Queue the report of one slot, once however many daemons try; False when it is there or has nowhere to go.

    A slot that comes before one which was posted or passed over is passed over itself. Without a channel it is so too:
    one that is linked later begins with the next report.
    """
    with tenant_transaction(tenant_id):
        if not changed(_TAKE_SLOT, {"slot": slot, "schedule": schedule_id, "tenant": tenant_id}):
            return False
        return _queue(tenant_id, slot=f"report:{schedule_id}:{slot:%Y-%m-%dT%H:%MZ}") is not None


# Whoever comes second waits for the first, and finds the slot taken.
_TAKE_SLOT = """
    UPDATE report_schedules SET last_slot = %(slot)s
    WHERE id = %(schedule)s AND tenant_id = %(tenant)s AND deleted_at IS NULL AND NOT is_paused
        AND updated_at <= %(slot)s AND coalesce(last_slot < %(slot)s, true)
"""


def post_now(tenant_id: UUID, *, event_id: UUID) -> ChannelRoute | None:
    """Queue a report in the tenant's channel for reports, else alerts, else conversations; None when it has none."""
    set_tenant(tenant_id)
    return _queue(tenant_id, slot=f"report:now:{event_id}")


def _queue(tenant_id: UUID, *, slot: str) -> ChannelRoute | None:
    route = channel_for(tenant_id, *PLACES)
    if route is None:
        return None
    queued = tell(route.slack_team_id, route.slack_channel_id, build(tenant_id), tenant_id=tenant_id, slot=slot)
    return route if queued else None


def build(tenant_id: UUID) -> str:
    """The report's text, complete: it is read aloud, and shown in notifications."""
    tenant = Tenant.get_by_id(tenant_id)
    sessions = list_all(tenant_id)
    counts = _counts(tenant_id)
    held = _held(tenant_id)
    lines = [f"*Health report for {foreign(tenant.name)}* · {local_time(now_utc())}"]
    lines += [_line(facts, counts.get(facts.session.id)) for facts in sessions] or ["No sessions yet."]
    if held:
        lines.append(f"📭 {held} messages wait for a channel: run `channel link` where they should appear.")
    lines += ["", _to_do(sessions, counts)]
    return "\n".join(lines)


def _line(facts: SessionFacts, counts: Counts | None) -> str:
    session = facts.session
    status = session.status.value
    since = f" since {local_time(session.status_changed_at)}" if session.status_changed_at is not None else ""
    line = f"{_MARK[status]} `{foreign(session.name)}` {_WORDS[status]}{since}"
    if facts.server is not None and facts.server.state in {"down", "key_refused"}:
        line += (
            f" · server `{foreign(session.server)}` {'is away' if facts.server.state == 'down' else 'refuses our key'}"
        )
    if counts is None:
        return f"{line}\n      no messages in 24 h · queue empty"
    queue = f"queue {counts.queued}" if counts.queued else "queue empty"
    if counts.oldest_queued is not None:
        queue += f", oldest from {local_time(counts.oldest_queued)}"
    return (
        f"{line}\n      24 h: {counts.received} received, {counts.sent} sent, {counts.delivered} delivered, "
        f"{counts.failed} failed · {queue}"
    )


def _to_do(sessions: list[SessionFacts], counts: dict[UUID, Counts]) -> str:
    found = [step for facts in sessions if (step := _step(facts, counts.get(facts.session.id)))]
    steps = list(dict.fromkeys(found))  # what is the matter with a server is said once
    return "*To do now*\n" + "\n".join(f"• {step}" for step in steps) if steps else "Nothing needs to be done."


def _step(facts: SessionFacts, counts: Counts | None) -> str | None:
    session, name = facts.session, foreign(facts.session.name)
    if session.desired_state == DesiredState.STOPPED:
        return None
    if facts.server is not None and facts.server.state == "key_refused":
        return f"Set the API key of server `{foreign(session.server)}`: WAHA refuses ours."
    if facts.server is not None and facts.server.state == "down":
        return f"Bring WAHA server `{foreign(session.server)}` back; messages wait in the queue until then."
    if session.status == SessionStatus.SCAN_QR:
        return f"Link the phone of `{name}`: `session qr {name}`."
    if session.status in {SessionStatus.FAILED, SessionStatus.STOPPED}:
        return f"Look after `{name}`: `session show {name}`."
    if counts is not None and counts.failed:
        return f"See what failed in `{name}`: `message list --status failed`."
    return None


def _counts(tenant_id: UUID) -> dict[UUID, Counts]:
    found = rows(
        Counts,
        """
        SELECT session_id,
            count(*) FILTER (WHERE is_inbound AND is_recent) AS received,
            count(*) FILTER (WHERE NOT is_inbound AND is_recent AND status IN ('sent', 'delivered')) AS sent,
            count(*) FILTER (WHERE NOT is_inbound AND is_recent AND status = 'delivered') AS delivered,
            count(*) FILTER (WHERE NOT is_inbound AND is_recent AND status = 'failed') AS failed,
            count(*) FILTER (WHERE NOT is_inbound AND status = 'queued') AS queued,
            min(created_at) FILTER (WHERE NOT is_inbound AND status = 'queued') AS oldest_queued
        FROM (
            SELECT session_id, status, created_at, direction = 'inbound' AS is_inbound,
                created_at >= %(since)s AS is_recent
            FROM messages
            WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND (created_at >= %(since)s OR status = 'queued')
        ) counted
        GROUP BY session_id
        """,
        {"tenant": tenant_id, "since": now_utc() - _LOOKS_BACK},
    )
    return {one.session_id: one for one in found}


@dataclass(frozen=True)
class _Held:
    held: int


def _held(tenant_id: UUID) -> int:
    counted = first(
        _Held,
        "SELECT count(*) AS held FROM messages "
        "WHERE tenant_id = %s AND hold_reason = 'no channel' AND deleted_at IS NULL",
        (tenant_id,),
    )
    return counted.held if counted is not None else 0
