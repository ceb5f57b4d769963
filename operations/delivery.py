"""How far our messages got: acknowledgements and echoes from WAHA. A status moves forward only."""

from __future__ import annotations

from models import Conversation, Direction, Message, WahaSession
from operations.posting import queue_in_thread
from operations.receipts import show_receipt
from operations.sql import changed, value
from slack.mrkdwn import foreign
from waha.events import AckEvent
from waha.messages import Message as WahaMessage

_UNDELIVERED = "status IN ('queued', 'sent')"


def acknowledge(session: WahaSession, event: AckEvent) -> None:
    """Apply an acknowledgement to the message that it is of; one of something unknown says nothing."""
    # Another device of the account read what a customer wrote: no receipt of ours.
    if not event.from_me or event.receipt is None:
        return
    message_id = value(
        "SELECT id FROM messages WHERE tenant_id = %s AND session_id = %s AND direction = 'outbound' "
        "AND waha_message_id = %s FOR NO KEY UPDATE",
        (session.tenant_id, session.id, event.message_id),
    )
    if message_id is None:
        return
    match event.receipt:
        case "failed":
            code = event.error.code if event.error is not None else None
            why = "WhatsApp refused it" + (f" (code {code})" if code else "") + "."
            moved = _fail(message_id, session, why)
        case "sent":
            moved = _forward(message_id, session, "status = 'queued'", "status = 'sent'")
        case "delivered":
            moved = _forward(
                message_id, session, _UNDELIVERED, "status = 'delivered', delivered_at = clock_timestamp()"
            )
        case "read":
            moved = _read(message_id, session)
        case _:
            moved = False
    if moved:
        show_receipt(Message.get_by_id(message_id))


def confirm_own(session: WahaSession, told: WahaMessage) -> bool:
    """Whether a message that left the account is one of ours, which is then known to have been sent."""
    message_id = value(
        "SELECT id FROM messages WHERE tenant_id = %s AND session_id = %s AND direction = 'outbound' "
        "AND waha_message_id = %s FOR NO KEY UPDATE",
        (session.tenant_id, session.id, told.message_id),
    )
    if message_id is None:
        return False
    # NOWEB tells of a message before WhatsApp has it (ack 0): then only the answer to the call says that it was sent.
    if (told.ack is None or told.ack >= 1) and _forward(message_id, session, "status = 'queued'", "status = 'sent'"):
        show_receipt(Message.get_by_id(message_id))
    return True


def _read(message_id: object, session: WahaSession) -> bool:
    assignments = (
        "status = 'delivered', delivered_at = coalesce(delivered_at, clock_timestamp()), read_at = clock_timestamp()"
    )
    return _forward(message_id, session, "status IN ('queued', 'sent', 'delivered') AND read_at IS NULL", assignments)


def _forward(message_id: object, session: WahaSession, condition: str, assignments: str) -> bool:
    """Move a status forward and free the conversation: what was acknowledged is no longer in flight."""
    moved = changed(
        f"UPDATE messages SET {assignments}, sent_at = coalesce(sent_at, clock_timestamp()), "  # noqa: S608 - words of ours
        "error_message = NULL, hold_reason = NULL, parked_at = NULL, updated_at = clock_timestamp() "
        f"WHERE id = %s AND tenant_id = %s AND {condition}",
        (message_id, session.tenant_id),
    )
    return bool(moved)


def _fail(message_id: object, session: WahaSession, why: str) -> bool:
    moved = changed(
        "UPDATE messages SET status = 'failed', error_message = %s, updated_at = clock_timestamp() "
        "WHERE id = %s AND tenant_id = %s AND status IN ('queued', 'sent')",
        (why, message_id, session.tenant_id),
    )
    if moved:
        say_failed(Message.get_by_id(message_id))
    return bool(moved)


def say_failed(message: Message) -> None:
    """Say in the thread that a message did not arrive, why, and what to do."""
    conversation = Conversation.find(message.conversation_id) if message.conversation_id else None
    if conversation is None or conversation.slack_channel_id is None or message.direction is not Direction.OUTBOUND:
        return
    excerpt = foreign(message.body[:80])
    queue_in_thread(
        conversation,
        f"❌ Not delivered: “{excerpt}”. {foreign(message.error_message or 'No reason was given.')} "
        "Write it again in this thread if it is still wanted.",
    )
