"""WAHA's number for how far a message got (its *ack*), and the receipt we call it."""

from __future__ import annotations

from typing import Any, Literal

from waha.loose_json import Object, whole_number

Receipt = Literal["failed", "accepted", "sent", "delivered", "read"]

RECEIPT_OF_ACK: dict[int, Receipt] = {
    -1: "failed",
    # WAHA has it, WhatsApp does not yet. NOWEB and WEBJS answer a send with it, and it may stay for ever.
    0: "accepted",
    # GOWS never reports this one: its answer to the send means it.
    1: "sent",
    2: "delivered",
    3: "read",
    # A voice message was played, which is more than read.
    4: "read",
}

# Baileys, inside NOWEB's answers, counts from 1 and uses words of its own.
_ACK_OF_BAILEYS = {"ERROR": -1, "PENDING": 0, "SERVER_ACK": 1, "DELIVERY_ACK": 2, "READ": 3, "PLAYED": 4}


def receipt_of(ack: int | None) -> Receipt | None:
    """None for an unknown ack: history rows and future numbers change nothing."""
    return None if ack is None else RECEIPT_OF_ACK.get(ack)


def ack_in(message: Object) -> int | None:
    """The ack of an event, of a history row, or of any engine's answer to a send."""
    ack = whole_number(message.get("ack"))
    if ack is not None:
        return ack
    status: Any = message.get("status")
    return _ACK_OF_BAILEYS.get(status) if isinstance(status, str) else None
