"""A WhatsApp message as WAHA's events and history tell it (`WAMessage`), the same on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from waha.acks import ack_in
from waha.chat_ids import from_jid, kind_of
from waha.loose_json import Object, flag, mapping, moment, text
from waha.message_ids import SerializedId, bare_id_in, id_of

MessageType = Literal["text", "image", "video", "audio", "document", "location", "contact", "other"]


@dataclass(frozen=True, slots=True)
class Media:
    """A file of a message.

    `url` is None when WAHA was told not to download it or could not (`error`). Its host is WAHA's idea of its own
    address: `WahaClient.download` goes to the configured one. WAHA keeps files for 180 s unless told otherwise.
    """

    url: str | None
    mimetype: str | None
    filename: str | None
    error: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        if not isinstance(source, Mapping):
            return None
        error = mapping(source, "error")
        said = text(error, "details", "message") or text(source, "error") or ("unknown" if error else None)
        return cls(text(source, "url"), text(source, "mimetype"), text(source, "filename"), said)


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that another one answers."""

    message_id: str
    participant: str | None
    body: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        quoted = mapping(source)
        message_id = text(quoted, "id")
        if message_id is None:
            return None
        return cls(bare_id_in(message_id), _chat_id(text(quoted, "participant")), text(quoted, "body"))


@dataclass(frozen=True, slots=True)
class Location:
    latitude: str
    longitude: str
    name: str | None

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        place = mapping(source)
        latitude, longitude = (
            str(value) if isinstance(value := place.get(key), str | float | int) and value != "" else None
            for key in ("latitude", "longitude")
        )
        if latitude is None or longitude is None:
            return None
        return cls(latitude, longitude, text(place, "name", "description", "address"))


@dataclass(frozen=True, slots=True)
class Message:
    """`message_id` is the bare id; `chat_id` is the chat, whoever wrote; `sender` is None for our own messages."""

    message_id: str
    chat_id: str
    from_me: bool
    sender: str | None
    participant: str | None
    body: str
    timestamp: datetime | None
    has_media: bool
    media: Media | None
    location: Location | None
    vcards: tuple[str, ...]
    reply_to: Quoted | None
    push_name: str | None
    # "api" or "app" for our own messages. NOWEB and WEBJS forget at a restart what they sent: a hint, no proof.
    source: str | None
    ack: int | None
    # The same chat, the same sender by their other name: `@lid` for a phone number and the other way round.
    alternate_chat_id: str | None
    alternate_sender: str | None
    raw: Object = field(repr=False)

    @property
    def serialized_id(self) -> str:
        """The written-out id that reactions, edits and read marks want."""
        return str(SerializedId(self.from_me, self.chat_id, self.message_id, self.participant))

    @property
    def message_type(self) -> MessageType:
        if self.location:
            return "location"
        if self.vcards:
            return "contact"
        if self.has_media:
            return _type_of_media(self.media)
        return "text" if self.body else "other"

    @classmethod
    def parse(cls, source: Any) -> Self | None:
        """None when the message's id or its chat cannot be told."""
        payload = mapping(source)
        whole = id_of(payload)
        if whole is None:
            return None
        from_me = whole.from_me if (said := flag(payload, "fromMe")) is None else said
        participant = _participant(payload, whole)
        alternate_chat_id, alternate_sender = _alternates(payload, whole.chat_id, from_me=from_me)
        return cls(
            message_id=whole.bare,
            chat_id=whole.chat_id,
            from_me=from_me,
            sender=None if from_me else participant or whole.chat_id,
            participant=participant,
            body=text(payload, "body") or "",
            timestamp=moment(payload.get("timestamp")),
            has_media=flag(payload, "hasMedia") or False,
            media=Media.parse(payload.get("media")),
            location=Location.parse(payload.get("location")),
            vcards=_vcards(payload.get("vCards")),
            reply_to=Quoted.parse(payload.get("replyTo")),
            push_name=_push_name(payload),
            source=text(payload, "source"),
            ack=ack_in(payload),
            alternate_chat_id=alternate_chat_id,
            alternate_sender=alternate_sender,
            raw=payload,
        )


def _type_of_media(media: Media | None) -> MessageType:
    kind = (media.mimetype or "").partition("/")[0] if media else ""
    match kind:
        case "image" | "video" | "audio":
            return kind
        case _:
            return "document"


def _chat_id(jid: str | None) -> str | None:
    return from_jid(jid) if jid else None


def _participant(payload: Object, whole: SerializedId) -> str | None:
    return (
        _chat_id(text(payload, "participant"))
        or whole.participant
        or _chat_id(text(mapping(payload, "_data", "key"), "participant"))
    )


def _push_name(payload: Object) -> str | None:
    """The name that the sender gave themselves: each engine keeps it under a key of its own."""
    return text(mapping(payload, "_data"), "pushName", "notifyName") or text(
        mapping(payload, "_data", "Info"), "PushName"
    )


def _alternates(payload: Object, chat_id: str, *, from_me: bool) -> tuple[str | None, str | None]:
    """(the chat's, the sender's) other id: NOWEB has both in `key`, GOWS the writer's and the reader's in `Info`."""
    key, info = mapping(payload, "_data", "key"), mapping(payload, "_data", "Info")
    sender = _chat_id(text(key, "participantAlt") or text(info, "SenderAlt"))
    if kind_of(chat_id) not in {"person", "lid"}:
        return None, sender
    chat = _chat_id(text(key, "remoteJidAlt") or text(info, "RecipientAlt" if from_me else "SenderAlt"))
    return chat, None if from_me else chat


def _vcards(value: Any) -> tuple[str, ...]:
    return tuple(card for card in value if isinstance(card, str)) if isinstance(value, list) else ()
