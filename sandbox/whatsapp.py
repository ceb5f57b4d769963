"""WhatsApp itself: accounts with a phone each, and the devices that are linked to them.

What happens is carried at once and in memory. A linked device that is not connected misses nothing: what is
addressed to it waits, as on WhatsApp's own servers, until it connects again.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Literal

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


class Restricted(Exception):  # noqa: N818 - the word WhatsApp uses
    """WhatsApp's error 463: this account may not start new chats for now."""


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


Happening = Written | Acknowledged | Reacted | Edited | Revoked | Unlinked


@dataclass
class Shown:
    """One message as a person sees it on the screen of a phone.

    `copies` counts how often it arrived: a phone shows an id that it knows only once.
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


class LinkedDevice:
    """A device linked to an account by QR code: what a paired WAHA session is to WhatsApp."""

    def __init__(self, network: WhatsApp, account: Phone, number: int, listener: Callable[[Happening], None]) -> None:
        self.account = account
        self.number = number
        self.connected = False
        self._network = network
        self._listener = listener
        self._waiting: deque[Happening] = deque()

    def connect(self) -> None:
        self.connected = True
        while self._waiting and self.connected:
            self._listener(self._waiting.popleft())

    def disconnect(self) -> None:
        self.connected = False

    def hear(self, happening: Happening) -> None:
        if self.connected:
            self._listener(happening)
        else:
            self._waiting.append(happening)

    def unlink(self) -> None:
        self.disconnect()
        if self in self.account.devices:
            self.account.devices.remove(self)

    def send(
        self,
        text: str,
        to: Phone | Group,
        *,
        message_id: str,
        quoted: Message | None = None,
        media: Media | None = None,
    ) -> Message:
        """Hands a message to WhatsApp.

        Raises:
            Restricted: The account may not start chats, and this would start one.
        """
        message = Message(message_id, self.account, to, text, self._network.now(), quoted, media)
        if self.account.restricted and not self.account.chat_with(to):
            raise Restricted(message)
        self._network.carry(message, origin=self)
        return message

    def reject(self, message: Message) -> None:
        """Takes the message over but answers with error 463, as WhatsApp does to a client that does not wait for it."""
        self.hear(Written(message, self))
        self.hear(Acknowledged(message, Ack.ERROR, self.account, restricted=True))


class Phone:
    """An account and its handset. `appears_as` decides under which id others see it: its number or its hidden id."""

    def __init__(self, network: WhatsApp, number: str, name: str | None) -> None:
        self.number = number
        self.name = name
        self.lid = f"90{number}"
        self.registered = name is not None
        self.appears_as: Literal["pn", "lid"] = "pn"
        self.restricted = False
        self.switched_on = True
        self.devices: list[LinkedDevice] = []
        self.chats: dict[str, list[Shown]] = {}
        self._network = network
        self._by_id: dict[tuple[str, str], Shown] = {}
        self._waiting: deque[Message] = deque()

    def __repr__(self) -> str:
        return f"Phone(+{self.number})"

    @property
    def address(self) -> str:
        return self.number

    def chat_with(self, other: str | Phone | Group) -> list[Shown]:
        """What the screen shows of the conversation with `other`, oldest first."""
        return self.chats.get(self._network.find(other).address, [])

    async def write(
        self,
        text: str,
        to: str | Phone | Group | None = None,
        *,
        quoting: str | None = None,
        media: Media | None = None,
        at: datetime | None = None,
        message_id: str | None = None,
    ) -> Message:
        """Writes as the person who holds the phone. Without `to`: to the only account that WAHA is linked to.

        Raises:
            PhoneError: `to` is missing and not obvious, or `quoting` names no shown message.
        """
        recipient = self._network.only_linked_account() if to is None else self._network.find(to)
        quoted = self._shown(quoting).message if quoting else None
        message = Message(
            message_id or self._network.new_id("3A"), self, recipient, text, at or self._network.now(), quoted, media
        )
        self._network.carry(message, origin=None)
        return message

    async def read(self, chat: str | Phone | Group | None = None) -> None:
        """Opens the conversation (or all of them): what was not read yet is."""
        addresses = list(self.chats) if chat is None else [self._network.find(chat).address]
        for address in addresses:
            self.mark_read(address)

    async def react(self, message_id: str, emoji: str) -> None:
        self._network.react(self._shown(message_id).message, emoji, by=self)

    async def edit(self, message_id: str, text: str) -> None:
        self._network.edit(self._shown(message_id).message, text, by=self)

    async def revoke(self, message_id: str) -> None:
        self._network.revoke(self._shown(message_id).message, by=self)

    async def scan(self, qr_value: str) -> None:
        """Links the device that shows this QR code.

        Raises:
            PhoneError: Nobody shows this code, or not any more.
        """
        self._network.redeem(qr_value, self)

    async def enter_code(self, code: str) -> None:
        """Links the device that shows this pairing code (`ABCD-EFGH`)."""
        self._network.redeem(code, self)

    async def unlink_devices(self) -> None:
        """Removes every linked device in the phone's settings."""
        for device in list(self.devices):
            self.devices.remove(device)
            device.hear(Unlinked())

    def switch_off(self) -> None:
        """Nothing is shown or acknowledged as delivered until the phone is on again."""
        self.switched_on = False

    def switch_on(self) -> None:
        self.switched_on = True
        while self._waiting:
            self._arrive(self._waiting.popleft())

    def take(self, message: Message) -> None:
        if self.switched_on:
            self._arrive(message)
        else:
            self._waiting.append(message)

    def mark_read(
        self, address: str, ids: Iterable[str] | None = None, *, origin: LinkedDevice | None = None
    ) -> list[Message]:
        """Returns the messages that were not read before."""
        wanted = None if ids is None else set(ids)
        unread = [
            shown
            for shown in self.chats.get(address, [])
            if shown.direction == "in" and not shown.read and (wanted is None or shown.id in wanted)
        ]
        for shown in unread:
            shown.read = True
            self._network.acknowledge(shown.message, Ack.READ, by=self, origin=origin)
        return [shown.message for shown in unread]

    def show(self, message: Message, direction: Direction) -> bool:
        """Returns whether the message is new to this screen."""
        address = message.chat_for(self).address
        known = self._by_id.get((address, message.id))
        if known is not None:
            known.copies += 1
            return False
        shown = Shown(message, direction, address, message.text)
        self._by_id[address, message.id] = shown
        self.chats.setdefault(address, []).append(shown)
        return True

    def shown(self, message: Message) -> Shown | None:
        return self._by_id.get((message.chat_for(self).address, message.id))

    def _arrive(self, message: Message) -> None:
        if self.show(message, "in"):
            self._network.acknowledge(message, Ack.DEVICE, by=self)

    def _shown(self, message_id: str) -> Shown:
        for (_, known_id), shown in self._by_id.items():
            if known_id == message_id:
                return shown
        raise PhoneError(f"The phone +{self.number} shows no message with the id {message_id}.")


