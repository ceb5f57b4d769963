"""What a WhatsApp event changes: message, contact, conversation and posts, in the transaction of its inbox row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

import peewee

from database import database
from models import (
    Conversation,
    ConversationChat,
    Direction,
    Message,
    MessageStatus,
    RoutePurpose,
    WahaSession,
    now_utc,
    uuid7,
)
from operations import delivery, routes
from operations.conversations import Customer, find_or_open, masked, next_seq
from operations.observing import observe_status
from operations.posting import queue_in_thread, tell, tell_person
from operations.relayed import relay_inbound
from operations.sql import clean, clean_json
from slack.mrkdwn import foreign
from waha import events
from waha.chat_ids import digits_of, kind_of
from waha.messages import Message as WahaMessage

# WAHA's session carries our row's id under this name, and repeats it in every event.
SESSION_METADATA = "switchboard.session"

HANDLING_ERRORS = (
    peewee.IntegrityError,
    peewee.DataError,
    peewee.ProgrammingError,
    peewee.DoesNotExist,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What may be wrong with one event. A lost connection is not among them: nothing is wrong with the event then."""

_LONGEST_URL = 500  # the column's; a longer one goes to the metadata
_IGNORED_CHATS = frozenset({"broadcast", "newsletter"})


@dataclass(frozen=True)
class House:
    """What the installation says of itself: whom to tell when a tenant has no channel for it."""

    operators: Collection[str] = ()


def handle(event: events.Event, session_id: UUID, *, house: House) -> None:
    """Apply one event to a session whose tenant is set."""
    session = WahaSession.get_by_id(session_id)
    match event:
        case events.MessageEvent():
            _message(event.message, session, house)
        case events.AckEvent():
            delivery.acknowledge(session, event)
        case events.ReactionEvent():
            _reaction(event, session)
        case events.EditedEvent():
            _edit(event, session)
        case events.RevokedEvent():
            _revocation(event, session)
        case events.SessionStatusEvent():
            observe_status(session, event.waha_status, at=event.envelope.timestamp or now_utc(), source="webhook")
        case _:
            pass


def _message(told: WahaMessage, session: WahaSession, house: House) -> None:
    if kind_of(told.chat_id) in _IGNORED_CHATS:
        return
    if told.from_me and delivery.confirm_own(session, told):
        return
    conversation = find_or_open(session, _customer(told))
    message = _keep(told, session, conversation)
    if message is None:
        return
    _note_activity(conversation, session, told)
    if conversation.slack_channel_id is None:
        Message.update(hold_reason="no channel").where(
            Message.id == message.id, Message.tenant_id == session.tenant_id
        ).execute()
        _tell_of_missing_channel(session, house)
    else:
        relay_inbound(conversation, message)


def _customer(told: WahaMessage) -> Customer:
    chat_ids = tuple(dict.fromkeys(one for one in (told.chat_id, told.alternate_chat_id) if one))
    is_group = kind_of(told.chat_id) == "group"
    name = "" if told.from_me or is_group else told.push_name or ""
    if is_group:
        return Customer(chat_ids=chat_ids, name=name or "WhatsApp group", is_group=True)
    return Customer(
        chat_ids=chat_ids,
        name=name,
        msisdn=next((digits[:20] for one in chat_ids if (digits := digits_of(one))), None),
        lid=next((one for one in chat_ids if kind_of(one) == "lid"), None),
    )


def _keep(told: WahaMessage, session: WahaSession, conversation: Conversation) -> Message | None:
    """The message's row, or None when it was kept before: events come at least once, and one message by several."""
    direction = Direction.OUTBOUND if told.from_me else Direction.INBOUND
    known = Message.select(Message.body).where(
        Message.tenant_id == session.tenant_id,
        Message.session_id == session.id,
        Message.direction == direction,
        Message.waha_message_id == told.message_id,
    )
    if known.exists():
        return None
    own = digits_of(str(session.metadata.get("me_id", "")))
    other = digits_of(told.sender or told.chat_id) if not told.from_me else digits_of(told.chat_id)
    other = other or next((digits for one in (told.alternate_sender,) if one and (digits := digits_of(one))), None)
    metadata = {
        "sender": told.sender,
        "sender_name": told.push_name or (masked(other) if other else ""),
        "timestamp": told.timestamp.astimezone(UTC).isoformat() if told.timestamp else None,
        "source": told.source,
    }
    media_url = told.media.url if told.media is not None else None
    if media_url is not None and len(media_url) > _LONGEST_URL:
        metadata["media_url"], media_url = media_url, None
    try:
        with database.atomic():
            kept: Message = Message.create(
                id=uuid7(),
                tenant_id=session.tenant_id,
                session_id=session.id,
                conversation_id=conversation.id,
                seq=next_seq(conversation),
                direction=direction,
                from_msisdn=own if told.from_me else other,
                to_msisdn=other if told.from_me else own,
                chat_id=told.chat_id,
                body=clean(told.body),
                # What came in is here, so it is delivered; what left from the phone was sent by WhatsApp itself.
                status=MessageStatus.SENT if told.from_me else MessageStatus.DELIVERED,
                delivered_at=None if told.from_me else now_utc(),
                sent_at=now_utc() if told.from_me else None,
                waha_message_id=told.message_id[:255],
                message_type=told.message_type,
                media_url=media_url,
                metadata=clean_json(metadata),
            )
    except peewee.IntegrityError:
        return None
    return kept


