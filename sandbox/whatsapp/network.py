"""What carries messages between accounts and knows who they are."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from sandbox.whatsapp.linked import LinkedDevice
from sandbox.whatsapp.messages import (
    Ack,
    Acknowledged,
    Edited,
    Group,
    Happening,
    Message,
    PhoneError,
    Reacted,
    Revoked,
    Shown,
    Written,
)
from sandbox.whatsapp.numbers import written_otherwise
from sandbox.whatsapp.phone import Phone


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

    def registered(self, digits: str) -> Phone | None:
        """Who is reached under these digits, however their country writes them; sending needs the one form."""
        phones = [self._accounts.get(form) for form in (digits, written_otherwise(digits)) if form]
        return next((phone for phone in phones if phone is not None and phone.registered), None)

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
        """From the writer to everybody else.

        A copy with a known id is shown once more on the phones; linked devices of the recipients know it already.
        """
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
        for shown in message.sender.shown(message):
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
        return [shown for person in people for shown in person.shown(message)]
