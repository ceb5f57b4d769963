"""What people want of a WhatsApp session. The daemon makes it true."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID, uuid5

import peewee

from database import database, notify, set_tenant
from models import (
    ActionKind,
    DesiredState,
    Engine,
    Message,
    MessageStatus,
    SessionStatus,
    WahaAction,
    WahaServer,
    WahaSession,
    now_utc,
)
from models.requests import CreateWahaSession
from operations import audit
from operations.errors import Conflict, NotFound
from operations.session_config import sealed_config
from operations.sql import value
from operations.standing import Person
from slack.mrkdwn import escape, foreign

# WAHA: `^[a-zA-Z0-9_-]*$`, at most 54 characters. What is left after the two names is the random part.
_NAME_PART = 18


def new_external_session_id(tenant_name: str, session_name: str) -> str:
    """`acme-sales-4f0c…`: readable on the WAHA server, never used a second time.

    WAHA repeats a deleted session's webhooks for up to 36 hours; a name that came back would receive its messages.
    """
    parts = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_PART] for name in (tenant_name, session_name)]
    return "-".join([*(part for part in parts if part), secrets.token_hex(6)])


@dataclass(frozen=True)
class SessionFacts:
    """A session, what is queued for it, and what is known of its server."""

    session: WahaSession
    queued: int
    server: WahaServer | None


def engine_of(server: str) -> Engine | None:
    """The engine that a server runs; None while it has not said, or when it is one that we do not know."""
    known = WahaServer.select(WahaServer.engine).where(WahaServer.name == server).first()
    return Engine(known.engine) if known is not None and known.engine in set(Engine) else None


def add(request: CreateWahaSession, *, session_id: UUID, external_session_id: str, actor: str) -> WahaSession:
    """A session that should run; the daemon creates it on its server.

    Raises:
        Conflict: the tenant has a session of that name, or the server runs another engine.
    """
    engine = engine_of(request.server)
    if engine not in {None, request.engine}:
        raise Conflict(
            f"Server `{escape(request.server)}` runs {engine}; a session there cannot use {request.engine}. "
            "Leave `--engine` out, or choose a server that runs it."
        )
    set_tenant(request.tenant_id)
    try:
        with database.atomic():
            fields = request.model_dump() | {"config": sealed_config(request.config, session_id)}
            session = WahaSession.create(id=session_id, external_session_id=external_session_id, **fields)
    except peewee.IntegrityError as error:
        raise Conflict(
            f"This tenant has a session called `{escape(request.name)}` already; choose another name."
        ) from error
    audit.record(actor, "session.add", session, tenant_id=request.tenant_id, after={"name": request.name})
    notify("sessions")
    return session


def named(tenant_id: UUID, name: str) -> WahaSession:
    """The tenant's session of that name.

    Raises:
        NotFound: the tenant has none of that name; another tenant's is none.
    """
    set_tenant(tenant_id)
    mine = list(WahaSession.live().where(WahaSession.tenant_id == tenant_id).order_by(WahaSession.name))
    for session in mine:
        if session.name == name.strip().lower():
            return session
    near = difflib.get_close_matches(name, [session.name for session in mine], n=1)
    hint = (
        f" Did you mean `{near[0]}`?" if near else " See `session list`." if mine else " Add one: `session add NAME`."
    )
    raise NotFound(f"This tenant has no session called `{escape(name)}`.{hint}")


def in_hand(tenant_id: UUID, name: str) -> WahaSession:
    """The tenant's session of that name, of which something may be asked of WAHA.

    Raises:
        NotFound: the tenant has none of that name.
        Conflict: it is still being taken over: until WAHA has said that it has it, it is nobody's of ours.
    """
    session = named(tenant_id, name)
    if why_not := _why_not_in_hand(session):
        raise Conflict(why_not)
    return session


def want(tenant_id: UUID, name: str, state: DesiredState, *, actor: str) -> tuple[WahaSession, bool]:
    """Set what the session should be; the second value says whether that is new.

    Raises:
        NotFound: there is no such session.
        Conflict: it is still being taken over.
    """
    session = in_hand(tenant_id, name)
    before = session.desired_state
    is_new = before != state
    WahaSession.update(desired_state=state, control_attempts=0, next_control_at=now_utc(), updated_at=now_utc()).where(
        WahaSession.id == session.id
    ).execute()
    if is_new:
        audit.record(
            actor,
            f"session.want.{state.value}",
            session,
            tenant_id=tenant_id,
            before={"desired_state": before.value},
            after={"desired_state": state.value},
        )
    notify("sessions")
    return session, is_new


def list_all(tenant_id: UUID) -> list[SessionFacts]:
    set_tenant(tenant_id)
    queued = _queued(tenant_id)
    servers = _servers()
    return [
        SessionFacts(session, queued.get(session.id, 0), servers.get(session.server))
        for session in WahaSession.live().where(WahaSession.tenant_id == tenant_id).order_by(WahaSession.name)
    ]


def show(tenant_id: UUID, name: str) -> SessionFacts:
    session = named(tenant_id, name)
    return SessionFacts(session, _queued(tenant_id).get(session.id, 0), _servers().get(session.server))


def ask_restart(
    tenant_id: UUID, session: UUID | str, *, action_id: UUID, asker: Person | None, actor: str, reason: str
) -> bool:
    """Ask for a restart of a session, by its id or name; a person who asks hears once how it ended.

    Returns:
        False when nobody asks and one is under way, or is not wanted since the session should be stopped.

    Raises:
        NotFound: there is no such session.
        Conflict: a person asks, and one is under way, or the session should be stopped or is still being taken over.
    """
    found = _of_id(tenant_id, session) if isinstance(session, UUID) else named(tenant_id, session)
    one_after_another(found)
    if in_the_way := _why_no_restart(found, action_id):
        if asker is not None:
            raise Conflict(in_the_way)
        return False
    if order(found, ActionKind.RESTART, action_id=action_id, asker=asker, payload={"reason": reason}):
        audit.record(actor, "session.restart", found, tenant_id=tenant_id, after={"reason": reason})
    return True


def one_after_another(session: WahaSession) -> None:
    """Whoever else asks something of the session waits until this transaction ends, and then sees what it asked."""
    value(
        "SELECT id FROM waha_sessions WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (session.id, session.tenant_id),
    )


def _why_no_restart(session: WahaSession, action_id: UUID) -> str:
    name = foreign(session.name)
    if why_not := _why_not_in_hand(session):
        return why_not
    if session.desired_state == DesiredState.STOPPED:
        return f"Session `{name}` should be stopped, so it is not restarted. Start it: `session start {name}`."
    if is_under_way(session, ActionKind.RESTART, besides=action_id):
        return f"Session `{name}` is being restarted already. See `session show {name}`."
    return ""


def _why_not_in_hand(session: WahaSession) -> str:
    if not is_under_way(session, ActionKind.ADOPT):
        return ""
    name = foreign(session.name)
    return (
        f"Session `{name}` is still being taken over from WAHA server `{foreign(session.server)}`; whoever asked for "
        f"that hears by direct message what came of it. Wait for it, or give it up: `session remove {name}`."
    )


def is_under_way(session: WahaSession, *kinds: ActionKind, besides: UUID | None = None) -> bool:
    """Whether one of these was asked for and has not ended."""
    query = WahaAction.select().where(
        WahaAction.tenant_id == session.tenant_id,
        WahaAction.session_id == session.id,
        WahaAction.kind.in_(list(kinds)),
        WahaAction.done_at.is_null(),
        WahaAction.parked_at.is_null(),
    )
    return bool((query if besides is None else query.where(WahaAction.id != besides)).exists())


def order(
    session: WahaSession,
    kind: ActionKind,
    *,
    action_id: UUID,
    asker: Person | None = None,
    payload: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Ask the daemon to carry something out on WAHA; False when this was asked before."""
    asked = (
        WahaAction.insert(
            id=action_id,
            tenant_id=session.tenant_id,
            session_id=session.id,
            kind=kind,
            payload=dict(payload),
            slack_team_id=asker.team_id if asker else "",
            slack_user_id=asker.user_id if asker else "",
        )
        .on_conflict_ignore()
        .returning(WahaAction.id)
        .execute()
    )
    notify("actions")
    return bool(list(asked))


