"""What a session remembers of its conversations: WAHA's own store, which survives a restart of the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sandbox.whatsapp import Ack, Media, Message


@dataclass
class Row:
    """One message as one session sees it.

    `chat` and `author` are ids as WAHA writes them (`@c.us`, `@lid`, `@g.us`), `…_alt` the other id of the same person.
    `hidden` rows (reactions, edits, deletions) take a place in a page of history but are not listed.
    """

    id: str
    chat: str
    from_me: bool
    author: str
    text: str
    at: datetime
    message: Message
    source: Literal["api", "app"] = "app"
    chat_alt: str | None = None
    author_alt: str | None = None
    author_name: str = ""
    ack: Ack = Ack.DEVICE
    quoted: Row | None = None
    hidden: bool = False

    @property
    def is_group(self) -> bool:
        return self.chat.endswith("@g.us")

    @property
    def participant(self) -> str | None:
        return self.author if self.is_group else None

    @property
    def serialized(self) -> str:
        """`{fromMe}_{chat}_{id}`, in a group followed by the participant."""
        parts = ["true" if self.from_me else "false", self.chat, self.id]
        if self.participant:
            parts.append(self.participant)
        return "_".join(parts)

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())

    @property
    def file(self) -> Media | None:
        return self.message.media


@dataclass
class Mailbox:
    rows: dict[tuple[bool, str], Row] = field(default_factory=dict)

    def add(self, row: Row) -> Row:
        """Keeps the row; one with a known id replaces the older, as an upsert does."""
        self.rows[row.from_me, row.id] = row
        return row

    def find(self, bare_id: str, *, from_me: bool | None = None) -> Row | None:
        for side in (True, False) if from_me is None else (from_me,):
            row = self.rows.get((side, bare_id))
            if row is not None and not row.hidden:
                return row
        return None

    def in_chats(self, chats: Iterable[str] | None) -> list[Row]:
        """Rows of these chats (None: of all), hidden ones too, in the order they came."""
        wanted = None if chats is None else set(chats)
        return [row for row in self.rows.values() if wanted is None or row.chat in wanted]

    def both_ids(self, chat: str) -> set[str]:
        """`chat` and whatever other id its rows are known under."""
        alternatives = {row.chat_alt for row in self.rows.values() if row.chat == chat and row.chat_alt}
        return {chat, *alternatives}
