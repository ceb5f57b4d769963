"""Words about a message of ours in the thread of its conversation."""

from __future__ import annotations

from uuid import UUID

from models import Direction, Message
from operations.buttons import Act, with_buttons
from operations.conversations import living
from operations.posting import queue_in_thread
from operations.sql import value
from slack.mrkdwn import foreign

_EXCERPT = 80


def excerpt_of(message: Message) -> str:
    """How people recognise the message; as mrkdwn."""
    return foreign(message.body[:_EXCERPT]) + ("…" if len(message.body) > _EXCERPT else "")


def lock_thread_of(message_id: UUID, tenant_id: UUID) -> None:
    """Take the message's conversation before the message: its channel stays what it is until the words are queued."""
    value(
        "SELECT id FROM conversations WHERE id = "
        "(SELECT conversation_id FROM messages WHERE id = %s AND tenant_id = %s) FOR NO KEY UPDATE",
        (message_id, tenant_id),
    )


def say_in_thread(message: Message, text: str, *acts: Act) -> None:
    """`text` with a button for each act, in the thread; nowhere if the conversation has none."""
    conversation = living(message.conversation_id) if message.conversation_id else None
    if conversation is None or conversation.slack_channel_id is None or message.direction is not Direction.OUTBOUND:
        return
    queue_in_thread(conversation, text, blocks=with_buttons(text, message.id, *acts))