def _of_id(tenant_id: UUID, session_id: UUID) -> WahaSession:
    set_tenant(tenant_id)
    theirs = WahaSession.live().where(WahaSession.id == session_id, WahaSession.tenant_id == tenant_id)
    found: WahaSession | None = theirs.first()
    if found is None:
        raise NotFound("This session was removed. See `session list`.")
    return found


def ask_qr(tenant_id: UUID, name: str, *, action_id: UUID, asker: Person, actor: str) -> WahaSession:
    """Ask for the QR code; it goes to the asker alone, by direct message, when WAHA has one."""
    return ask_code(tenant_id, name, ActionKind.QR, action_id=action_id, asker=asker, actor=actor)


def ask_code(
    tenant_id: UUID,
    name: str,
    kind: ActionKind,
    *,
    action_id: UUID,
    asker: Person,
    actor: str,
    payload: Mapping[str, Any] = MappingProxyType({}),
) -> WahaSession:
    """Ask for a QR code or a pairing code; it goes to the asker alone. A session that makes none is started for it.

    Raises:
        NotFound: there is no such session.
        Conflict: it is still being taken over.
    """
    session = in_hand(tenant_id, name)
    if session.desired_state == DesiredState.STOPPED:
        want(tenant_id, name, DesiredState.RUNNING, actor=actor)
    elif session.status == SessionStatus.FAILED:
        restart_id, reason = uuid5(action_id, "restart"), "a code was asked for"
        ask_restart(tenant_id, session.id, action_id=restart_id, asker=None, actor=actor, reason=reason)
    if order(session, kind, action_id=action_id, asker=asker, payload=payload):
        asked_for = "session.pair" if kind is ActionKind.PAIR else "session.qr"
        audit.record(actor, asked_for, session, tenant_id=tenant_id)
    return session


def _queued(tenant_id: UUID) -> dict[UUID, int]:
    counted = (
        Message.select(Message.session_id, peewee.fn.count(Message.id).alias("queued"))
        .where(Message.tenant_id == tenant_id, Message.status == MessageStatus.QUEUED, Message.deleted_at.is_null())
        .group_by(Message.session_id)
        .tuples()
    )
    return dict(cast("Iterable[tuple[UUID, int]]", counted))


def _servers() -> dict[str, WahaServer]:
    # The bot may not read the webhook key, so the columns are named.
    columns = (
        WahaServer.id,
        WahaServer.name,
        WahaServer.state,
        WahaServer.error_message,
        WahaServer.version,
        WahaServer.observed_at,
        WahaServer.state_changed_at,
    )
    return {server.name: server for server in WahaServer.select(*columns)}
