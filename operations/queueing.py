"""Messages that must leave: rows with the next place of their conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import peewee

from database import database, notify
from models import Conversation, Direction, Message, MessageStatus, WahaSession, now_utc
from models.requests import CreateMessage
from operations.conversations import Customer, find_or_open, next_seq, number_of
from operations.errors import BadInput, Refused
from operations.outcomes import NotYet
from operations.posting import queue_in_thread
from operations.receipts import show_receipt
from operations.sql import clean
from slack.mrkdwn import foreign
from waha.chat_ids import kind_of

_MAY_BE_WRITTEN_TO = frozenset({"person", "lid", "group"})


@dataclass(frozen=True)
class SlackOrigin:
    """Which Slack message a WhatsApp message came from; `part` counts when one becomes several."""

    team_id: str
    channel_id: str
    ts: str
    user_id: str
    part: int = 0

    @property
    def written_at(self) -> datetime:
        """When it was written: from then on it waits, also where we heard of it later."""
        return min(datetime.fromtimestamp(float(self.ts), tz=UTC), now_utc())


def queue(
    conversation: Conversation, session: WahaSession, *, chat_id: str, body: str, message_id: UUID, origin: SlackOrigin
) -> Message | None:
    """A reply on its way to the customer; None when this Slack message became one already.

    Raises:
        NotYet: the conversation is no more since it was read, as when it was joined to another of the same customer.
    """
    request = CreateMessage(
        tenant_id=conversation.tenant_id,
        session_id=session.id,
        direction=Direction.OUTBOUND,
        to_msisdn=number_of(chat_id),
        from_msisdn=_own_number(session),
        chat_id=chat_id,
        body=clean(body),
        metadata={"slack_user_id": origin.user_id},
    )
    try:
        with database.atomic():
            message: Message = Message.create(
                id=message_id,
                conversation_id=conversation.id,
                seq=_place_in(conversation),
                status=MessageStatus.QUEUED,
                slack_team_id=origin.team_id,
                slack_channel_id=origin.channel_id,
                slack_ts=origin.ts,
                slack_part=origin.part,
                created_at=origin.written_at,
                **request.model_dump(exclude={"status"}),
            )
    except peewee.IntegrityError:
        if not _came_before(origin):
            raise
        return None
    show_receipt(message)
    notify("messages")
    return message


def _place_in(conversation: Conversation) -> int:
    seq = next_seq(conversation)
    # Asked only now, when its row is locked: whoever joins two conversations has done so by now, or finds this message.
    if Conversation.find(conversation.id) is None:
        raise NotYet("The conversation is no more; its messages are another's.")
    return seq


def _came_before(origin: SlackOrigin) -> bool:
    return bool(
        Message.select()
        .where(
            Message.slack_team_id == origin.team_id,
            Message.slack_channel_id == origin.channel_id,
            Message.slack_ts == origin.ts,
            Message.slack_part == origin.part,
        )
        .exists()
    )


def start(
    session: WahaSession, *, chat_id: str, body: str, message_id: UUID, writer_id: str
) -> tuple[Message, Conversation]:
    """A message that begins or goes on with a conversation from a command, shown in the conversation's thread.

    Raises:
        Refused: the session has no channel, so that nobody would see the answer; or nobody in particular is meant.
    """
    if kind_of(chat_id) not in _MAY_BE_WRITTEN_TO:
        raise BadInput(
            f"`{foreign(chat_id)}` is no person and no group. Stories and channels are not written to from here."
        )
    number = number_of(chat_id)
    customer = Customer(chat_ids=(chat_id,), msisdn=number, is_group=kind_of(chat_id) == "group")
    conversation = find_or_open(session, customer)
    if conversation.slack_channel_id is None:
        raise Refused(
            f"Session `{foreign(session.name)}` has no Slack channel, so nobody would see the answer. "
            "Run `channel link` in the channel for its conversations first."
        )
    message: Message = Message.create(
        id=message_id,
        tenant_id=conversation.tenant_id,
        session_id=session.id,
        conversation_id=conversation.id,
        seq=next_seq(conversation),
        direction=Direction.OUTBOUND,
        to_msisdn=number,
        from_msisdn=_own_number(session),
        chat_id=chat_id,
        body=clean(body),
        metadata={"slack_user_id": writer_id},
    )
    queue_in_thread(conversation, f"<@{writer_id}> writes:\n{foreign(body)}", message_id=message.id)
    notify("messages")
    return message, conversation


def _own_number(session: WahaSession) -> str | None:
    return number_of(str(session.metadata.get("me_id", "")))
