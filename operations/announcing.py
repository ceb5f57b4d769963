"""Telling people that a session or a server changed its state: once, and only if the change lasts."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from database import set_tenant, tenant_transaction, transaction
from models import DesiredState, RoutePurpose, ServerState, SessionStatus, WahaServer, WahaSession
from operations.observing import announced
from operations.posting import tell, tell_person
from operations.routes import channel_for
from operations.sql import changed as changed_rows
from operations.sql import rows, value
from slack.mrkdwn import foreign

# WORKING → STARTING → WORKING is a normal reconnect: WAHA's own apps wait as long before they speak.
SETTLED_AFTER = timedelta(seconds=10)


@dataclass(frozen=True)
class Changed:
    """A session whose status is another than people were told."""

    tenant_id: UUID
    session_id: UUID


def announce(changed: Changed, *, operators: Collection[str], settled_after: timedelta = SETTLED_AFTER) -> bool:
    """Tell the tenant's channel for alerts what became of a session; False when there is nothing to say (yet)."""
    with tenant_transaction(changed.tenant_id):
        session = WahaSession.find(changed.session_id)
        if session is None or session.status_changed_at is None or session.status.value == session.announced_status:
            return False
        if value("SELECT clock_timestamp() < %s + %s::interval", (session.status_changed_at, settled_after)):
            return False
        first_time = session.announced_status is None
        announced(session.tenant_id, session.id, session.status.value)
        if not _is_news(session):
            return False
        text = _sentence(session, first_time=first_time)
        if text is None:
            return False
        _tell(session, text, operators)
        return True


def _is_news(session: WahaSession) -> bool:
    """Whether this was not said since the session last worked: one that nobody links fails and starts for ever."""
    told = list(session.metadata.get("told", []))
    status = session.status.value
    is_news = status not in told
    now_told = [] if session.status is SessionStatus.WORKING else [*told, status]
    if now_told != told and (is_news or not now_told):
        changed_rows(
            "UPDATE waha_sessions SET metadata = metadata || jsonb_build_object('told', %s::jsonb) "
            "WHERE id = %s AND tenant_id = %s",
            (json.dumps(now_told), session.id, session.tenant_id),
        )
    return is_news


def _sentence(session: WahaSession, *, first_time: bool) -> str | None:
    name = foreign(session.name)
    match session.status:
        case SessionStatus.WORKING:
            return (
                f"🟢 Session `{name}` works."
                if first_time
                else f"🟢 Session `{name}` works again; what was queued is sent."
            )
        case SessionStatus.SCAN_QR:
            return f"🟠 Session `{name}` waits for its phone: run `session qr {name}` and scan the code."
        case SessionStatus.FAILED:
            if "me_id" not in session.metadata:
                return (
                    f"🔴 Nobody scanned the code of session `{name}` in time. Ask for a new one: `session qr {name}`."
                )
            return (
                f"🔴 Session `{name}` failed. It is restarted by itself; messages to customers wait in the queue. "
                f"If it stays so, see `session show {name}`."
            )
        case SessionStatus.STOPPED if session.desired_state == DesiredState.RUNNING and not first_time:
            return f"⚪ Session `{name}` stopped though it should run; it is started again."
    return None


def announce_server(server: str, *, operators: Collection[str], settled_after: timedelta = SETTLED_AFTER) -> bool:
    """Say once that a WAHA server is away, refuses our key or is back: in the alerts channel of each tenant on it.

    Tenants without one, and an installation without tenants on it, leave it to the operators.
    """
    with transaction():
        known = WahaServer.get_or_none(WahaServer.name == server)
        if known is None or known.state_changed_at is None or known.state.value == known.announced_state:
            return False
        if value("SELECT clock_timestamp() < %s + %s::interval", (known.state_changed_at, settled_after)):
            return False
        is_mine = changed_rows(
            "UPDATE waha_servers SET announced_state = %s WHERE id = %s AND announced_state IS NOT DISTINCT FROM %s",
            (known.state.value, known.id, known.announced_state),
        )
        text = _server_sentence(known)
        if not is_mine or text is None:
            return False
        _tell_of_server(known, text, operators)
        return True


def _server_sentence(known: WahaServer) -> str | None:
    name = foreign(known.name)
    match known.state:
        case ServerState.UP:
            is_back = known.announced_state in {ServerState.DOWN, ServerState.KEY_REFUSED}
            return f"🟢 WAHA server `{name}` is back; what was queued is sent." if is_back else None
        case ServerState.DOWN:
            return (
                f"🔴 WAHA server `{name}` is away: {foreign(known.error_message or 'it does not answer.')} "
                "Messages to customers wait in the queue. Start it again, or look at its network."
            )
        case ServerState.KEY_REFUSED:
            return f"🔴 WAHA server `{name}` refuses our key: {foreign(known.error_message or '')}"
    return None


@dataclass(frozen=True)
class _TenantOnIt:
    tenant_id: UUID


def _tell_of_server(known: WahaServer, text: str, operators: Collection[str]) -> None:
    slot = f"server:{known.name}:{known.state.value}:{known.state_changed_at:%Y-%m-%dT%H:%M:%S.%f}"
    theirs = "SELECT DISTINCT tenant_id FROM sessions_of_server(%s) WHERE NOT is_deleted"
    tenants = rows(_TenantOnIt, theirs, (known.name,))
    everybody_knows = bool(tenants)
    for tenant in tenants:
        set_tenant(tenant.tenant_id)
        route = channel_for(tenant.tenant_id, RoutePurpose.ALERTS)
        if route is None:
            everybody_knows = False
        else:
            tell(
                route.slack_team_id,
                route.slack_channel_id,
                text,
                tenant_id=tenant.tenant_id,
                slot=f"{slot}:{tenant.tenant_id}",
            )
    if not everybody_knows:
        for operator in operators:
            team_id, _, user_id = operator.partition("/")
            tell_person(team_id, user_id, text, tenant_id=None, slot=f"{slot}:{operator}")


def _tell(session: WahaSession, text: str, operators: Collection[str]) -> None:
    slot = f"status:{session.id}:{session.status.value}:{session.status_changed_at:%Y-%m-%dT%H:%M:%S.%f}"
    route = channel_for(session.tenant_id, RoutePurpose.ALERTS)
    if route is not None:
        tell(route.slack_team_id, route.slack_channel_id, text, tenant_id=session.tenant_id, slot=slot)
        return
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=session.tenant_id, slot=f"{slot}:{operator}")
