"""What did not reach the customer and waits for a person: failed for good, or set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import peewee

from models import Conversation, Direction, Message, MessageStatus
from operations.buttons import Act
from operations.deciding import acts_of, decide, state_of
from operations.errors import Refused
from operations.hold_reasons import UNKNOWN
from operations.sql import locked

PAGE = 20

# Nobody knows the outcome of the call, or WAHA took it and WhatsApp has not confirmed it.
_MAY_HAVE_LEFT = peewee.Case(
    None,
    [(Message.status == MessageStatus.FAILED, Message.awaits_ack_since.is_null(is_null=False))],
    Message.hold_reason == UNKNOWN,
)


@dataclass(frozen=True)
class DeadLetter:
    """A message that waits for a person, and what they are offered to decide. `why` is a sentence."""

    message: Message
    why: str
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Replayed:
    """How many are on their way again, and how many were left because nobody knows whether they left."""

    again: int
    unknown: int


def failed(
    tenant_id: UUID,
    *,
    session_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = PAGE,
) -> list[DeadLetter]:
    """The newest first; what was discarded, cancelled or replayed waits for nobody. The tenant is set."""
    chosen = _waiting(tenant_id, session_id, since, until).order_by(Message.created_at.desc(), Message.id.desc())
    return [DeadLetter(message, _why(message), acts_of(message)) for message in chosen.limit(limit)]


def count(
    tenant_id: UUID,
    *,
    session_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    written_by: str | None = None,
) -> int:
    """How many there are, however many `failed` shows; `written_by` is a Slack user's id."""
    chosen = _waiting(tenant_id, session_id, since, until)
    if written_by is not None:
        chosen = chosen.where(Message.metadata["slack_user_id"] == written_by)
    return int(chosen.count())


def replay(
    tenant_id: UUID,
    *,
    session_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    user_id: str,
    new_ids: Sequence[UUID],
) -> Replayed:
    """Send again what failed or was set aside, in its order; what may have left is left to a person's own decision.

    As many as there are `new_ids`, the oldest of each conversation first. Each message is replayed once, however often
    and by however many this is asked for. The tenant is set.
    """
    asked = _waiting(tenant_id, session_id, since, until)
    chosen = list(asked.where(~_MAY_HAVE_LEFT).order_by(Message.conversation_id, Message.seq).limit(len(new_ids)))
    # Their conversations first and in one order, so that two who replay wait for each other and not in a circle.
    conversations = Conversation.select(Conversation.id).where(
        Conversation.tenant_id == tenant_id, Conversation.id.in_({message.conversation_id for message in chosen})
    )
    list(locked(conversations.order_by(Conversation.id)))
    again = sum(_replayed(message, new_id, user_id) for message, new_id in zip(chosen, new_ids, strict=False))
    return Replayed(again, asked.where(_MAY_HAVE_LEFT).count())


def _replayed(message: Message, new_id: UUID, user_id: str) -> bool:
    try:
        decide(Act.RETRY, message.id, user_id=user_id, new_id=new_id)
    except Refused:
        return False  # it has moved on since it was read
    return True


def _waiting(
    tenant_id: UUID, session_id: UUID | None, since: datetime | None, until: datetime | None
) -> peewee.ModelSelect[Message]:
    later = Message.alias()
    is_replayed = later.select().where((later.tenant_id == tenant_id) & (later.replay_of == Message.id))
    chosen = Message.live().where(
        Message.tenant_id == tenant_id,
        Message.direction == Direction.OUTBOUND,
        ((Message.status == MessageStatus.FAILED) & ~peewee.fn.jsonb_exists(Message.metadata, "dropped_by"))
        | ((Message.status == MessageStatus.QUEUED) & Message.parked_at.is_null(is_null=False)),
        ~peewee.fn.EXISTS(is_replayed),
    )
    if session_id is not None:
        chosen = chosen.where(Message.session_id == session_id)
    if since is not None:
        chosen = chosen.where(Message.created_at >= since)
    if until is not None:
        chosen = chosen.where(Message.created_at <= until)
    return chosen


def _why(message: Message) -> str:
    return message.error_message or state_of(message).value
