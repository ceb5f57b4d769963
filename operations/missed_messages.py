"""What WhatsApp brought while nobody took it: rows of WAHA's history, stored as the webhooks they would have been.

Only what is new is stored, in the lane of its chat, and the first of it brings a divider along. From there on it is an
event like any other, and the inbox has the last word on what is known.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from database import notify, tenant_transaction
from models import uuid7
from operations import dividers
from operations.catching_up import LeasedSession
from operations.hearing import is_canary
from operations.sql import clean, database_now, rows
from operations.store import insert_many
from operations.webhook_inbox import NewWebhook
from waha.acks import receipt_of
from waha.chat_ids import IGNORED_KINDS, kind_of
from waha.events import MalformedEvent, MessageEvent
from waha.loose_json import Object
from waha.messages import Message
from waha.webhooks import as_webhook, parse

_MESSAGES = ["message", "message.any"]
_MOST_RECEIPTS = 100

# What is held in memory before it is stored; the rest is read at the next turn.
MOST_AT_ONCE = 5_000
_BODIES_AT_ONCE = 20
MOST_BYTES_AT_ONCE = 32 * 1024 * 1024

Key = tuple[bool, str]


@dataclass(frozen=True)
class Missed:
    """A message of the history that is not known here. `chat_ids` are all that the row tells, the chat's own first."""

    message_id: str
    from_me: bool
    chat_ids: tuple[str, ...]
    at: datetime
    text: str
    row: Object = field(repr=False)
    size: int = 0

    @property
    def key(self) -> Key:
        return self.from_me, self.message_id

    @property
    def event_id(self) -> str:
        """As `waha.webhooks.as_webhook` names it."""
        return f"history_{'true' if self.from_me else 'false'}_{self.message_id}"


@dataclass(frozen=True)
class _Kept:
    direction: str
    waha_message_id: str


@dataclass(frozen=True)
class _Event:
    event_id: str
    body: memoryview
    position: int = 0


@dataclass(frozen=True)
class _Chat:
    chat_id: str
    conversation_id: UUID


@dataclass(frozen=True)
class _Text:
    body: str


def unknown(leased: LeasedSession, history: Sequence[Object]) -> list[Missed]:
    """What of a page of the history is not known here; a message that stands in two chats counts once."""
    told = {one.key: one for row in history if (one := _missed(row, leased.until)) is not None}
    with tenant_transaction(leased.tenant_id):
        known = _known(leased, list(told.values()))
    return [one for key, one in told.items() if key not in known]


def by_conversation(leased: LeasedSession, missed: Sequence[Missed]) -> list[list[Missed]]:
    """What goes into one thread, oldest first: a customer may have several chat ids, and one of them may be new."""
    chats = [chat_id for one in missed for chat_id in one.chat_ids]
    with tenant_transaction(leased.tenant_id):
        found = rows(
            _Chat,
            "SELECT chat_id, conversation_id FROM conversation_chats WHERE tenant_id = %s AND session_id = %s "
            "AND chat_id = ANY (%s)",
            (leased.tenant_id, leased.session_id, chats),
        )
    owners: dict[str, str] = {chat.chat_id: str(chat.conversation_id) for chat in found}
    groups: dict[str, list[Missed]] = {}
    for one in sorted(missed, key=lambda one: one.at):
        owner = next((owners[chat_id] for chat_id in one.chat_ids if chat_id in owners), one.chat_ids[0])
        owners |= dict.fromkeys(one.chat_ids, owner)
        groups.setdefault(owner, []).append(one)
    return list(groups.values())


def store(leased: LeasedSession, group: Sequence[Missed]) -> int:
    """Keep what was missed in one conversation, under its divider; the number of messages that the divider counts.

    All of it is committed at once, and whoever repeats it finds it known: a conversation has one divider a catch-up.
    """
    with tenant_transaction(leased.tenant_id):
        chat_ids = sorted({chat_id for one in group for chat_id in one.chat_ids})
        # In this order: what is handled in between is known.
        known = _on_their_way(leased, chat_ids) | _known(leased, group)
        fresh = [one for one in group if one.key not in known]
        if not fresh:
            return 0
        since = database_now() - dividers.SHOWN_FOR
        ours = _perhaps_ours(leased, chat_ids)
        counted = [one for one in fresh if not (one.from_me and one.text.strip() in ours)]
        above = _above(counted, since)
        lane = _lane(leased, fresh[0].chat_ids[0])
        brought = {one.key: _metadata(one, since) for one in fresh}
        if above is not None:
            brought[above.key][dividers.DIVIDER] = _divider(counted, since, leased.cause)
        insert_many("webhook_events", [_as_new_webhook(leased, one, lane, brought[one.key]) for one in fresh])
        notify("webhooks")
    return len(counted)


def unacknowledged(leased: LeasedSession) -> list[str]:
    """The ids of what was sent and is not known to have arrived, the latest first."""
    with tenant_transaction(leased.tenant_id):
        found = rows(
            _Kept,
            "SELECT direction, waha_message_id FROM messages WHERE tenant_id = %s AND session_id = %s "
            "AND direction = 'outbound' AND status = 'sent' AND waha_message_id IS NOT NULL "
            "AND sent_at > clock_timestamp() - interval '72 hours' ORDER BY sent_at DESC LIMIT %s",
            (leased.tenant_id, leased.session_id, _MOST_RECEIPTS),
        )
    return [one.waha_message_id for one in found]


