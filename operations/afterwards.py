"""What happens to a WhatsApp message after it was written: it is reacted to, edited, deleted; its thread is told once.

Each returns whether it could be handled. It cannot where the message is not here yet and may still come; where it does
not come, the thread is told all the same, without the words that it is about.
"""

from __future__ import annotations

from hashlib import sha256

from psycopg2.extras import Json

from models import Conversation, Direction, Message, WahaSession
from operations.conversations import Customer, known_to, living
from operations.held import DEACTIVATED
from operations.keeping import kept_message
from operations.posting import queue_in_thread
from operations.relayed import edited, excerpt, revoked
from operations.sql import changed, clean
from slack.mrkdwn import foreign
from waha import events


def reaction(event: events.ReactionEvent, session: WahaSession, *, may_wait: bool) -> bool:
    """A customer's reaction, also one that is taken back. What comes as `@c.us` and as `@lid` is said once."""
    if event.message.from_me:
        return True
    target = kept_message(session, event.target_message_id) or kept_message(
        session, event.target_message_id, Direction.OUTBOUND
    )
    if target is None and may_wait:
        return False
    conversation = _thread_of(session, event.message.chat_id, target)
    if conversation is not None:
        who = foreign(event.message.push_name or "The customer")
        about = f" to {excerpt(target)}" if target is not None and target.body else ""
        what = f"reacted {foreign(event.emoji)}{about}" if event.emoji else f"took a reaction{about} back"
        queue_in_thread(
            conversation, f"_{who} {what}_", slot=_slot("reaction", session, event.message.message_id, event.emoji)
        )
    return True


def edit(event: events.EditedEvent, session: WahaSession, *, may_wait: bool) -> bool:
    """A new text of a customer's message. One that was written before the present text changes nothing."""
    told = event.message
    if told.from_me:
        return True
    original = kept_message(session, event.edited_message_id)
    if original is None and may_wait:
        return False
    conversation = _thread_of(session, told.chat_id, original)
    at = told.timestamp.isoformat() if told.timestamp else ""
    if original is not None and not _apply_edit(original, clean(told.body), at):
        return True
    if conversation is not None:
        slot = _slot("edit", session, event.edited_message_id, told.message_id, at, told.body)
        queue_in_thread(conversation, edited(told.push_name or "", told.body), slot=slot)
    return True


def revocation(event: events.RevokedEvent, session: WahaSession, *, may_wait: bool) -> bool:
    """A customer deleted a message for everybody."""
    if event.from_me:
        return True
    original = kept_message(session, event.revoked_message_id)
    if original is None and may_wait:
        return False
    conversation = _thread_of(session, event.chat_id, original)
    if original is not None:
        changed(
            "UPDATE messages SET metadata = metadata || '{\"revoked\": true}', updated_at = clock_timestamp() "
            "WHERE id = %s AND tenant_id = %s",
            (original.id, session.tenant_id),
        )
    if conversation is not None:
        queue_in_thread(conversation, revoked(original), slot=_slot("revoked", session, event.revoked_message_id))
    return True


def _apply_edit(original: Message, body: str, at: str) -> bool:
    """Whether this is news: not where the message reads so already, or a later edit came before."""
    return bool(
        changed(
            "UPDATE messages SET metadata = metadata || %s, updated_at = clock_timestamp() "
            "WHERE id = %s AND tenant_id = %s AND coalesce(metadata->>'edited_at', '') <= %s "
            "AND metadata->>'edited_body' IS DISTINCT FROM %s",
            (Json({"edited_body": body, "edited_at": at}), original.id, original.tenant_id, at, body),
        )
    )


def _thread_of(session: WahaSession, chat_id: str | None, about: Message | None) -> Conversation | None:
    """The conversation with a thread: that of the chat, else of the message that it is about.

    Its row is locked, as whatever posts into a thread does, before the message and the lane of the thread. Nothing is
    told of a message that waits to be shown: its edits and its end are told with it.
    """
    if about is not None and about.hold_reason == DEACTIVATED:
        return None
    found = known_to(session, Customer(chat_ids=(chat_id,))) if chat_id is not None else []
    conversation = found[0] if found else None
    if conversation is None and about is not None and about.conversation_id is not None:
        conversation = living(about.conversation_id)
    return conversation if conversation is not None and conversation.slack_channel_id is not None else None


def _slot(kind: str, session: WahaSession, *facts: str) -> str:
    """What is told again under another chat id or event id takes the same place."""
    fingerprint = sha256("\n".join(facts).encode(errors="replace")).hexdigest()
    return f"{kind}:{session.id}:{fingerprint}"
