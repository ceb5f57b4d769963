"""How long customers waited for an answer, and who still does. No report names them: it links to their threads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from operations.report_facts import Period, Responses, Unanswered, Waiting
from operations.sql import rows

SLOWEST = 5
_LOOKS_BACK = timedelta(days=30)


@dataclass(frozen=True)
class _Turn:
    session: str
    waited: timedelta
    slack_channel_id: str | None
    slack_thread_ts: str | None
    many: int = 0

    def shown(self) -> Waiting:
        channel, thread = self.slack_channel_id or "", self.slack_thread_ts or ""
        address = f"https://slack.com/archives/{channel}/p{thread.replace('.', '')}" if channel and thread else ""
        return Waiting(self.session, self.waited, channel, address)


# A customer waits since the first message after our last one. Who wrote before our last message is answered.
_UNANSWERED = """
    SELECT s.name AS session, %(until)s - w.since AS waited, c.slack_channel_id, c.slack_thread_ts,
        count(*) OVER () AS many
    FROM conversations c
    JOIN waha_sessions s ON s.id = c.session_id AND s.tenant_id = c.tenant_id AND s.deleted_at IS NULL
    CROSS JOIN LATERAL (
        SELECT min(m.created_at) AS since FROM messages m
        WHERE m.tenant_id = %(tenant)s AND m.conversation_id = c.id AND m.direction = 'inbound'
            AND m.deleted_at IS NULL AND m.created_at > coalesce((
                SELECT max(o.created_at) FROM messages o
                WHERE o.tenant_id = %(tenant)s AND o.conversation_id = c.id AND o.direction = 'outbound'
                    AND o.status <> 'failed' AND o.deleted_at IS NULL
            ), '-infinity')
    ) w
    WHERE c.tenant_id = %(tenant)s AND c.deleted_at IS NULL AND c.state = 'open'
        AND c.last_inbound_at >= %(oldest)s AND w.since <= %(until)s - %(patience)s
    ORDER BY w.since LIMIT %(limit)s
"""


def unanswered(tenant_id: UUID, period: Period) -> Unanswered:
    found = rows(
        _Turn,
        _UNANSWERED,
        _about(tenant_id, period)
        | {
            "oldest": period.until - _LOOKS_BACK,
            "patience": timedelta(hours=period.unanswered_hours),
        },
    )
    return Unanswered(period.unanswered_hours, found[0].many if found else 0, tuple(one.shown() for one in found))


# Of each conversation the messages at which the other side begins to write: after a customer's comes our first answer.
_TURNS = """
    WITH written AS (
        SELECT conversation_id, created_at, direction,
            lag(direction) OVER (PARTITION BY conversation_id ORDER BY created_at, id) AS before
        FROM messages
        WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND conversation_id IS NOT NULL
            AND (direction = 'inbound' OR status <> 'failed')
            AND created_at >= %(since)s AND created_at < %(until)s
    ),
    turns AS (
        SELECT conversation_id, created_at, direction,
            lead(created_at) OVER (PARTITION BY conversation_id ORDER BY created_at) AS answered_at
        FROM written WHERE before IS DISTINCT FROM direction
    ),
    answered AS (
        SELECT conversation_id, answered_at - created_at AS waited FROM turns
        WHERE direction = 'inbound' AND answered_at IS NOT NULL
    )
"""


@dataclass(frozen=True)
class _Answered:
    conversation_id: UUID
    seconds: float


# One reading of the messages, which costs far more than to hand over what it found.
_ANSWERED = f"{_TURNS} SELECT conversation_id, extract(epoch FROM waited)::double precision AS seconds FROM answered"  # noqa: S608 - ours
_THREADS = """
    SELECT c.id AS conversation_id, s.name AS session, c.slack_channel_id, c.slack_thread_ts FROM conversations c
    JOIN waha_sessions s ON s.id = c.session_id AND s.tenant_id = c.tenant_id
    WHERE c.tenant_id = %(tenant)s AND c.id = ANY (%(conversations)s)
"""


@dataclass(frozen=True)
class _Thread:
    conversation_id: UUID
    session: str
    slack_channel_id: str | None
    slack_thread_ts: str | None


def responses(tenant_id: UUID, period: Period) -> Responses:
    """From a customer's first word to our first answer, of those who were answered in this time."""
    answered = rows(_Answered, _ANSWERED, _about(tenant_id, period))
    slowest = sorted(answered, key=lambda one: one.seconds, reverse=True)[:SLOWEST]
    parameters = {"tenant": tenant_id, "conversations": [one.conversation_id for one in slowest]}
    threads = {one.conversation_id: one for one in rows(_Thread, _THREADS, parameters)}
    shown = (_waited(threads[one.conversation_id], one.seconds) for one in slowest if one.conversation_id in threads)
    return Responses(tuple(one.seconds for one in answered), tuple(shown))


def _waited(thread: _Thread, seconds: float) -> Waiting:
    waited = timedelta(seconds=seconds)
    return _Turn(thread.session, waited, thread.slack_channel_id, thread.slack_thread_ts).shown()


def _about(tenant_id: UUID, period: Period) -> dict[str, Any]:
    return {"tenant": tenant_id, "since": period.since, "until": period.until, "limit": SLOWEST}
