"""Ways to mistreat the receipts of what a session sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sandbox.waha.switches import Switch

Kind = Literal["none", "unsent", "error", "repeated", "backwards"]


@dataclass(eq=False, kw_only=True)
class ReceiptFault(Switch):
    """What becomes of messages that a session was asked to send.

    - `none`: they arrive, and nothing is ever said about it.
    - `unsent`: WAHA answers 201 and keeps them; WhatsApp never has them, so nothing is said either.
    - `error`: WAHA answers 201, and then WhatsApp refuses them: ack -1.
    - `repeated`: each receipt comes twice. `backwards`: after a receipt the one before it comes again.
    """

    kind: Kind


class ReceiptFaults:
    """What is switched on for receipts. Each message is struck when it is sent, by every fault that is about it.

    waha.receipts.none(times=3)
    """

    def __init__(self) -> None:
        self._switched_on: list[ReceiptFault] = []

    @property
    def switched_on(self) -> list[ReceiptFault]:
        return [fault for fault in self._switched_on if not fault.is_over]

    def add(self, fault: ReceiptFault) -> ReceiptFault:
        self._switched_on.append(fault)
        return fault

    def none(self, **when: Any) -> ReceiptFault:
        """`when` here and below: `session`, `times`, `probability`, `seed` of a `Switch`."""
        return self.add(ReceiptFault(kind="none", **when))

    def unsent(self, **when: Any) -> ReceiptFault:
        return self.add(ReceiptFault(kind="unsent", **when))

    def error(self, **when: Any) -> ReceiptFault:
        return self.add(ReceiptFault(kind="error", **when))

    def repeated(self, **when: Any) -> ReceiptFault:
        return self.add(ReceiptFault(kind="repeated", **when))

    def backwards(self, **when: Any) -> ReceiptFault:
        return self.add(ReceiptFault(kind="backwards", **when))

    def heal(self) -> None:
        """Switches everything off. What was sent already keeps its fate."""
        for fault in self._switched_on:
            fault.heal()
        self._switched_on.clear()

    def draw(self, session: str) -> frozenset[Kind]:
        """The fate of the message that this session sends now."""
        self._switched_on = self.switched_on
        return frozenset(fault.kind for fault in self._switched_on if fault.is_about(session) and fault.strikes())
