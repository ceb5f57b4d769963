"""A phone and the person who holds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sandbox.whatsapp.linked import LinkedDevice
from sandbox.whatsapp.messages import (
    Ack,
    Direction,
    Group,
    Media,
    Message,
    PhoneError,
    Quota,
    RestrictionChanged,
    Shown,
    Unlinked,
)

if TYPE_CHECKING:
    from sandbox.whatsapp.network import WhatsApp


class Phone:
    """An account and its handset. `appears_as` decides under which id others see it: its number or its hidden id."""

    def __init__(self, network: WhatsApp, number: str, name: str | None) -> None:
        self.number = number
        self.name = name
        self.lid = f"90{number}"
        self.registered = name is not None
        self.appears_as: Literal["pn", "lid"] = "pn"
        # Error 463: no new chats. WhatsApp does not always say until when.
        self.restricted = False
        self.restricted_until: datetime | None = None
        # How many new chats it may start; None: WhatsApp never said.
        self.capping: Quota | None = None
        # What a new device has to do after the scan: show the account's passkey, and with "code" compare a code too.
        self.passkey: Literal["assertion", "code"] | None = None
        self.switched_on = True
        self.devices: list[LinkedDevice] = []
        self.chats: dict[str, list[Shown]] = {}
        self._network = network
        self._by_id: dict[tuple[str, str], list[Shown]] = {}
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

    def restrict(self, until: datetime | None = None) -> None:
        """WhatsApp lets the account start no new chats (error 463); without `until` it says nothing about it."""
        self.restricted, self.restricted_until = True, until
        self._tell_devices_of_restriction()

    def lift_restriction(self) -> None:
        self.restricted = False
        self._tell_devices_of_restriction()

    def cap(self, used: int, total: int, *, days: int = 30) -> None:
        """WhatsApp says how many new chats of how many are used up, -1: without a limit, in a cycle that began now."""
        now = self._network.now()
        self.capping = Quota(total, used, now, now + timedelta(days=days))
        self._tell_devices()

    def count_new_chat(self) -> None:
        """Uses up one of the new chats."""
        if self.capping is not None:
            self.capping = replace(self.capping, used=self.capping.used + 1)

    @property
    def may_start_chats(self) -> bool:
        return not self.restricted and (self.capping is None or self.capping.status != "CAPPED")

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

    def show(self, message: Message, direction: Direction) -> None:
        address = message.chat_for(self).address
        shown = Shown(message, direction, address, message.text)
        same = self._by_id.setdefault((address, message.id), [])
        same.append(shown)
        for copy in same:
            copy.copies = len(same)
        self.chats.setdefault(address, []).append(shown)

    def shown(self, message: Message) -> list[Shown]:
        """The message on this screen: nothing, one, or each of its copies."""
        return self._by_id.get((message.chat_for(self).address, message.id), [])

    def _tell_devices_of_restriction(self) -> None:
        if self.restricted_until:
            self._tell_devices()

    def _tell_devices(self) -> None:
        for device in list(self.devices):
            device.hear(RestrictionChanged())

    def _arrive(self, message: Message) -> None:
        self.show(message, "in")
        self._network.acknowledge(message, Ack.DEVICE, by=self)

    def _shown(self, message_id: str) -> Shown:
        for (_, known_id), shown in self._by_id.items():
            if known_id == message_id:
                return shown[0]
        raise PhoneError(f"The phone +{self.number} shows no message with the id {message_id}.")
