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
    # The id of the session's own account.
    me: str = ""
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
    _of_chat: dict[str, list[Row]] = field(default_factory=dict)
    _other_ids: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Row) -> Row:
        """Keeps a row with an id of its own."""
        self.rows[row.from_me, row.id] = row
        self._of_chat.setdefault(row.chat, []).append(row)
        for one, other in ((row.chat, row.chat_alt), (row.chat_alt, row.chat)):
            if one and other:
                self._other_ids.setdefault(one, set()).add(other)
        return row

    def find(self, bare_id: str, *, from_me: bool | None = None) -> Row | None:
        for side in (True, False) if from_me is None else (from_me,):
            row = self.rows.get((side, bare_id))
            if row is not None and not row.hidden:
                return row
        return None

    def in_chats(self, chats: Iterable[str] | None) -> list[Row]:
        """Rows of these chats (None: of all), hidden ones too; in the order they came, chat by chat."""
        if chats is None:
            return list(self.rows.values())
        return [row for chat in sorted(set(chats)) for row in self._of_chat.get(chat, [])]

    def newest(self) -> list[Row]:
        """The last listed row of each chat, in no order."""
        listed = ([row for row in rows if not row.hidden] for rows in self._of_chat.values())
        return [max(reversed(rows), key=lambda row: row.at) for rows in listed if rows]

    def both_ids(self, chat: str) -> set[str]:
        """`chat` and whatever other id it is known under."""
        return {chat, *self._other_ids.get(chat, ())}
