"""Devices that are linked to an account."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.whatsapp.messages import Ack, Acknowledged, Group, Happening, Media, Message, Restricted, Written

if TYPE_CHECKING:
    from sandbox.whatsapp.network import WhatsApp
    from sandbox.whatsapp.phone import Phone


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
