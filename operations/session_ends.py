"""The ends of a session that only a person brings about: its phone is logged out, or the session is removed.

What they want is a row at once; WAHA is told by the daemon, however often it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from database import notify, tenant_transaction
from models import ActionKind, ChannelRoute, DesiredState, Message, MessageStatus, WahaSession, now_utc
from operations import adopting, audit, incidents
from operations.actions import LeasedAction, close, tell_asker
from operations.delivery import say_failed
from operations.errors import Conflict
from operations.receipts import show_receipt
from operations.sessions import in_hand, is_under_way, named, one_after_another, order
from operations.sql import changed, rows
from operations.standing import Person
from slack.mrkdwn import foreign

REMOVED = "Its session was removed before it was sent."


def ask_logout(tenant_id: UUID, name: str, *, action_id: UUID, asker: Person, actor: str) -> WahaSession:
    """Ask WAHA to end the pairing of a session with its phone.

    Raises:
        NotFound: there is no such session.
        Conflict: somebody asked for it already, or it is still being taken over.
    """
    session = in_hand(tenant_id, name)
    one_after_another(session)
    if is_under_way(session, ActionKind.LOGOUT, besides=action_id):
        raise Conflict(f"Session `{foreign(session.name)}` is being logged out already.")
    if order(session, ActionKind.LOGOUT, action_id=action_id, asker=asker):
        audit.record(actor, "session.logout", session, tenant_id=tenant_id)
    return session


def ask_removal(tenant_id: UUID, name: str, *, action_id: UUID, asker: Person, actor: str) -> tuple[WahaSession, bool]:
    """Hide a session from now on, and ask WAHA to forget it; its conversations stay readable.

    Returns:
        The session, and whether WAHA is asked: one that was still to be taken over is another's there, and is left.

    Raises:
        NotFound: there is no such session.
    """
    session, now = named(tenant_id, name), now_utc()
    is_ours = not adopting.give_up(session)
    WahaSession.update(deleted_at=now, desired_state=DesiredState.STOPPED, next_control_at=now, updated_at=now).where(
        WahaSession.id == session.id
    ).execute()
    ChannelRoute.update(deleted_at=now, updated_at=now).where(
        ChannelRoute.tenant_id == tenant_id, ChannelRoute.session_id == session.id, ChannelRoute.deleted_at.is_null()
    ).execute()
    incidents.end(tenant_id, session.id, at=now)
    if is_ours:
        order(session, ActionKind.REMOVE, action_id=action_id, asker=asker)
    audit.record(actor, "session.remove", session, tenant_id=tenant_id, before={"server": session.server})
    notify("sessions")
    return session, is_ours


def waiting_messages(session: WahaSession) -> int:
    """How many messages to customers would not be sent any more."""
    found: int = (
        Message.live()
        .where(
            Message.tenant_id == session.tenant_id,
            Message.session_id == session.id,
            Message.status == MessageStatus.QUEUED,
        )
        .count()
    )
    return found


def logged_out(action: LeasedAction, text: str, *, at: datetime) -> bool:
    """The phone is linked no more: the account is forgotten, and nothing runs before somebody asks for a code."""
    with tenant_transaction(action.tenant_id):
        if not close(action, "done_at = clock_timestamp(), error = NULL", ()):
            return False
        changed(
            "UPDATE waha_sessions SET desired_state = 'stopped', metadata = metadata - 'me_id' - 'me_name', "
            "control_attempts = 0, next_control_at = clock_timestamp(), updated_at = clock_timestamp() "
            "WHERE id = %s AND tenant_id = %s",
            (action.session_id, action.tenant_id),
        )
        incidents.end(action.tenant_id, action.session_id, at=at)
        notify("sessions")
        tell_asker(action, text)
        return True


def removed(action: LeasedAction, text: str) -> bool:
    """WAHA has forgotten the session: there is nothing left to stop."""
    with tenant_transaction(action.tenant_id):
        if not close(action, "done_at = clock_timestamp(), error = NULL", ()):
            return False
        changed(
            "UPDATE waha_sessions SET status = 'stopped', status_changed_at = clock_timestamp() "
            "WHERE id = %s AND tenant_id = %s AND status <> 'stopped'",
            (action.session_id, action.tenant_id),
        )
        tell_asker(action, text)
        return True


@dataclass(frozen=True)
class _Waiting:
    message_id: UUID


def fail_waiting(action: LeasedAction, limit: int = 50) -> int:
    """Fail some of what waits for a session that was removed, and say so in its threads; how many were found."""
    with tenant_transaction(action.tenant_id):
        failed = rows(
            _Waiting,
            "UPDATE messages SET status = 'failed', error_message = %s, hold_reason = NULL, parked_at = NULL, "
            "updated_at = clock_timestamp() WHERE id IN (SELECT id FROM messages WHERE tenant_id = %s "
            "AND session_id = %s AND status = 'queued' AND send_started_at IS NULL AND deleted_at IS NULL "
            "AND (lease_token IS NULL OR lease_expires_at < clock_timestamp()) ORDER BY id LIMIT %s FOR NO KEY UPDATE) "
            "RETURNING id AS message_id",
            (REMOVED, action.tenant_id, action.session_id, limit),
        )
        for one in failed:
            message = Message.get_by_id(one.message_id)
            say_failed(message)
            show_receipt(message)
        return len(failed)
