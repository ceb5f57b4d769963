"""Sending once more what failed: as a new message, so that the failed one stays what it was."""

from __future__ import annotations

from uuid import UUID

from database import notify
from models import Direction, Message, MessageStatus
from operations.conversations import living, next_seq
from operations.errors import Refused
from operations.receipts import hand_over_receipt
from operations.sql import changed, value

_ORIGIN = ("slack_team_id", "slack_channel_id", "slack_ts", "slack_part")
_SAME = ("tenant_id", "session_id", "to_msisdn", "from_msisdn", "chat_id", "message_type", "media_url")
_AGE = ("created_at", "confirmed_at")
_WRITER = "slack_user_id"


def replay(message: Message, *, new_id: UUID, body: str | None = None, in_place: bool = False) -> Message:
    """A new message at the end of the conversation, with another `body` if one is given; `message` is locked.

    With `in_place` it stands where the failed one stood, and is as old: nobody decided it, and nothing overtakes it.

    It takes over the Slack message that the failed one came from: receipts there are its own from now on, and what
    people do to that Slack message is about it.

    Raises:
        Refused: the conversation is gone, with its session.
    """
    conversation = living(message.conversation_id) if message.conversation_id is not None else None
    if conversation is None:
        raise Refused("Nothing was changed. The session of this conversation was removed. See `session list`.")
    end = next_seq(conversation)
    seq = _swapped(message, end) if in_place and conversation.id == message.conversation_id else end
    origin = {name: getattr(message, name) for name in _ORIGIN}
    changed(
        "UPDATE messages SET slack_team_id = NULL, slack_channel_id = NULL, slack_ts = NULL, slack_part = NULL "
        "WHERE id = %s AND tenant_id = %s",
        (message.id, message.tenant_id),
    )
    again: Message = Message.create(
        id=new_id,
        conversation_id=conversation.id,
        seq=seq,
        direction=Direction.OUTBOUND,
        status=MessageStatus.QUEUED,
        body=message.body if body is None else body,
        metadata={_WRITER: message.metadata[_WRITER]} if _WRITER in message.metadata else {},
        replay_of=message.id,
        **origin,
        **{name: getattr(message, name) for name in (_SAME + _AGE if in_place else _SAME)},
    )
    hand_over_receipt(message, again)
    notify("messages")
    return again


def newest_of(message_id: UUID, tenant_id: UUID) -> UUID | None:
    """The message that an outbound one was replaced by in the end, or itself; locked. None for an inbound one."""
    newest: UUID | None = None
    following = value(
        "SELECT id FROM messages WHERE id = %s AND tenant_id = %s AND direction = 'outbound' FOR NO KEY UPDATE",
        (message_id, tenant_id),
    )
    # Each is locked before its replay is looked for: one that was being made meanwhile is committed by then.
    while following is not None:
        newest = following
        following = value(
            "SELECT id FROM messages WHERE replay_of = %s AND tenant_id = %s FOR NO KEY UPDATE", (newest, tenant_id)
        )
    return newest


def _swapped(message: Message, seq: int) -> int | None:
    """Move a message to another place; the place that it had."""
    changed("UPDATE messages SET seq = %s WHERE id = %s AND tenant_id = %s", (seq, message.id, message.tenant_id))
    return message.seq
