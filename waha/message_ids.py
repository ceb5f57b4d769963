"""A message's id: `true_4915123456789@c.us_3EB0…` written out (serialized), `3EB0…` bare.

Only the bare id is the same in the answer to a send, in the events and in the receipts: the chat and the participant
of the written-out one change between `@c.us` and `@lid`, and every engine answers in another shape.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from waha.chat_ids import from_jid
from waha.loose_json import mapping, text

# The chat may hold no underscore, a participant is the fourth part: `{fromMe}_{chatId}_{id}[_{participant}]`.
_SERIALIZED = re.compile(r"(true|false)_([^_]+@[^_]+)_([^_]+)(?:_(.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SerializedId:
    from_me: bool
    chat_id: str
    bare: str
    participant: str | None = None

    def __str__(self) -> str:
        end = f"_{self.participant}" if self.participant else ""
        return f"{'true' if self.from_me else 'false'}_{self.chat_id}_{self.bare}{end}"


def new_message_id() -> str:
    """An id that WhatsApp's own clients could have made: `3EB0` and 18 hexadecimal digits, upper case."""
    return f"3EB0{secrets.token_hex(9).upper()}"


def parse_serialized(written: str) -> SerializedId | None:
    found = _SERIALIZED.fullmatch(written)
    if found is None:
        return None
    participant = from_jid(found[4]) if found[4] else None
    return SerializedId(found[1] == "true", from_jid(found[2]), found[3], participant)


def chat_id_in(written: str) -> str | None:
    """The chat of a written-out id, which is right on every engine; `payload.from` is the writer on WEBJS."""
    parsed = parse_serialized(written)
    return parsed.chat_id if parsed else None


def bare_id_in(written: str) -> str:
    """The bare id of a written-out one; a bare one stays as it is."""
    parsed = parse_serialized(written)
    return parsed.bare if parsed else written


def id_of(message: Any) -> SerializedId | None:
    """Whose, where and which a message is, out of any engine's shape of it; None where one of the three is missing.

    GOWS and every event: `id` is a string. WEBJS: `id` is `{"fromMe", "remote", "id", "_serialized"}`, and the last was
    renamed in July 2026. NOWEB answers a send with Baileys' `{"key": {"remoteJid", "fromMe", "id"}}` and no `id`.
    """
    written = mapping(message).get("id")
    if isinstance(written, str) and (parsed := parse_serialized(written)):
        return parsed
    if isinstance(written, Mapping):
        return _from_key(written, chat_key="remote") or _from_values(written)
    return _from_key(mapping(message, "key"), chat_key="remoteJid") or _from_key(
        mapping(message, "_data", "key"), chat_key="remoteJid"
    )


def bare_id_of(message: Any) -> str | None:
    """The bare id out of any engine's answer to a send, also where the chat is not told."""
    whole = id_of(message)
    if whole is not None:
        return whole.bare
    source = mapping(message)
    bare = (
        text(source, "id")
        or text(mapping(source, "id"), "id")
        or text(mapping(source, "key"), "id")
        or text(mapping(source, "_data", "Info"), "ID")
        or text(mapping(source, "_data", "key"), "id")
    )
    return bare_id_in(bare) if bare else None


def _from_key(key: Mapping[str, Any], *, chat_key: str) -> SerializedId | None:
    chat_id, bare = text(key, chat_key), text(key, "id")
    if chat_id is None or bare is None:
        return None
    participant = text(key, "participant")
    return SerializedId(
        key.get("fromMe") is True, from_jid(chat_id), bare_id_in(bare), from_jid(participant) if participant else None
    )


def _from_values(key: Mapping[str, Any]) -> SerializedId | None:
    for value in key.values():
        if isinstance(value, str) and (parsed := parse_serialized(value)):
            return parsed
    return None
