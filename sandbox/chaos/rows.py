"""What the database can add to the verdict: the order of the commits into the inbox, and who is a dead letter."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.chaos.ledger import TAG, Way
from sandbox.chaos.postgres import Postgres
from sandbox.chaos.seen import NAME

_ARRIVALS = """
    SELECT position, lane, body FROM webhook_events WHERE event_name IN ('message', 'message.any') ORDER BY position
"""
_KEPT = "SELECT body, created_at FROM messages WHERE direction = 'inbound'"
_KNOWN = """
    SELECT s.external_session_id || '/' || c.chat_id, c.created_at
    FROM conversation_chats c JOIN waha_sessions s ON s.id = c.session_id
"""
_REPLIES = "SELECT position, body FROM slack_events WHERE kind = 'event' ORDER BY position"
_OPEN = """
    SELECT (SELECT count(*) FROM webhook_events WHERE processed_at IS NULL AND parked_at IS NULL),
        (SELECT count(*) FROM slack_events WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL),
        (SELECT count(*) FROM messages WHERE direction = 'outbound' AND status = 'queued' AND parked_at IS NULL),
        (SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL AND kind <> 'react')
"""
_DEAD = """
    SELECT body FROM messages
    WHERE direction = 'outbound' AND (status = 'failed' OR (status = 'queued' AND parked_at IS NOT NULL))
"""


_ROOTS = "SELECT payload->>'text' FROM slack_posts WHERE payload ? 'root'"


@dataclass
class Rows:
    """What the rows say.

    `positions` by tag: where a message first stands in its inbox; `dead` the tags of dead letters; `roots` how many
    threads were begun for a customer: a second one where two of their ids were not known to be one person's.
    """

    positions: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    roots: Counter[str] = field(default_factory=Counter)


def read(postgres: Postgres) -> Rows:
    rows = Rows()
    for (text,) in postgres.rows(_ROOTS):
        if found := NAME.search(text):
            rows.roots[found[0]] += 1
    _place_arrivals(rows, postgres)
    for position, body in postgres.rows(_REPLIES):
        event = _json(body).get("event", {})
        if event.get("type") == "message" and "bot_id" not in event and not event.get("subtype"):
            _place(rows, "out", position, str(event.get("text")))
    for (body,) in postgres.rows(_DEAD):
        if found := TAG.search(body):
            rows.dead.add(found[0])
    return rows


def _place_arrivals(rows: Rows, postgres: Postgres) -> None:
    """A message may be told under two ids of its customer: the first place counts whose chat was known before.

    Which one came first cannot be known where the second id was met with this very message, or had a thread of its own
    until then: such a message has no place that could be compared.
    """
    known = dict(postgres.rows(_KNOWN))
    kept = {found[0]: at for text, at in postgres.rows(_KEPT) if (found := TAG.search(text))}
    for position, lane, body in postgres.rows(_ARRIVALS):
        text = str(_json(body).get("payload", {}).get("body"))
        found, name = TAG.search(text), NAME.search(text)
        if found is None or name is None:
            continue
        at = kept.get(found[0])
        was_known = at is not None and lane in known and known[lane] < at
        # WAHA also tells of what we sent ourselves.
        if was_known and rows.roots[name[0]] <= 1:
            _place(rows, "in", position, text)


def still_open(postgres: Postgres) -> tuple[int, ...]:
    """Webhooks, Slack events, messages and posts that wait for something; receipts say nothing that is compared."""
    return tuple(postgres.rows(_OPEN)[0])


def life_of(postgres: Postgres, tag: str) -> list[tuple[float, str]]:
    """Every time that stands in a row about a message, with what it says."""
    like = f"%{tag}%"
    told: list[tuple[float, str]] = []
    for table, columns, condition in _LIVES:
        names = columns.split(", ")
        for row in postgres.rows(f"SELECT {columns} FROM {table} WHERE {condition}", (like,)):  # noqa: S608 - words of ours
            told += _moments(table, dict(zip(names, row, strict=True)))
    return told


_LIVES = (
    (
        "webhook_events",
        "position, event_name, created_at, processed_at, parked_at, attempts, error",
        "convert_from(body, 'UTF8') LIKE %s AND event_name LIKE 'message%%'",
    ),
    (
        "slack_events",
        "position, created_at, processed_at, parked_at, attempts, error",
        "convert_from(body, 'UTF8') LIKE %s AND kind = 'event'",
    ),
    (
        "messages",
        "seq, status, waha_message_id, created_at, sent_at, delivered_at, parked_at, hold_reason, error_message",
        "body LIKE %s",
    ),
    (
        "slack_posts",
        "seq, kind, slack_ts, created_at, post_started_at, posted_at, parked_at, attempts, error",
        "payload->>'text' LIKE %s",
    ),
)


def _moments(table: str, row: dict[str, Any]) -> list[tuple[float, str]]:
    facts = " ".join(
        f"{name}={value}" for name, value in row.items() if value is not None and not isinstance(value, datetime)
    )
    moments = [(name, value) for name, value in row.items() if isinstance(value, datetime)]
    return [(value.timestamp(), f"row of {table}: {name} ({facts})") for name, value in moments]


def _place(rows: Rows, way: Way, position: int, text: str) -> None:
    if (found := TAG.search(text)) and found[1] == way:
        rows.positions.setdefault(found[0], position)


def _json(body: memoryview) -> dict[str, Any]:
    try:
        parsed = json.loads(bytes(body))
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
