"""Messages, what happens to them, and how a screen shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandbox.whatsapp.linked import LinkedDevice
    from sandbox.whatsapp.phone import Phone

Direction = Literal["in", "out"]


class Ack(IntEnum):
    """How far a message came, in WhatsApp's own numbers."""

    ERROR = -1
    PENDING = 0
    SERVER = 1
    DEVICE = 2
    READ = 3
    PLAYED = 4


class PhoneError(ValueError):
    """What a person wanted to do with a phone is not possible; the text says why."""


@dataclass(frozen=True)
class Media:
    data: bytes
    mimetype: str
    filename: str | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """`id` ends in `@g.us`."""

    id: str
    subject: str
    members: tuple[Phone, ...]

    @property
    def address(self) -> str:
        return self.id


@dataclass(frozen=True)
class Quota:
    """How many new chats an account may start between two moments; `total` is -1 without a limit."""

    total: int
    used: int
    begins: datetime
    ends: datetime

    @property
    def status(self) -> Literal["NONE", "FIRST_WARNING", "SECOND_WARNING", "CAPPED"]:
        """WhatsApp warns twice before the end; where exactly is not known."""
        if self.total < 0 or self.used < self.total / 2:
            return "NONE"
        if self.used >= self.total:
            return "CAPPED"
        return "FIRST_WARNING" if self.used < self.total * 0.8 else "SECOND_WARNING"


@dataclass(frozen=True)
class Message:
    id: str
    sender: Phone
    to: Phone | Group
    text: str
    at: datetime
    quoted: Message | None = None
    media: Media | None = None

    @property
    def recipients(self) -> tuple[Phone, ...]:
        if isinstance(self.to, Group):
            return tuple(member for member in self.to.members if member is not self.sender)
        return (self.to,)

    def chat_for(self, account: Phone) -> Phone | Group:
        """Whom `account` sees as the other side of the conversation."""
        return self.sender if self.to is account else self.to


@dataclass(frozen=True)
class Written:
    """`origin` is the linked device that wrote it, None if it was the phone."""

    message: Message
    origin: LinkedDevice | None = None


@dataclass(frozen=True)
class Acknowledged:
    message: Message
    ack: Ack
    by: Phone
    restricted: bool = False
    origin: LinkedDevice | None = None


@dataclass(frozen=True)
class Reacted:
    """An empty `emoji` takes the reaction back."""

    message: Message
    id: str
    emoji: str
    by: Phone
    at: datetime
    origin: LinkedDevice | None = None


@dataclass(frozen=True)
class Edited:
    message: Message
    id: str
    text: str
    by: Phone
    at: datetime
    origin: LinkedDevice | None = None


@dataclass(frozen=True)
class Revoked:
    message: Message
    id: str
    by: Phone
    at: datetime
    origin: LinkedDevice | None = None


@dataclass(frozen=True)
class Unlinked:
    """A person removed the linked device on the phone."""


@dataclass(frozen=True)
class RestrictionChanged:
    """WhatsApp told the account that it may not start new chats for now, or how many it may, or that it may again."""


Happening = Written | Acknowledged | Reacted | Edited | Revoked | Unlinked | RestrictionChanged


@dataclass
class Shown:
    """One message as a person sees it on the screen of a phone.

    A message that arrives twice is shown twice, under the same `id`: neither WAHA nor one of its engines holds a second
    send back, and nobody's doubled message is to be hidden here. `copies` is how many of this screen share the id.
    """

    message: Message
    direction: Direction
    chat: str
    text: str
    ack: Ack = Ack.SERVER
    copies: int = 1
    edited: bool = False
    revoked: bool = False
    read: bool = False
    reactions: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def at(self) -> datetime:
        return self.message.at
