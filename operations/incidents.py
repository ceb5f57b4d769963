"""Trouble with sessions and servers: begun, noted, ended by whoever notices; told by `operations.telling`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import peewee
from psycopg2.extras import Json

from database import notify, set_tenant
from models import Incident, IncidentKind, uuid7
from operations.sql import changed, clean_json, value


def begin(
    tenant_id: UUID,
    session_id: UUID,
    kind: IncidentKind,
    *,
    at: datetime,
    cause: str = "",
    details: Mapping[str, Any] | None = None,
) -> UUID:
    """Say that a session is in trouble, in the running transaction; the same trouble is open once, from its first time.

    `cause` is a sentence with the likely cause, "" where none is known.
    """
    set_tenant(tenant_id)
    new = {"id": uuid7(), "tenant": tenant_id, "session": session_id, "kind": kind.value, "at": at, "cause": cause}
    incident_id: UUID = value(
        "INSERT INTO incidents (id, tenant_id, session_id, server, kind, cause, began_at, details) "
        "SELECT %(id)s, %(tenant)s, %(session)s, s.server, %(kind)s, %(cause)s, %(at)s, %(details)s "
        "FROM waha_sessions s WHERE s.id = %(session)s AND s.tenant_id = %(tenant)s "
        "ON CONFLICT (tenant_id, session_id, kind) WHERE ended_at IS NULL AND session_id IS NOT NULL "
        "DO UPDATE SET cause = CASE WHEN excluded.cause = '' THEN incidents.cause ELSE excluded.cause END RETURNING id",
        new | {"details": Json(clean_json(dict(details or {})))},
    )
    notify("incidents")
    return incident_id


def note(tenant_id: UUID, session_id: UUID, kind: IncidentKind, what: str, *, at: datetime) -> bool:
    """Add what was done about a trouble that is open, as a sentence; False where it is not open."""
    set_tenant(tenant_id)
    entry = Json(clean_json([{"at": at.isoformat(), "what": what}]))
    noted = changed(
        "UPDATE incidents SET done = done || %s "
        "WHERE session_id = %s AND kind = %s AND ended_at IS NULL AND tenant_id = %s",
        (entry, session_id, kind.value, tenant_id),
    )
    if noted:
        notify("incidents")
    return bool(noted)


def end(tenant_id: UUID, session_id: UUID, *kinds: IncidentKind, at: datetime) -> int:
    """The trouble is over, of these kinds or of all; how many were open."""
    set_tenant(tenant_id)
    names = [kind.value for kind in kinds or IncidentKind]
    ended = changed(
        "UPDATE incidents SET ended_at = greatest(began_at, %s) "
        "WHERE session_id = %s AND kind = ANY (%s) AND ended_at IS NULL AND tenant_id = %s",
        (at, session_id, names, tenant_id),
    )
    if ended:
        notify("incidents")
    return ended


def blind(tenant_id: UUID, session_id: UUID, *, since: datetime, until: datetime, recovered: int) -> None:
    """Remember in which time customers were not heard, and how many of their messages were read since."""
    set_tenant(tenant_id)
    changed(
        "UPDATE incidents SET blind_from = least(blind_from, %s), blind_to = greatest(blind_to, %s), "
        "recovered = recovered + %s WHERE id = (SELECT id FROM incidents WHERE session_id = %s AND tenant_id = %s "
        "ORDER BY ended_at IS NULL DESC, began_at DESC LIMIT 1)",
        (since, until, recovered, session_id, tenant_id),
    )
    notify("incidents")


def stands_alone() -> peewee.Expression:
    """Whether people of the tenant read an incident by itself.

    What is part of one of the tenant's own is told by that; what is part of the operators' they do not see otherwise.
    """
    whole = Incident.alias()
    of_operators = whole.select(peewee.SQL("1")).where(whole.id == Incident.part_of, whole.tenant_id.is_null())
    return Incident.part_of.is_null() | peewee.fn.EXISTS(of_operators)


def of_tenant(tenant_id: UUID, *, since: datetime) -> list[Incident]:
    """What people were told of and was open at any time since then, the newest first."""
    set_tenant(tenant_id)
    was_open = Incident.ended_at.is_null() | (Incident.ended_at >= since)
    return list(
        Incident.select()
        .where(Incident.tenant_id == tenant_id, was_open, stands_alone())
        .order_by(Incident.began_at.desc())
    )
