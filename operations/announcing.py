"""Telling people that a session's state changed: once, and only if the change lasts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from database import tenant_transaction
from models import DesiredState, RoutePurpose, SessionStatus, WahaSession
from operations.observing import announced
from operations.posting import tell, tell_person
from operations.routes import channel_for
from operations.sql import value
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
        text = _sentence(session, first_time=first_time)
        if text is None:
            return False
        _tell(session, text, operators)
        return True


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
            return (
                f"🔴 Session `{name}` failed. It is restarted by itself; messages to customers wait in the queue. "
                f"If it stays so, see `session show {name}`."
            )
        case SessionStatus.STOPPED if session.desired_state == DesiredState.RUNNING and not first_time:
            return f"⚪ Session `{name}` stopped though it should run; it is started again."
    return None


def _tell(session: WahaSession, text: str, operators: Collection[str]) -> None:
    slot = f"status:{session.id}:{session.status.value}:{session.status_changed_at:%Y-%m-%dT%H:%M:%S.%f}"
    route = channel_for(session.tenant_id, RoutePurpose.ALERTS)
    if route is not None:
        tell(route.slack_team_id, route.slack_channel_id, text, tenant_id=session.tenant_id, slot=slot)
        return
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=session.tenant_id, slot=f"{slot}:{operator}")
