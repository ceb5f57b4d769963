"""Devices that are linked to an account."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.whatsapp.messages import Ack, Acknowledged, Group, Happening, Media, Message, Written

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

    def compose(
        self,
        text: str,
        to: Phone | Group,
        *,
        message_id: str,
        quoted: Message | None = None,
        media: Media | None = None,
    ) -> Message:
        return Message(message_id, self.account, to, text, self._network.now(), quoted, media)

    def may_send(self, message: Message) -> bool:
        """Whether WhatsApp takes it: an account that may not start chats goes on in those that it has."""
        return self.account.may_start_chats or bool(self.account.chat_with(message.to))

    def send(self, message: Message) -> None:
        if not self.account.chat_with(message.to):
            self.account.count_new_chat()
        self._network.carry(message, origin=self)

    def keep_back(self, message: Message) -> None:
        """Takes the message over and never hands it to WhatsApp."""
        self.hear(Written(message, self))

    def reject(self, message: Message) -> None:
        """Takes the message over, and WhatsApp refuses it: with error 463 if the account may not start this chat."""
        self.hear(Written(message, self))
        self.hear(Acknowledged(message, Ack.ERROR, self.account, restricted=not self.may_send(message)))
