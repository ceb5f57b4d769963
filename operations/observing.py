"""What was seen of sessions and servers, by poll or by webhook; the later observation wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, set_tenant, tenant_transaction, transaction
from models import ServerState, SessionCheck, SessionStatus, WahaServer, WahaSession, now_utc, uuid7
from operations.sql import changed, clean, first, rows
from waha.status import status_of


@dataclass(frozen=True)
class Wanted:
    """A session of a server: what people want, what was last seen, and whether something may be done about it now.

    One that is deleted is wanted stopped, until it is seen to be.
    """

    tenant_id: UUID
    session_id: UUID
    external_session_id: str
    name: str
    status: str
    desired_state: str
    engine: str
    metadata: dict[str, Any]
    config: dict[str, Any]
    error_message: str | None
    status_observed_at: datetime | None
    status_changed_at: datetime | None
    announced_status: str | None
    control_attempts: int
    is_control_due: bool
    is_deleted: bool


@dataclass(frozen=True)
class Seen:
    """What a poll told of one session."""

    tenant_id: UUID
    session_id: UUID
    waha_status: str
    at: datetime
    me_chat_id: str | None = None
    me_name: str | None = None


def observe_status(session: WahaSession, waha_status: str, *, at: datetime, source: str) -> bool:
    """Write a status that was observed later than the last one; a word that is not known leaves it as it is.

    Returns:
        Whether the status is another one now.
    """
    status = status_of(waha_status)
    if status is None or status == session.status.value:
        _keep_word(session, waha_status)
        if status is not None and source == "webhook":
            _seen_again(session, status, at)
        return False
    written = changed(
        "UPDATE waha_sessions SET status = %(status)s, status_observed_at = %(at)s, status_changed_at = %(at)s, "
        "hold_until = NULL, updated_at = clock_timestamp(), "
        "metadata = metadata || jsonb_build_object('raw_status', %(word)s::text) "
        "WHERE id = %(id)s AND tenant_id = %(tenant)s AND coalesce(status_observed_at < %(at)s, true)",
        {"status": status, "at": at, "word": waha_status, "id": session.id, "tenant": session.tenant_id},
    )
    if not written:
        return False
    session.status = SessionStatus(status)  # the next event of the same turn is compared with it
    SessionCheck.create(
        tenant_id=session.tenant_id,
        session_id=session.id,
        status=status,
        raw_status=waha_status,
        source=source,
        observed_at=at,
    )
    notify("messages")  # the queue of a session that works again goes on
    notify("sessions")
    return True


def _seen_again(session: WahaSession, status: str, at: datetime) -> None:
    """What was true before and comes later, since WAHA repeats its webhooks for 36 hours, shall not win over this."""
    changed(
        "UPDATE waha_sessions SET status_observed_at = %(at)s WHERE id = %(id)s AND tenant_id = %(tenant)s "
        "AND status = %(status)s AND coalesce(status_observed_at < %(at)s, true)",
        {"status": status, "at": at, "id": session.id, "tenant": session.tenant_id},
    )


def _keep_word(session: WahaSession, waha_status: str) -> None:
    """WAHA's own word stands in the metadata, also one that we do not know."""
    if session.metadata.get("raw_status") != waha_status:
        changed(
            "UPDATE waha_sessions SET metadata = metadata || jsonb_build_object('raw_status', %s::text) "
            "WHERE id = %s AND tenant_id = %s",
            (clean(waha_status), session.id, session.tenant_id),
        )


def sessions_of(server: str) -> list[Wanted]:
    with transaction():
        return rows(Wanted, "SELECT * FROM sessions_of_server(%s)", (server,))


def record_poll(seen: Sequence[Seen]) -> int:
    """Write what a poll saw anew; the caller leaves out what did not change, so that a quiet poll writes nothing."""
    written = 0
    for one in seen:
        with tenant_transaction(one.tenant_id):
            # Also a deleted one: it is told to stop until it was seen to.
            session = WahaSession.get_or_none(WahaSession.id == one.session_id)
            if session is None:
                continue
            written += observe_status(session, one.waha_status, at=one.at, source="poll")
            _remember_account(session, one)
    return written