def _note_activity(conversation: Conversation, session: WahaSession, told: WahaMessage) -> None:
    at = now_utc()
    WahaSession.update(last_activity_at=at).where(
        WahaSession.id == session.id, WahaSession.tenant_id == session.tenant_id
    ).execute()
    if not told.from_me:
        Conversation.update(last_inbound_at=at).where(
            Conversation.id == conversation.id, Conversation.tenant_id == session.tenant_id
        ).execute()


def _tell_of_missing_channel(session: WahaSession, house: House) -> None:
    """Once a session: its messages are kept, and nobody sees them."""
    text = (
        f"Customers write to session `{foreign(session.name)}`, which has no channel. Their messages are kept. "
        f"Run `channel link --session {foreign(session.name)}` in the channel where they should appear."
    )
    slot = f"no-channel:{session.id}"
    alerts = routes.channel_for(session.tenant_id, RoutePurpose.ALERTS)
    if alerts is not None:
        tell(alerts.slack_team_id, alerts.slack_channel_id, text, tenant_id=session.tenant_id, slot=slot)
        return
    for operator in house.operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=session.tenant_id, slot=f"{slot}:{operator}")


def _thread_of(session: WahaSession, chat_id: str | None) -> Conversation | None:
    conversation: Conversation | None = (
        Conversation.select(Conversation)
        .join(ConversationChat, on=(ConversationChat.conversation_id == Conversation.id))
        .where(
            ConversationChat.tenant_id == session.tenant_id,
            ConversationChat.session_id == session.id,
            ConversationChat.chat_id == chat_id,
            Conversation.deleted_at.is_null(),
            Conversation.slack_channel_id.is_null(is_null=False),
        )
        .first()
    )
    return conversation


def _known(session: WahaSession, message_id: str) -> Message | None:
    message: Message | None = (
        Message.select()
        .where(
            Message.tenant_id == session.tenant_id,
            Message.session_id == session.id,
            Message.waha_message_id == message_id,
        )
        .first()
    )
    return message


def _reaction(event: events.ReactionEvent, session: WahaSession) -> None:
    conversation = _thread_of(session, event.message.chat_id)
    if conversation is None or event.message.from_me:
        return
    who = foreign(event.message.push_name or "The customer")
    target = _known(session, event.target_message_id)
    about = f" to “{foreign(target.body[:80])}”" if target is not None and target.body else ""
    what = f"reacted {foreign(event.emoji)}{about}" if event.emoji else f"took a reaction{about} back"
    queue_in_thread(conversation, f"_{who} {what}_")


def _edit(event: events.EditedEvent, session: WahaSession) -> None:
    conversation = _thread_of(session, event.message.chat_id)
    original = _known(session, event.edited_message_id)
    if conversation is None or event.message.from_me:
        return
    if original is not None:
        Message.update(
            metadata=original.metadata | {"edited_body": clean(event.message.body)}, updated_at=now_utc()
        ).where(Message.id == original.id, Message.tenant_id == session.tenant_id).execute()
    who = foreign(event.message.push_name or "The customer")
    queue_in_thread(conversation, f"_{who} edited a message; it reads now:_\n{foreign(event.message.body[:3800])}")


def _revocation(event: events.RevokedEvent, session: WahaSession) -> None:
    conversation = _thread_of(session, event.chat_id)
    original = _known(session, event.revoked_message_id)
    if conversation is None or event.from_me:
        return
    about = f": “{foreign(original.body[:80])}”" if original is not None and original.body else ""
    queue_in_thread(conversation, f"_The customer deleted a message on WhatsApp{about}_")
