"""From what is observed of sessions and servers to incidents: what lasts begins one, what works again ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import notify
from models import IncidentKind, uuid7
from operations.sql import changed, rows

# WORKING → STARTING → WORKING is a normal reconnect: WAHA's own apps wait as long before they speak.
SETTLED = timedelta(seconds=10)

# Of a session's status: whoever sees it works again knows that these are over. The others end by whoever began them.
OF_STATUS = (IncidentKind.FAILED, IncidentKind.STOPPED, IncidentKind.NEEDS_SCAN)
OF_SERVER = {"down": IncidentKind.SERVER_AWAY, "key_refused": IncidentKind.KEY_REFUSED}

_BEGIN = """
    INSERT INTO incidents (id, tenant_id, session_id, server, kind, cause, began_at)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    ON CONFLICT DO NOTHING
"""
_CAUSES = {
    IncidentKind.FAILED: "its account was logged out on the phone, or it crashed on the WAHA server.",
    IncidentKind.STOPPED: "somebody stopped it on the WAHA server, or the server itself was stopped.",
    IncidentKind.NEEDS_SCAN: "its account was logged out, on the phone or by WhatsApp.",
}
_NEVER_LINKED = "nobody scanned its code in time."


@dataclass(frozen=True)
class _Trouble:
    session_id: UUID
    server: str
    kind: str
    since: datetime
    has_account: bool


@dataclass(frozen=True)
class _Server:
    name: str
    state: str
    error_message: str | None
    since: datetime


def notice(tenant_id: UUID, now: datetime) -> None:
    """Begin and end what is the matter with a tenant's sessions and the servers that they are on."""
    _end_what_is_gone(tenant_id, now)
    _end_what_works(tenant_id, now)
    _begin_of_sessions(tenant_id, now)
    notice_servers(tenant_id, now)


def notice_servers(tenant_id: UUID | None, now: datetime) -> None:
    """The same for the servers alone: those that a tenant is on, or without a tenant all that there are."""
    _end_of_servers(tenant_id, now)
    columns = "SELECT v.name, v.state, v.error_message, v.state_changed_at AS since FROM waha_servers v "
    lasting = (
        "WHERE v.state IN ('down', 'key_refused') AND v.state_changed_at <= %s "
        "AND v.name NOT IN (SELECT servers_left_alone(%s))"
    )
    parameters: tuple[Any, ...] = (now - SETTLED, now)
    if tenant_id is not None:
        lasting += (
            " AND EXISTS (SELECT 1 FROM waha_sessions s WHERE s.server = v.name AND s.tenant_id = %s "
            "AND s.deleted_at IS NULL AND s.desired_state = 'running')"
        )
        parameters += (tenant_id,)
    found = rows(_Server, columns + lasting, parameters)
    _insert(
        tenant_id,
        [
            (None, one.name, OF_SERVER[one.state], one.error_message or "it does not answer.", one.since)
            for one in found
        ],
    )


def unsettled(tenant_id: UUID, now: datetime) -> int:
    """How many sessions are in trouble since so short a time that it may pass by itself."""
    sql = "SELECT session_id FROM sessions_in_trouble(%s, %s) WHERE since > %s"
    return len(rows(_Unsettled, sql, (now, tenant_id, now - SETTLED)))


def suspected(tenant_id: UUID) -> int:
    """How many sessions are taken for silent, and not named so yet."""
    sql = (
        "SELECT session_id FROM session_watches WHERE tenant_id = %s AND suspected_at IS NOT NULL AND named_at IS NULL"
    )
    return len(rows(_Unsettled, sql, (tenant_id,)))


@dataclass(frozen=True)
class _Unsettled:
    session_id: UUID


def _begin_of_sessions(tenant_id: UUID, now: datetime) -> None:
    found = rows(
        _Trouble,
        "SELECT session_id, server, kind, since, has_account FROM sessions_in_trouble(%s, %s) t WHERE since <= %s "
        "AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.tenant_id = %s AND i.session_id = t.session_id "
        "AND i.kind = t.kind AND i.ended_at IS NULL)",
        (now, tenant_id, now - SETTLED, tenant_id),
    )
    _insert(
        tenant_id,
        [(one.session_id, one.server, IncidentKind(one.kind), _cause(one), one.since) for one in found],
    )


