"""What Slack sends, stored before it is acknowledged. The bot answers commands and clicks, the daemon takes events."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, transaction
from operations import replies
from operations.outcomes import LOOK_AGAIN_AFTER, NOT_THE_EVENTS_FAULT, NotYet, reason_of
from operations.sql import changed, database_now, first, rows
from operations.store import insert_many

MOST_ATTEMPTS = 5
_RETRY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class NewSlackEvent:
    """An event, command or click as it arrived; `key` is the same when Slack sends it again."""

    id: UUID
    key: str
    kind: str
    slack_team_id: str
    slack_channel_id: str
    slack_user_id: str
    lane: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a command answers: complete `text`, and `blocks` over it."""

    text: str
    blocks: list[dict[str, Any]] | None = None

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "blocks": self.blocks}


def store(event: NewSlackEvent) -> bool:
    """Keep what Slack sent; False when it is there already."""
    with transaction():
        is_new = bool(insert_many("slack_events", [event], conflict="key"))
        if is_new and event.kind == "event":
            notify("slack_events")
        return is_new


@dataclass(frozen=True)
class _Asked:
    answer: dict[str, Any] | None


def answer(event_id: UUID, work: Callable[[], Answer]) -> Answer:
    """Carry out what was asked and keep the answer, in one transaction; done once however often it is called.

    `work` runs inside the transaction, and a `Refused` that it raises takes back what it changed.
    """
    with transaction():
        asked = first(_Asked, "SELECT answer FROM slack_events WHERE id = %s FOR NO KEY UPDATE", (event_id,))
        if asked is not None and asked.answer is not None:
            return Answer(asked.answer["text"], asked.answer["blocks"])
        given = work()
        changed(
            "UPDATE slack_events SET answer = %s, processed_at = clock_timestamp() WHERE id = %s",
            (json.dumps(given.as_json()), event_id),
        )
        return given


def refuse(event_id: UUID, given: Answer) -> None:
    """Keep a refusal as the answer, after the work was taken back."""
    with transaction():
        changed(
            "UPDATE slack_events SET answer = %s, processed_at = clock_timestamp() WHERE id = %s AND answer IS NULL",
            (json.dumps(given.as_json()), event_id),
        )


def answered(event_id: UUID) -> None:
    with transaction():
        changed("UPDATE slack_events SET answered_at = clock_timestamp() WHERE id = %s", (event_id,))


@dataclass(frozen=True)
class Unanswered:
    """A command or click whose answer a crash swallowed."""

    id: UUID
    kind: str
    body: memoryview
    answer: dict[str, Any] | None
    age_seconds: float


def unanswered(within: timedelta) -> list[Unanswered]:
    """What was committed but not answered, oldest first."""
    with transaction():
        return rows(
            Unanswered,
            "SELECT id, kind, body, answer, extract(epoch FROM clock_timestamp() - created_at)::float AS age_seconds "
            "FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL "
            "AND created_at > clock_timestamp() - %s ORDER BY position",
            (within,),
        )


@dataclass(frozen=True)
class _Lane:
    lane: str


def due_lanes(limit: int, *, busy: Collection[str] = ()) -> list[str]:
    """Threads whose first event is due, the one that waited longest first."""
    found = rows(
        _Lane,
        """
        SELECT lane FROM slack_events due
        WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL AND next_attempt_at <= clock_timestamp()
            AND lane <> ALL (%s) AND NOT EXISTS (
                SELECT 1 FROM slack_events earlier
                WHERE earlier.lane = due.lane AND earlier.kind = 'event' AND earlier.position < due.position
                    AND earlier.processed_at IS NULL AND earlier.parked_at IS NULL
            )
        ORDER BY position LIMIT %s
        """,
        (list(busy), limit),
    )
    return [row.lane for row in found]


@dataclass(frozen=True)
class _Stored:
    id: UUID
    body: memoryview
    attempts: int
    created_at: datetime


def process_head(lane: str) -> bool:
    """Handle the first event of a thread; False when there is none that is due, or another daemon is at it.

    Raises:
        DatabaseUnavailable: nothing is wrong with the event.
    """
    head: _Stored | None = None
    try:
        with transaction():
            head = _claim(lane)
            if head is None:
                return False
            tenant_id = replies.handle(json.loads(bytes(head.body)), stored_at=head.created_at)
            changed(
                "UPDATE slack_events SET processed_at = clock_timestamp(), tenant_id = %s, error = NULL WHERE id = %s",
                (tenant_id, head.id),
            )
    except NotYet as reason:
        _wait(head, reason)
    except NOT_THE_EVENTS_FAULT:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one event, those behind it go on
        _try_later(head, error)
    return True


def _claim(lane: str) -> _Stored | None:
    row = first(_Locked, "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 1)) AS locked", (lane,))
    if row is None or not row.locked:
        return None
    return first(
        _Stored,
        """
        SELECT id, body, attempts, created_at FROM (
            SELECT * FROM slack_events
            WHERE lane = %s AND kind = 'event' AND processed_at IS NULL AND parked_at IS NULL
            ORDER BY position LIMIT 1
        ) head WHERE next_attempt_at <= clock_timestamp()
        """,
        (lane,),
    )


@dataclass(frozen=True)
class _Locked:
    locked: bool


def _wait(stored: _Stored | None, reason: Exception) -> None:
    if stored is None:
        raise reason
    with transaction():
        changed(
            "UPDATE slack_events SET error = %s, next_attempt_at = clock_timestamp() + %s "
            "WHERE id = %s AND processed_at IS NULL",
            (str(reason), LOOK_AGAIN_AFTER, stored.id),
        )


def _try_later(stored: _Stored | None, error: Exception) -> None:
    if stored is None:
        raise error
    with transaction():
        last = stored.attempts + 1 >= MOST_ATTEMPTS
        written = changed(
            "UPDATE slack_events SET attempts = attempts + 1, error = %s, next_attempt_at = %s, "
            "parked_at = CASE WHEN %s THEN clock_timestamp() END "
            "WHERE id = %s AND processed_at IS NULL AND parked_at IS NULL",
            (
                reason_of(error),
                database_now() + _RETRY_AFTER * 2**stored.attempts,
                last,
                stored.id,
            ),
        )
        if last and written:
            replies.say_lost(json.loads(bytes(stored.body)))
