"""WhatsApp's "reachout timelock" (463): for a time the account may write only to people who wrote to it before.

What is queued for others waits, and stops nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from database import tenant_transaction, transaction
from models import Conversation, Message
from operations.buttons import Act
from operations.hold_reasons import NO_NEW_CHATS
from operations.saying import excerpt_of, say_in_thread
from operations.sql import changed, locked, rows, value
from slack.mrkdwn import local_time
from waha.events import AckError

REFUSED: Final = "WhatsApp lets this account start no new chats for now (463)."

# WhatsApp often does not say for how long, and each further try makes it longer.
_UNSAID = timedelta(hours=24)
_WAITING = (
    "conversation_id = %s AND tenant_id = %s AND status = 'queued' AND direction = 'outbound' AND parked_at IS NULL "
    "AND send_started_at IS NULL"  # else it may have left, and is looked up
)


def restrict(tenant_id: UUID, session_id: UUID, *, until: datetime | None) -> datetime:
    """Let no message to a new contact leave until then, or for a day where WhatsApp did not say; returns the end."""
    ends: datetime = value(
        "UPDATE waha_sessions SET restricted_until = greatest(restricted_until, "
        "CASE WHEN %(until)s > clock_timestamp() THEN %(until)s ELSE clock_timestamp() + %(unsaid)s END) "
        "WHERE id = %(session)s AND tenant_id = %(tenant)s RETURNING restricted_until",
        {"until": until, "unsaid": _UNSAID, "session": session_id, "tenant": tenant_id},
    )
    return ends


def time_in(error: AckError | None) -> datetime | None:
    """When WhatsApp says that it ends: an ISO time; None for anything else."""
    try:
        until = datetime.fromisoformat(error.until or "") if error is not None else None
    except ValueError:
        return None
    return until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until


def is_to_new_contact(message_id: UUID) -> bool:
    """Whether the other side never wrote to us. Locks the conversation."""
    return bool(
        value(
            "SELECT is_new_contact(c) FROM conversations c WHERE c.id = "
            "(SELECT conversation_id FROM messages WHERE id = %s) FOR NO KEY UPDATE",
            (message_id,),
        )
    )


@dataclass(frozen=True)
class _Held:
    tenant_id: UUID
    conversation_id: UUID
    restricted_until: datetime


def tell_held(limit: int = 50) -> int:
    """Say in each thread once that its queue waits, and until when; how many conversations were found."""
    with transaction():
        found = rows(_Held, "SELECT * FROM held_new_contacts(%s, %s)", (limit, NO_NEW_CHATS))
    for held in found:
        with tenant_transaction(held.tenant_id):
            hold(held.tenant_id, held.conversation_id, until=held.restricted_until)
    return len(found)


def hold(tenant_id: UUID, conversation_id: UUID, *, until: datetime) -> None:
    """Mark what waits in a conversation; the first time it is said, with the head's text."""
    place = (conversation_id, tenant_id)
    locked(Conversation.select(Conversation.id).where(Conversation.id == conversation_id)).first()
    is_told = value(
        f"SELECT EXISTS (SELECT 1 FROM messages WHERE {_WAITING} AND hold_reason = %s)",  # noqa: S608 - words of ours
        (*place, NO_NEW_CHATS),
    )
    changed(
        f"UPDATE messages SET hold_reason = %s WHERE {_WAITING} AND hold_reason IS DISTINCT FROM %s",  # noqa: S608
        (NO_NEW_CHATS, *place, NO_NEW_CHATS),
    )
    head = value(f"SELECT id FROM messages WHERE {_WAITING} ORDER BY seq LIMIT 1", place)  # noqa: S608
    if head is not None and not is_told:
        say_held(Message.get_by_id(head), until)


def say_held(message: Message, until: datetime) -> None:
    say_in_thread(
        message,
        f"⏸ Not sent yet: “{excerpt_of(message)}”. {REFUSED} It goes out by itself after {local_time(until)}, or as "
        "soon as the customer writes. Replies to people who wrote first leave as always.",
        Act.DISCARD,
    )
