"""What was seen of sessions and servers, by poll or by webhook; the later observation wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import notify, transaction
from models import ServerState, SessionCheck, SessionStatus, WahaServer, WahaSession, now_utc, uuid7
from operations.sql import changed, clean, first, rows
from waha.status import status_of


@dataclass(frozen=True)
class Wanted:
    """A session of a server: what people want, what was last seen, and what was done about it.

    One that is deleted is wanted stopped, until it is seen to be. `status_for` is how long it has its status, None
    before the first; `restarts_today` are ours since midnight in UTC, and with `has_given_up` it was said that none is
    left. It is unsettled while tries are counted, and stuck while that is an open incident.
    """

    tenant_id: UUID
    session_id: UUID
    external_session_id: str
    status: str
    desired_state: str
    engine: str
    me_id: str | None
    raw_status: str | None
    status_for: timedelta | None
    control_attempts: int
    is_control_due: bool
    restarts_today: int
    has_given_up: bool
    is_unsettled: bool
    is_stuck: bool
    is_deleted: bool

    @property
    def should_run(self) -> bool:
        return self.desired_state == "running"


@dataclass(frozen=True)
class Seen:
    """What a poll told of one session."""

    session_id: UUID
    waha_status: str
    me_chat_id: str | None = None
    me_name: str | None = None


@dataclass(frozen=True)
class Moved:
    """A session whose status is another one since a poll."""

    tenant_id: UUID
    session_id: UUID
    status: str
    was: str


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


def sessions_of(server: str, *, now: datetime | None = None) -> list[Wanted]:
    with transaction():
        return rows(Wanted, "SELECT * FROM sessions_of_server(%s, %s)", (server, now))


@dataclass(frozen=True)
class _Restless:
    session_id: UUID
    times: int


def restless(server: str, *, since: datetime, times: int) -> dict[UUID, int]:
    """Sessions that connected so often since then, and how often: none of it lasted."""
    with transaction():
        found = rows(_Restless, "SELECT * FROM restless_sessions(%s, %s, %s)", (server, since, times))
    return {one.session_id: one.times for one in found}


def record_poll(server: str, seen: Sequence[Seen], *, at: datetime) -> list[Moved]:
    """Write in one statement what a poll saw anew, and tell what moved.

    The caller leaves out what did not change, so that a quiet poll writes nothing. Where something was seen later than
    `at`, as by a webhook, that stands.
    """
    fresh = [
        {
            "session_id": str(one.session_id),
            "check_id": str(uuid7()),
            "status": status_of(one.waha_status),
            "word": clean(one.waha_status),
            "me_id": one.me_chat_id,
            "me_name": clean(one.me_name or ""),
        }
        for one in seen
    ]
    with transaction():
        moved = rows(Moved, "SELECT * FROM record_observations(%s, %s, %s)", (server, at, Json(fresh)))
        if moved:
            notify("messages")  # the queue of a session that works again goes on
            notify("incidents")
    return moved


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
    """Give a server back at the end, so that the next daemon need not wait for the lease to run out.

    Until when it was looked after stays, for `servers_left_alone`.
    """
    with transaction():
        changed(
            "UPDATE waha_servers SET poll_lease_token = NULL, poll_lease_expires_at = clock_timestamp() "
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
    worker_id: str | None = None,
    at: datetime | None = None,
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
        fresh |= {} if worker_id is None else {"worker_id": worker_id}
        if known.state != state:
            fresh |= {"state": state, "state_changed_at": at or now_utc()}
        different = {name: value for name, value in fresh.items() if getattr(known, name) != value}
        if different:
            WahaServer.update(different | {"observed_at": now_utc()}).where(WahaServer.id == known.id).execute()
    restarted = (
        start_timestamp is not None and known.start_timestamp is not None and known.start_timestamp != start_timestamp
    )
    return known.state, restarted
