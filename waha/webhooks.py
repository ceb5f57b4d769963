"""What WAHA posts to us: is it from WAHA, which row is it, what does it say.

Events come at least once, in no order, and again for 36 hours until they are answered with a 2xx within 8 s.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from waha.events import (
    AckEvent,
    EditedEvent,
    Envelope,
    Event,
    MalformedEvent,
    MessageEvent,
    ReactionEvent,
    RevokedEvent,
    SessionStatusEvent,
    UnknownEvent,
    revoked_id,
)
from waha.loose_json import NotJson, Object, mapping, text
from waha.loose_json import parse as parse_json
from waha.message_ids import id_of

SIGNATURE_HEADER = "X-Webhook-Hmac"
ALGORITHM_HEADER = "X-Webhook-Hmac-Algorithm"

# Chosen to be known by every version that is served: up to 2026.2 an unknown name is refused with 400. `message` is
# left out because `message.any` repeats it.
SUBSCRIBED_EVENTS = (
    "message.any",
    "message.ack",
    "message.ack.group",
    "message.reaction",
    "message.edited",
    "message.revoked",
    "session.status",
)

# In bytes. WAHA's own names are far shorter, and an index of PostgreSQL takes 2,700 bytes of several together.
_LONGEST_NAME = 255

# An event of our own making, which the doctor posts to see whether the address of webhooks leads here; never stored.
PROBE = "switchboard.probe"

# How the id of an event begins that was read from WAHA's history: see `as_webhook`.
HISTORY = "history_"

_PARSERS: dict[str, Callable[[Envelope, Object], Event]] = {
    "message": MessageEvent.parse,
    "message.any": MessageEvent.parse,
    "message.ack": AckEvent.parse,
    "message.ack.group": AckEvent.parse,
    "message.reaction": ReactionEvent.parse,
    "message.edited": EditedEvent.parse,
    "message.revoked": RevokedEvent.parse,
    "session.status": SessionStatusEvent.parse,
}


class InboxKey(NamedTuple):
    """What tells one event from another, and the chat whose events are worked off in turn (None: no chat)."""

    session: str
    event_id: str
    event_name: str
    chat_id: str | None


def verify(raw: bytes, signature: str | None, algorithm: str | None, key: str) -> bool:
    """Whether `signature` is the HMAC-SHA512 of exactly these bytes, in lower-case hexadecimal digits.

    WAHA names the algorithm in a header; another one is refused, none at all is taken for SHA-512. WAHA checks no
    certificate when it posts, so this is what tells it from anybody else. An empty `key` accepts nothing.
    """
    if not key or not signature or algorithm not in {None, "sha512"}:
        return False
    expected = hmac.new(key.encode(), raw, hashlib.sha512).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def envelope_of(raw: bytes) -> InboxKey | None:
    """The key of an event without looking further into it; None for what is no JSON or lacks one of the three names.

    Names that PostgreSQL could not store (U+0000) count as missing, and so do overlong ones of an event or a session;
    the fingerprint of an overlong id stands for it.
    """
    try:
        event = mapping(parse_json(raw))
    except NotJson:
        return None
    session, event_id, name = (text(event, key) for key in ("session", "id", "event"))
    if session is None or event_id is None or name is None or "\0" in session + event_id + name:
        return None
    if max(len(session.encode()), len(name.encode())) > _LONGEST_NAME:
        return None
    chat_id = _chat_of(name, mapping(event, "payload"))
    return InboxKey(session, _short(event_id), name, _short(chat_id) if chat_id else None)


def _short(name: str) -> str:
    raw = name.encode()
    return name if len(raw) <= _LONGEST_NAME else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _chat_of(name: str, payload: Object) -> str | None:
    whole = revoked_id(payload) if name == "message.revoked" else id_of(payload)
    return whole.chat_id if whole and "\0" not in whole.chat_id else None


def parse(raw: bytes) -> Event:
    """The event in a webhook's body; U+0000 stays in its strings, which PostgreSQL cannot store.

    Raises:
        MalformedEvent: it is no event of WAHA, or not about anything.
    """
    try:
        event = mapping(parse_json(raw))
    except NotJson as error:
        raise MalformedEvent("The body is not JSON.") from error
    envelope = Envelope.parse(event)
    return _PARSERS.get(envelope.name, UnknownEvent.parse)(envelope, mapping(event, "payload"))


def as_webhook(
    session: str,
    row: Object,
    *,
    engine: str | None = None,
    version: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A row of WAHA's message history as the event it would have been, so that catching up takes the same way in.

    The same row always gets the same id, `history_{fromMe}_{bare id}`. `metadata` is what the reader adds of its own.

    Raises:
        MalformedEvent: the row tells no message id or no chat.
    """
    whole = id_of(row)
    if whole is None:
        raise MalformedEvent("The row tells no message id or no chat.")
    event = {
        "id": history_id(whole.bare, from_me=whole.from_me),
        "event": "message.any",
        "session": session,
        "metadata": dict(metadata or {}),
        "engine": engine,
        "payload": row,
        "environment": {"engine": engine, "version": version},
    }
    return json.dumps(event).encode()


def history_id(message_id: str, *, from_me: bool) -> str:
    """The id of the event as which a message of the history comes."""
    return f"{HISTORY}{'true' if from_me else 'false'}_{message_id}"