def _remember_account(session: WahaSession, seen: Seen) -> None:
    if seen.me_chat_id is None or session.metadata.get("me_id") == seen.me_chat_id:
        return
    changed(
        "UPDATE waha_sessions SET metadata = metadata || jsonb_build_object('me_id', %s::text, 'me_name', %s::text) "
        "WHERE id = %s AND tenant_id = %s",
        (seen.me_chat_id, seen.me_name or "", session.id, session.tenant_id),
    )


@dataclass(frozen=True)
class PollLease:
    """The right of one daemon to look after one server for a while."""

    server: str
    token: UUID


@dataclass(frozen=True)
class _Token:
    poll_lease_token: UUID


def lease_server(server: str, *, token: UUID, lease: timedelta) -> PollLease | None:
    """Take or renew the lease of a server; None while another daemon holds it."""
    with transaction():
        WahaServer.insert(id=uuid7(), name=server).on_conflict_ignore().execute()
        taken = first(
            _Token,
            "UPDATE waha_servers SET poll_lease_token = %s, poll_lease_expires_at = clock_timestamp() + %s "
            "WHERE name = %s AND (poll_lease_token IS NULL OR poll_lease_token = %s "
            "OR poll_lease_expires_at < clock_timestamp()) RETURNING poll_lease_token",
            (token, lease, server, token),
        )
    return PollLease(server, token) if taken is not None else None


def release_server(lease: PollLease) -> None:
    """Give a server back at the end, so that the next daemon need not wait for the lease to run out."""
    with transaction():
        changed(
            "UPDATE waha_servers SET poll_lease_token = NULL, poll_lease_expires_at = NULL "
            "WHERE name = %s AND poll_lease_token = %s",
            (lease.server, lease.token),
        )


def record_server(
    server: str,
    state: ServerState,
    *,
    error_message: str | None = None,
    version: str | None = None,
    engine: str | None = None,
    start_timestamp: int | None = None,
) -> tuple[ServerState, bool]:
    """Write what a server is, where that is new.

    Returns:
        What it was before, and whether WAHA was restarted since.
    """
    with transaction():
        known = WahaServer.get(WahaServer.name == server)
        fresh: dict[str, Any] = {"error_message": error_message}
        fresh |= {} if version is None else {"version": version}
        fresh |= {} if engine is None else {"engine": engine}
        fresh |= {} if start_timestamp is None else {"start_timestamp": start_timestamp}
        if known.state != state:
            fresh |= {"state": state, "state_changed_at": now_utc()}
        different = {name: value for name, value in fresh.items() if getattr(known, name) != value}
        if different:
            WahaServer.update(different | {"observed_at": now_utc()}).where(WahaServer.id == known.id).execute()
    restarted = (
        start_timestamp is not None and known.start_timestamp is not None and known.start_timestamp != start_timestamp
    )
    return known.state, restarted


def control_tried(tenant_id: UUID, session_id: UUID, *, pause: timedelta, error: str | None) -> None:
    """Remember that something was done about a session, so that the next try comes later than the last."""
    with tenant_transaction(tenant_id):
        changed(
            "UPDATE waha_sessions SET control_attempts = control_attempts + 1, error_message = %s, "
            "next_control_at = clock_timestamp() + %s WHERE id = %s AND tenant_id = %s",
            (error, pause, session_id, tenant_id),
        )


def control_settled(tenant_id: UUID, session_id: UUID) -> None:
    """The session is what people want: the next trouble begins with a first try again."""
    with tenant_transaction(tenant_id):
        changed(
            "UPDATE waha_sessions SET control_attempts = 0, error_message = NULL WHERE id = %s AND tenant_id = %s",
            (session_id, tenant_id),
        )


def announced(tenant_id: UUID, session_id: UUID, status: str) -> None:
    """People were told of this status; inside the transaction that queues the words."""
    set_tenant(tenant_id)
    changed(
        "UPDATE waha_sessions SET announced_status = %s WHERE id = %s AND tenant_id = %s",
        (status, session_id, tenant_id),
    )
