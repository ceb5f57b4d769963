"""What WAHA tells by itself, one class for each kind of event that we subscribe to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from waha.acks import Receipt, ack_in, receipt_of
from waha.chat_ids import from_jid
from waha.loose_json import Object, flag, mapping, moment, text
from waha.message_ids import SerializedId, bare_id_in, id_of, parse_serialized
from waha.messages import Message
from waha.payloads import Me, metadata_in
from waha.status import SessionStatus, status_of


class MalformedEvent(ValueError):
    """A webhook that cannot be an event of WAHA: no JSON, no name, no session, or nothing that it is about."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every event carries. `timestamp` is when WAHA made the event, the same when it is posted again hours later.

    `id` is None from servers of 2024 and before; `message` and `message.any` about one message share it.
    """

    id: str | None
    name: str
    session: str
    metadata: Mapping[str, str]
    timestamp: datetime | None
    engine: str | None
    version: str | None
    me: Me | None

    @classmethod
    def parse(cls, event: Object) -> Self:
        name, session = text(event, "event"), text(event, "session")
        if name is None or session is None:
            raise MalformedEvent("The event has no name or no session.")
        return cls(
            id=text(event, "id"),
            name=name,
            session=session,
            metadata=metadata_in(event),
            timestamp=moment(event.get("timestamp")),
            engine=text(event, "engine") or text(mapping(event, "environment"), "engine"),
            version=text(mapping(event, "environment"), "version"),
            me=Me.parse(event.get("me")),
        )


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """`message.any`, and `message`, which repeats it for what others wrote."""

    envelope: Envelope
    message: Message

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        return cls(envelope, _message(payload))


@dataclass(frozen=True, slots=True)
class AckError:
    """Why WhatsApp refused what WAHA had accepted (NOWEB since 2026.7.2). `code` "463": see `AccountRestricted`."""

    code: str | None
    blocked: bool
    reason: str | None
    until: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        if not isinstance(source, Mapping):
            return None
        code = source.get("code")
        return cls(
            code=str(code) if isinstance(code, str | int) else None,
            blocked=flag(source, "blocked") or False,
            reason=text(source, "reason"),
            until=text(source, "until"),
        )


@dataclass(frozen=True, slots=True)
class AckEvent:
    """How far a message got; in a group once for each `participant`.

    `from_me` is false when another device of ours read what a customer wrote: no receipt for anything we sent.
    """

    envelope: Envelope
    message_id: str
    chat_id: str
    from_me: bool
    participant: str | None
    ack: int | None
    error: AckError | None

    @property
    def receipt(self) -> Receipt | None:
        return receipt_of(self.ack)

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        whole = _whole_id(payload)
        said = flag(payload, "fromMe")
        participant = text(payload, "participant")
        return cls(
            envelope=envelope,
            message_id=whole.bare,
            chat_id=whole.chat_id,
            from_me=whole.from_me if said is None else said,
            participant=from_jid(participant) if participant else whole.participant,
            ack=ack_in(payload),
            error=AckError.parse(payload.get("error")),
        )


@dataclass(frozen=True, slots=True)
class ReactionEvent:
    """`message` is the reaction itself; `emoji` is empty when it was taken back."""

    envelope: Envelope
    message: Message
    emoji: str
    target_message_id: str
    # Whether the message reacted to is ours; None when its id does not say.
    target_from_me: bool | None

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        reaction = mapping(payload, "reaction")
        target = text(reaction, "messageId")
        if target is None:
            raise MalformedEvent("The reaction does not say to which message.")
        parsed = parse_serialized(target)
        return cls(
            envelope=envelope,
            message=_message(payload),
            emoji=text(reaction, "text") or "",
            target_message_id=bare_id_in(target),
            target_from_me=parsed.from_me if parsed else None,
        )


@dataclass(frozen=True, slots=True)
class EditedEvent:
    """`message.body` is the new text of `edited_message_id`, a message of the same chat."""

    envelope: Envelope
    message: Message
    edited_message_id: str

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        edited = text(payload, "editedMessageId")
        if edited is None:
            raise MalformedEvent("The edit does not say of which message.")
        return cls(envelope, _message(payload), bare_id_in(edited))


@dataclass(frozen=True, slots=True)
class RevokedEvent:
    """A message was deleted for everyone; `chat_id` and `from_me` are None when WAHA told nothing but the id."""

    envelope: Envelope
    revoked_message_id: str
    chat_id: str | None
    from_me: bool | None

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        whole = revoked_id(payload)
        revoked = text(payload, "revokedMessageId")
        if revoked is None:
            raise MalformedEvent("The revocation does not say of which message.")
        return cls(
            envelope=envelope,
            revoked_message_id=bare_id_in(revoked),
            chat_id=whole.chat_id if whole else None,
            from_me=whole.from_me if whole else None,
        )


@dataclass(frozen=True, slots=True)
class SessionStatusEvent:
    """A session's state. SCAN_QR_CODE comes again with every new code, WORKING with new `data` and no reconnect."""

    envelope: Envelope
    waha_status: str
    data: Object

    @property
    def status(self) -> SessionStatus | None:
        return status_of(self.waha_status)

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        waha_status = text(payload, "status")
        if waha_status is None:
            raise MalformedEvent("The session's status is missing.")
        return cls(envelope, waha_status, mapping(payload, "data"))


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a kind that is not read here, or not known yet."""

    envelope: Envelope
    payload: Object

    @classmethod
    def parse(cls, envelope: Envelope, payload: Object) -> Self:
        return cls(envelope, payload)


Event = MessageEvent | AckEvent | ReactionEvent | EditedEvent | RevokedEvent | SessionStatusEvent | UnknownEvent


def revoked_id(payload: Object) -> SerializedId | None:
    """`after` is what is left of the message, `before` what it was; WAHA knows `before` only if it kept it."""
    return id_of(mapping(payload, "before")) or id_of(mapping(payload, "after"))


def _message(payload: Object) -> Message:
    message = Message.parse(payload)
    if message is None:
        raise MalformedEvent("The message's id or its chat is missing.")
    return message


def _whole_id(payload: Object) -> SerializedId:
    whole = id_of(payload)
    if whole is None:
        raise MalformedEvent("The message's id or its chat is missing.")
    return whole