class WhatsApp:
    """The network. `seed` makes its ids repeatable; `now` is its clock (aware, UTC)."""

    def __init__(self, *, seed: int | None = None, now: Callable[[], datetime] | None = None) -> None:
        self.now = now or (lambda: datetime.now(UTC))
        self.random = random.Random(seed)
        self.groups: dict[str, Group] = {}
        self._accounts: dict[str, Phone] = {}
        self._by_lid: dict[str, Phone] = {}
        self._offers: dict[str, Callable[[Phone], None]] = {}
        self._carried: set[tuple[str, str, str]] = set()

    @property
    def phones(self) -> list[Phone]:
        return [phone for phone in self._accounts.values() if phone.registered]

    def phone(self, number: str, *, name: str | None = None) -> Phone:
        """The phone with this number; it registers with WhatsApp if it has not."""
        phone = self.account(re.sub(r"\D", "", number))
        phone.registered = True
        phone.name = name or phone.name or f"+{phone.number}"
        return phone

    def account(self, digits: str) -> Phone:
        """Whoever has these digits, registered or not: WhatsApp also accepts messages that reach nobody."""
        if digits not in self._accounts:
            account = Phone(self, digits, None)
            self._accounts[digits] = account
            self._by_lid[account.lid] = account
        return self._accounts[digits]

    def account_of_lid(self, lid: str) -> Phone | None:
        return self._by_lid.get(lid)

    def group(self, subject: str, members: Iterable[Phone]) -> Group:
        group = Group(f"120363{self.random.randrange(10**12):012d}@g.us", subject, tuple(members))
        self.groups[group.id] = group
        return group

    def find(self, address: str | Phone | Group) -> Phone | Group:
        if not isinstance(address, str):
            return address
        return self.groups.get(address) or self.account(re.sub(r"\D", "", address))

    def only_linked_account(self) -> Phone:
        linked = [phone for phone in self._accounts.values() if phone.devices]
        if len(linked) != 1:
            raise PhoneError(f"Say to whom: {len(linked)} accounts are linked to WAHA.")
        return linked[0]

    def new_id(self, prefix: str) -> str:
        return prefix + f"{self.random.getrandbits(72):018X}"

    def offer(self, secret: str, pair: Callable[[Phone], None]) -> None:
        """A device shows `secret` (a QR value or a pairing code); `pair` is called with the phone that redeems it."""
        self._offers[secret] = pair

    def withdraw(self, secret: str) -> None:
        self._offers.pop(secret, None)

    def redeem(self, secret: str, phone: Phone) -> None:
        pair = self._offers.pop(secret, None)
        if pair is None:
            raise PhoneError("This code is not shown by any device now. It may have been replaced by a newer one.")
        pair(phone)

    def link(self, account: Phone, listener: Callable[[Happening], None]) -> LinkedDevice:
        device = LinkedDevice(self, account, len(account.devices) + 1, listener)
        account.devices.append(device)
        return device

    def carry(self, message: Message, *, origin: LinkedDevice | None) -> None:
        """From the writer to everybody else. A copy with a known id is counted on the screens and goes no further."""
        key = (message.sender.number, message.to.address, message.id)
        first = key not in self._carried
        self._carried.add(key)
        for device in list(message.sender.devices):
            device.hear(Written(message, origin))
        message.sender.show(message, "out")
        self.acknowledge(message, Ack.SERVER, by=message.sender)
        for phone in message.recipients:
            if not phone.registered:
                continue
            for device in list(phone.devices) if first else []:
                device.hear(Written(message))
            phone.take(message)

    def acknowledge(self, message: Message, ack: Ack, *, by: Phone, origin: LinkedDevice | None = None) -> None:
        """Tells the sender; a READ also reaches the reader's own other devices."""
        shown = message.sender.shown(message)
        if shown is not None:
            shown.ack = max(shown.ack, ack)
        own = [device for device in by.devices if device is not origin] if ack is Ack.READ else []
        for device in [*message.sender.devices, *own]:
            device.hear(Acknowledged(message, ack, by, origin=origin))

    def react(self, message: Message, emoji: str, *, by: Phone, origin: LinkedDevice | None = None) -> Reacted:
        happening = Reacted(message, self.new_id("3A"), emoji, by, self.now(), origin)
        for shown in self._everywhere(message, happening):
            if emoji:
                shown.reactions[by.number] = emoji
            else:
                shown.reactions.pop(by.number, None)
        return happening

    def edit(self, message: Message, text: str, *, by: Phone, origin: LinkedDevice | None = None) -> Edited:
        happening = Edited(replace(message, text=text), self.new_id("3A"), text, by, self.now(), origin)
        for shown in self._everywhere(message, happening):
            shown.text, shown.edited = text, True
        return happening

    def revoke(self, message: Message, *, by: Phone, origin: LinkedDevice | None = None) -> Revoked:
        happening = Revoked(message, self.new_id("3A"), by, self.now(), origin)
        for shown in self._everywhere(message, happening):
            shown.revoked = True
        return happening

    def _everywhere(self, message: Message, happening: Happening) -> list[Shown]:
        """Tells every device of everybody in the chat; returns the message as each of their phones shows it."""
        people = (message.sender, *message.recipients)
        for device in [device for person in people for device in person.devices]:
            device.hear(happening)
        return [shown for person in people if (shown := person.shown(message)) is not None]
