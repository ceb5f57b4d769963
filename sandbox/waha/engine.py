"""What differs between WAHA's engines: shapes of answers and events, and a few rules."""

from __future__ import annotations

from typing import Protocol

from sandbox.waha.environment import Json
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Ack, Phone, Reacted


class Engine(Protocol):
    name: str
    stop_seconds: float
    # NOWEB goes through STARTING again between the scan and WORKING (`restartRequired`).
    restarts_after_scan: bool
    # GOWS answers a send only when WhatsApp's server has taken the message, so it never emits ack 1.
    first_ack: Ack
    # What a request for the history is told if none is kept; None: it is just empty.
    without_history: str | None

    def state(self, *, running: bool) -> Json:
        """`engine` of a SessionInfo."""

    def me(self, account: Phone, device: int) -> Json:
        """The account of a session, as SessionInfo and `/me` give it."""

    def sent(self, row: Row) -> Json:
        """The body of a 201 on sending."""

    def message(self, row: Row, *, live: bool, media: Json | None) -> Json:
        """A WAMessage: `live` in an event, else a row of the history. `media` says where its file is to be had."""

    def receipt(self, row: Row, ack: Ack, by: str, *, from_me: bool, restricted: bool) -> Json:
        """The payload of `message.ack` and `message.ack.group`; `by` is who received or read."""

    def reaction(self, row: Row, happening: Reacted, target: Row) -> Json:
        """The payload of `message.reaction`; `row` is the reaction itself, `target` what it is about."""

    def keeps_messages(self, config: Json) -> bool:
        """Whether a session with this configuration has a history."""


ACK_NAMES = {ack: ack.name for ack in Ack}


def ack_fields(ack: Ack | None) -> Json:
    return {"ack": None, "ackName": "UNKNOWN"} if ack is None else {"ack": int(ack), "ackName": ACK_NAMES[ack]}


def reply_to(quoted: Row | None) -> Json | None:
    if quoted is None:
        return None
    return {
        "id": quoted.id,
        "participant": quoted.author,
        "body": quoted.text,
        "_data": {"conversation": quoted.text},
    }


def reaction_payload(row: Row, happening: Reacted, target: Row) -> Json:
    payload: Json = {
        "id": row.serialized,
        "timestamp": row.seconds,
        "from": row.chat,
        "fromMe": row.from_me,
        "source": row.source,
    }
    if row.is_group:
        payload |= {"to": row.chat, "participant": row.participant}
    return payload | {"reaction": {"text": happening.emoji, "messageId": target.serialized}}
