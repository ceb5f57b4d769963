"""What a WhatsApp event changes: message, contact, conversation and posts, in the transaction of its inbox row."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, timedelta
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
from operations.conversations import Customer, find_or_open, masked, next_seq, number_of, route_for
from operations.held import hold
from operations.observing import observe_status
from operations.outcomes import NotYet, Parked
from operations.posting import queue_in_thread, tell, tell_person
from operations.relayed import relay_inbound
from operations.sql import clean, clean_json, try_share
from slack.mrkdwn import foreign
from waha import events
from waha.chat_ids import kind_of
from waha.messages import Message as WahaMessage

# WAHA's session carries our row's id under this name, and repeats it in every event.
SESSION_METADATA = "switchboard.session"

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
            # WAHA's clock may be ahead; a status from the future would hide every poll until then.
            at = min(event.envelope.timestamp or now_utc(), now_utc())
            observe_status(session, event.waha_status, at=at, source="webhook")
        case _:
            pass


def _message(told: WahaMessage, session: WahaSession, house: House) -> None:
    if kind_of(told.chat_id) in _IGNORED_CHATS:
        return
    if _is_known(told, session) or (told.from_me and delivery.confirm_own(session, told)):
        return
    conversation = find_or_open(session, _customer(told))
    message = _keep(told, session, conversation)
    _note_activity(conversation, session, told)
    if conversation.slack_channel_id is None:
        _hold(message, session, house)
    else:
        relay_inbound(conversation, message)


def _is_known(told: WahaMessage, session: WahaSession) -> bool:
    """Whether the message was kept before: events come at least once, and one message by several.

    Raises:
        Parked: a message of that id was kept, and it is another one.
    """
    kept = None if told.from_me else _known(session, told.message_id, Direction.INBOUND)
    if kept is None:
        return False
    is_same_text = clean(told.body) in {"", kept.body, kept.metadata.get("edited_body")}
    # A customer is `@c.us` in one event and `@lid` in the next; two of one kind are two customers.
    kinds = {kind_of(told.chat_id), kind_of(str(kept.chat_id))}
    is_same_chat = told.chat_id == kept.chat_id or kinds == {"person", "lid"}
    if not (is_same_text and is_same_chat):
        raise Parked("Another message was kept under this message's id.")
    return True


def _hold(message: Message, session: WahaSession, house: House) -> None:
    if not try_share(routes.links_of(session.tenant_id)) or route_for(session) is not None:
        raise NotYet("A channel is being linked for this session.")
    hold(message)
    _tell_of_missing_channel(session, house)


def _customer(told: WahaMessage) -> Customer:
    chat_ids = tuple(dict.fromkeys(one for one in (told.chat_id, told.alternate_chat_id) if one))
    is_group = kind_of(told.chat_id) == "group"
    name = "" if told.from_me or is_group else _name_of(told)
    if is_group:
        return Customer(chat_ids=chat_ids, name=name or "WhatsApp group", is_group=True)
    return Customer(
        chat_ids=chat_ids,
        name=name,
        msisdn=next((number for one in chat_ids if (number := number_of(one))), None),
        lid=next((one for one in chat_ids if kind_of(one) == "lid"), None),
    )


def _name_of(told: WahaMessage) -> str:
    """What the customer calls themselves; a number is no name, and would stand unmasked where names are shown."""
    name = told.push_name or ""
    return name if re.search(r"[^\W\d_]", name) else ""


def _keep(told: WahaMessage, session: WahaSession, conversation: Conversation) -> Message:
    """The message's row.

    Raises:
        NotYet: another lane keeps it at this moment, under the chat's other name.
    """
    direction = Direction.OUTBOUND if told.from_me else Direction.INBOUND
    own = number_of(str(session.metadata.get("me_id", "")))
    other = number_of(told.sender or told.chat_id) or number_of(told.alternate_sender or "")
    metadata = {
        "sender": told.sender,
        "sender_name": _name_of(told) or (masked(other) if other else ""),
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
    except peewee.IntegrityError as error:
        if _known(session, told.message_id, direction) is None:
            raise
        raise NotYet("Another event of this message was handled at the same moment.") from error
    return kept


def _note_activity(conversation: Conversation, session: WahaSession, told: WahaMessage) -> None:
    at = now_utc()
    # Once a second is exact enough: an update a message would have all chats of a session wait for each other.
    if session.last_activity_at is None or at - session.last_activity_at > timedelta(seconds=1):
        WahaSession.update(last_activity_at=at).where(
            WahaSession.id == session.id, WahaSession.tenant_id == session.tenant_id
        ).execute()
    if not told.from_me:
        Conversation.update(last_inbound_at=at).where(
            Conversation.id == conversation.id, Conversation.tenant_id == session.tenant_id
        ).execute()


def _tell_of_missing_channel(session: WahaSession, house: House) -> None:
    """Once, and again after a channel was linked and taken away: messages are kept, and nobody sees them."""
    text = (
        f"Customers write to session `{foreign(session.name)}`, which has no channel. Their messages are kept. "
        f"Run `channel link --session {foreign(session.name)}` in the channel where they should appear."
    )
    slot = f"no-channel:{session.id}:{routes.newest_of(session.tenant_id)}"
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


def _known(session: WahaSession, message_id: str, direction: Direction = Direction.INBOUND) -> Message | None:
    message: Message | None = (
        Message.select()
        .where(
            Message.tenant_id == session.tenant_id,
            Message.session_id == session.id,
            Message.direction == direction,
            Message.waha_message_id == message_id[:255],
        )
        .first()
    )
    return message


def _reaction(event: events.ReactionEvent, session: WahaSession) -> None:
    conversation = _thread_of(session, event.message.chat_id)
    if conversation is None or event.message.from_me:
        return
    who = foreign(event.message.push_name or "The customer")
    target = _known(session, event.target_message_id) or _known(session, event.target_message_id, Direction.OUTBOUND)
    about = f" to “{foreign(target.body[:80])}”" if target is not None and target.body else ""
    what = f"reacted {foreign(event.emoji)}{about}" if event.emoji else f"took a reaction{about} back"
    queue_in_thread(conversation, f"_{who} {what}_")


def _edit(event: events.EditedEvent, session: WahaSession) -> None:
    if event.message.from_me:
        return
    conversation = _thread_of(session, event.message.chat_id)
    original = _known(session, event.edited_message_id)
    if original is not None:
        Message.update(
            metadata=original.metadata | {"edited_body": clean(event.message.body)}, updated_at=now_utc()
        ).where(Message.id == original.id, Message.tenant_id == session.tenant_id).execute()
    if conversation is None:
        return
    who = foreign(event.message.push_name or "The customer")
    queue_in_thread(conversation, f"_{who} edited a message; it reads now:_\n{foreign(event.message.body[:3800])}")


def _revocation(event: events.RevokedEvent, session: WahaSession) -> None:
    conversation = _thread_of(session, event.chat_id)
    original = _known(session, event.revoked_message_id)
    if conversation is None or event.from_me:
        return
    about = f": “{foreign(original.body[:80])}”" if original is not None and original.body else ""
    queue_in_thread(conversation, f"_The customer deleted a message on WhatsApp{about}_")