def _cause(trouble: _Trouble) -> str:
    return _CAUSES[IncidentKind(trouble.kind)] if trouble.has_account else _NEVER_LINKED


def _insert(tenant_id: UUID | None, found: Sequence[tuple[UUID | None, str, IncidentKind, str, datetime]]) -> None:
    if not found:
        return
    sessions, servers, kinds, causes, since = zip(*found, strict=True)
    words = [kind.value for kind in kinds]
    ids = [uuid7() for _ in found]
    changed(_BEGIN, (ids, [tenant_id] * len(ids), list(sessions), list(servers), words, list(causes), list(since)))
    notify("incidents")


def _end_what_works(tenant_id: UUID, now: datetime) -> None:
    changed(
        "UPDATE incidents i SET ended_at = greatest(i.began_at, s.status_changed_at) FROM waha_sessions s "
        "WHERE s.id = i.session_id AND s.tenant_id = i.tenant_id AND i.tenant_id = %s AND i.kind = ANY (%s) "
        "AND i.ended_at IS NULL AND s.status = 'working' AND s.status_changed_at <= %s",
        (tenant_id, [kind.value for kind in OF_STATUS], now - SETTLED),
    )


def _end_what_is_gone(tenant_id: UUID, now: datetime) -> None:
    """What people stopped or deleted is in no trouble any more; what WhatsApp thinks of a number outlasts a stop."""
    changed(
        "UPDATE incidents i SET ended_at = greatest(i.began_at, %s), details = i.details || %s FROM waha_sessions s "
        "WHERE s.id = i.session_id AND s.tenant_id = i.tenant_id AND i.tenant_id = %s AND i.ended_at IS NULL "
        "AND s.deleted_at IS NULL AND s.desired_state = 'stopped' AND i.kind <> 'number'",
        (now, Json({"ended": "stopped"}), tenant_id),
    )
    changed(
        "UPDATE incidents i SET ended_at = greatest(i.began_at, %s), details = i.details || %s FROM waha_sessions s "
        "WHERE s.id = i.session_id AND s.tenant_id = i.tenant_id AND i.tenant_id = %s AND i.ended_at IS NULL "
        "AND s.deleted_at IS NOT NULL",
        (now, Json({"ended": "deleted"}), tenant_id),
    )


def _end_of_servers(tenant_id: UUID | None, now: datetime) -> None:
    """Up again for a while, in another trouble, polled by nobody, or nothing of the tenant's is on it."""
    changed(
        "UPDATE incidents i SET ended_at = greatest(i.began_at, %s), details = i.details || %s "
        "WHERE i.tenant_id IS NOT DISTINCT FROM %s AND i.session_id IS NULL AND i.kind = ANY (%s) "
        "AND i.ended_at IS NULL AND i.server IN (SELECT servers_left_alone(%s))",
        (now, Json({"ended": "unwatched"}), tenant_id, [kind.value for kind in OF_SERVER.values()], now),
    )
    changed(
        "UPDATE incidents i SET ended_at = greatest(i.began_at, v.state_changed_at) FROM waha_servers v "
        "WHERE v.name = i.server AND i.tenant_id IS NOT DISTINCT FROM %s AND i.session_id IS NULL "
        "AND i.kind = ANY (%s) AND i.ended_at IS NULL AND v.state_changed_at <= %s "
        "AND v.state <> CASE i.kind WHEN 'server_away' THEN 'down' ELSE 'key_refused' END",
        (tenant_id, [kind.value for kind in OF_SERVER.values()], now - SETTLED),
    )
    if tenant_id is not None:
        changed(
            "UPDATE incidents i SET ended_at = greatest(i.began_at, %s), details = i.details || %s "
            "WHERE i.tenant_id = %s AND i.session_id IS NULL AND i.kind = ANY (%s) AND i.ended_at IS NULL "
            "AND NOT EXISTS (SELECT 1 FROM waha_sessions s WHERE s.server = i.server AND s.tenant_id = i.tenant_id "
            "AND s.deleted_at IS NULL AND s.desired_state = 'running')",
            (now, Json({"ended": "left"}), tenant_id, [kind.value for kind in OF_SERVER.values()]),
        )
