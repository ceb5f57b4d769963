"""Sending once more what failed: as a new message, so that the failed one stays what it was."""

from __future__ import annotations

from uuid import UUID

from database import notify
from models import Direction, Message, MessageStatus
from operations.conversations import living, next_seq
from operations.errors import Refused
from operations.receipts import show_receipt
from operations.sql import changed

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
    # The row that shows receipts goes over too, with what it knows to be shown; after a failure it may begin anew.
    changed(
        'UPDATE slack_posts SET slot = %s, message_id = %s, payload = payload || \'{"receipt": "failed"}\' '
        "WHERE slot = %s AND tenant_id = %s",
        (f"receipt:{again.id}", again.id, f"receipt:{message.id}", message.tenant_id),
    )
    show_receipt(again)
    notify("messages")
    return again


def _swapped(message: Message, seq: int) -> int | None:
    """Move a message to another place; the place that it had."""
    changed("UPDATE messages SET seq = %s WHERE id = %s AND tenant_id = %s", (seq, message.id, message.tenant_id))
    return message.seq
