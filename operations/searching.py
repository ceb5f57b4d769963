"""Messages by their words, inside one tenant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from database import set_tenant
from models import Conversation, Message
from operations.errors import BadInput
from operations.sql import clean, rows

PAGE = 20
_LONGEST = 300
_BEFORE = 25
_AFTER = 90
# What phones and Macs write for a quotation mark.
_QUOTES = str.maketrans(dict.fromkeys("„“”‟«»", '"'))
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Found:
    """A message with where it stands; `excerpt` is what its writer said around the first word that was looked for."""

    message: Message
    excerpt: str
    slack_team_id: str | None
    slack_channel_id: str | None
    slack_thread_ts: str | None


@dataclass(frozen=True)
class _Hit:
    message_id: UUID


def search(
    tenant_id: UUID,
    typed: str,
    *,
    session_id: UUID | None = None,
    since: datetime | None = None,
    before: Message | None = None,
) -> list[Found]:
    """A page of the tenant's messages that contain all words, newest first; `before` is the last of the page before.

    `"so and so"` stands together, `or` is one of both, `-word` is not there. Case and accents make no difference.

    Raises:
        BadInput: there is no word to look for.
    """
    set_tenant(tenant_id)
    words = _asked_for(typed)
    found = rows(
        _Hit,
        "SELECT * FROM search_messages(%s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, words, session_id, since, *_place(before), PAGE),
    )
    messages = _messages(tenant_id, [hit.message_id for hit in found])
    threads = _threads(tenant_id, messages)
    return [_found(message, words, threads.get(message.conversation_id)) for message in messages]


def excerpt(body: str, words: str) -> str:
    """A line of `body` around the first of the words in it."""
    text = " ".join(body.split())
    start = max(0, min(_positions(text, words), default=0) - _BEFORE)
    end = start + _BEFORE + _AFTER
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _asked_for(typed: str) -> str:
    words = clean(typed).translate(_QUOTES).strip()
    if len(words) > _LONGEST:
        raise BadInput(f"That is too much to look for: at most {_LONGEST} characters.")
    if not any(_WORD.search(part) for part in words.split() if not part.startswith("-")):
        raise BadInput(
            "There is no word in it to look for: signs and emoji alone are not found, and `-word` needs another word."
        )
    return words


def _place(message: Message | None) -> tuple[datetime | None, UUID | None]:
    return (message.created_at, message.id) if message is not None else (None, None)


def _messages(tenant_id: UUID, ids: list[UUID]) -> list[Message]:
    chosen = Message.live().where(Message.tenant_id == tenant_id, Message.id.in_(ids))
    return list(chosen.order_by(Message.created_at.desc(), Message.id.desc()))


def _threads(tenant_id: UUID, messages: list[Message]) -> dict[UUID | None, Conversation]:
    ids = {message.conversation_id for message in messages}
    found = Conversation.select().where(Conversation.tenant_id == tenant_id, Conversation.id.in_(ids))
    return {conversation.id: conversation for conversation in found}


def _found(message: Message, words: str, thread: Conversation | None) -> Found:
    return Found(
        message,
        excerpt(message.body, words),
        thread.slack_team_id if thread else None,
        thread.slack_channel_id if thread else None,
        thread.slack_thread_ts if thread else None,
    )


def _positions(text: str, words: str) -> Iterator[int]:
    """Where a word that was looked for begins in the text, as both read without case and accents."""
    wanted = {_folded(word) for word in _WORD.findall(words)}
    return (word.start() for word in _WORD.finditer(text) if _folded(word[0]) in wanted)


def _folded(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