def store_receipts(leased: LeasedSession, found: Sequence[Message]) -> int:
    """Keep how far messages of ours got as the receipts that would have told it; how many tell something new."""
    receipts = [_as_receipt(leased, one) for one in found if receipt_of(one.ack) in {"failed", "delivered", "read"}]
    with tenant_transaction(leased.tenant_id):
        stored = insert_many("webhook_events", receipts)
        if stored:
            notify("webhooks")
    return stored


def _missed(row: Object, otherwise: datetime) -> Missed | None:
    told = Message.parse(row)
    if told is None or kind_of(told.chat_id) in IGNORED_KINDS or "\0" in told.chat_id + told.message_id:
        return None
    if is_canary(told):
        return None
    chat_ids = tuple(dict.fromkeys(one for one in (told.chat_id, told.alternate_chat_id) if one))
    at, size = told.timestamp or otherwise, len(json.dumps(row))
    return Missed(told.message_id[:255], told.from_me, chat_ids, at, told.body, row, size)


def _known(leased: LeasedSession, told: Sequence[Missed]) -> set[Key]:
    """Which of them are messages here, or were stored by an earlier catch-up."""
    kept = rows(
        _Kept,
        "SELECT direction, waha_message_id FROM messages WHERE tenant_id = %s AND session_id = %s "
        "AND waha_message_id = ANY (%s)",
        (leased.tenant_id, leased.session_id, [one.message_id for one in told]),
    )
    read = rows(
        _Event,
        "SELECT event_id, ''::bytea AS body FROM webhook_events WHERE server = %s AND session = %s "
        "AND event_name = 'message.any' AND event_id = ANY (%s)",
        (leased.server, leased.external_session_id, [one.event_id for one in told]),
    )
    stored = {one.event_id for one in read}
    return {(one.direction == "outbound", one.waha_message_id) for one in kept} | {
        one.key for one in told if one.event_id in stored
    }


def _on_their_way(leased: LeasedSession, chat_ids: Sequence[str]) -> set[Key]:
    """The messages of live webhooks that are stored, and will be handled before anything that is stored now."""
    lanes, keys, after = [_lane(leased, chat_id) for chat_id in chat_ids], set[Key](), 0
    while waiting := rows(
        _Event,
        "SELECT event_id, body, position FROM webhook_events WHERE lane = ANY (%s) AND event_name = ANY (%s) "
        "AND processed_at IS NULL AND parked_at IS NULL AND position > %s ORDER BY position LIMIT %s",
        (lanes, _MESSAGES, after, _BODIES_AT_ONCE),
    ):
        keys |= {key for one in waiting if (key := _key_in(bytes(one.body))) is not None}
        after = waiting[-1].position
    return keys


def _key_in(body: bytes) -> Key | None:
    try:
        event = parse(body)
    except MalformedEvent:
        return None
    return (event.message.from_me, event.message.message_id) if isinstance(event, MessageEvent) else None


def _perhaps_ours(leased: LeasedSession, chat_ids: Sequence[str]) -> Collection[str]:
    """The texts that we may have sent to these chats under ids that WAHA chose: the inbox tells whose they are."""
    if not leased.chooses_ids:
        return ()
    found = rows(
        _Text,
        "SELECT m.body FROM messages m JOIN conversation_chats c ON c.conversation_id = m.conversation_id "
        "WHERE m.tenant_id = %s AND c.session_id = %s AND c.chat_id = ANY (%s) AND m.direction = 'outbound' "
        "AND m.status = 'queued' AND m.send_started_at IS NOT NULL",
        (leased.tenant_id, leased.session_id, list(chat_ids)),
    )
    return {one.body.strip() for one in found}


def _lane(leased: LeasedSession, chat_id: str) -> str:
    return f"{leased.external_session_id}/{chat_id}"


def _above(counted: Sequence[Missed], since: datetime) -> Missed | None:
    """The message that the divider stands above: the first that is shown, or the first where none is."""
    return next((one for one in counted if one.at >= since), counted[0] if counted else None)


def _divider(counted: Sequence[Missed], since: datetime, cause: str) -> str:
    recent = sum(one.at >= since for one in counted)
    recovered = dividers.Recovered(recent, len(counted) - recent, counted[0].at, counted[-1].at, cause)
    return recovered.above_messages()


def _metadata(one: Missed, since: datetime) -> dict[str, str]:
    return {} if one.at >= since else {dividers.NOT_SHOWN: "true"}


def _as_new_webhook(leased: LeasedSession, one: Missed, lane: str, metadata: dict[str, str]) -> NewWebhook:
    name = leased.external_session_id
    body = as_webhook(name, one.row, engine=leased.engine, version=leased.version, metadata=metadata)
    return NewWebhook(uuid7(), leased.server, name, clean(one.event_id), "message.any", clean(lane), body)


def _as_receipt(leased: LeasedSession, told: Message) -> NewWebhook:
    name, event_id = leased.external_session_id, f"history_ack_{told.ack}_{told.message_id}"
    payload = {"id": told.serialized_id, "fromMe": True, "ack": told.ack}
    event = {"id": event_id, "event": "message.ack", "session": name, "payload": payload, "engine": leased.engine}
    body, lane = json.dumps(event).encode(), clean(_lane(leased, told.chat_id))
    return NewWebhook(uuid7(), leased.server, name, clean(event_id), "message.ack", lane, body)
