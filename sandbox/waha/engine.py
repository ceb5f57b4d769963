"""What differs between WAHA's engines: shapes of answers and events, and a few rules."""

from __future__ import annotations

from typing import Literal, Protocol

from sandbox.waha.environment import Json
from sandbox.waha.mailbox import Row
from sandbox.whatsapp import Ack, Phone, Reacted

EngineName = Literal["GOWS", "NOWEB", "WEBJS"]


class Engine(Protocol):
    name: str
    stop_seconds: float
    # NOWEB goes through STARTING again between the scan and WORKING (`restartRequired`).
    restarts_after_scan: bool
    # A session that failed tries again by itself, unless it was logged out.
    restarts_after_failure: bool
    # GOWS answers a send only when WhatsApp's server has taken the message, so it never emits ack 1.
    first_ack: Ack
    # What a request for the history is told if none is kept; None: it is just empty.
    without_history: str | None
    # Whether a send goes out under the id that the caller chose, on a server that is new enough.
    heeds_ids: bool
    # Whether `all` stands for every chat when messages are read.
    knows_all_chats: bool
    # Whether a message is found by its bare id; if not, only by the written-out one, in whichever chat.
    knows_bare_ids: bool
    # WEBJS filters before it cuts the page, and reads from the newest on whatever order was asked for.
    reads_newest_first: bool
    # `source` comes from a list of what was sent in the last ten minutes, which a restart empties.
    forgets_what_it_sent: bool

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

    def chat(self, row: Row, name: str | None) -> Json:
        """A row of the list of chats, by the last message of the chat."""

    def tells_group_receipts(self, config: Json) -> bool:
        """Whether a session with this configuration emits `message.ack.group`."""

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
