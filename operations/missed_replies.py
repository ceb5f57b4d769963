"""What people wrote in the threads of conversations while nobody listened: stored as the events it would have been.

Slack does not keep events for an app that is away, but it keeps what people wrote. What is found gets the keys of its
events, so that an event that comes after all, or came before, is the same row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, set_tenant, transaction
from models import PostKind
from operations.catching_up import LeasedChannel
from operations.dividers import SHOWN_FOR, Recovered
from operations.editions import Reply, reply_of
from operations.posting import queue_post
from operations.slack_events import incoming
from operations.slack_inbox import NewSlackEvent, arrive_in_turn
from operations.sql import database_now, first, rows
from operations.store import insert_many


@dataclass(frozen=True)
class Thread:
    """A conversation's thread in a channel."""

    tenant_id: UUID
    conversation_id: UUID
    thread_ts: str


@dataclass(frozen=True)
class Found:
    """What was new in a thread: `replies` are counted in it, `edits` of known ones are only handled."""

    replies: int = 0
    edits: int = 0


@dataclass(frozen=True)
class _Old(NewSlackEvent):
    """Stored as done with: it is known from now on, and not sent."""

    processed_at: datetime | None = None


@dataclass(frozen=True)
class _Edition:
    about: str
    edition: str


@dataclass(frozen=True)
class _Candidate:
    reply: Reply
    row: NewSlackEvent

    @property
    def written_at(self) -> datetime:
        return datetime.fromtimestamp(float(self.reply.ts), tz=UTC)


def threads_of(channel: LeasedChannel) -> dict[str, Thread]:
    """The threads of conversations in a channel, by their ts."""
    with transaction():
        found = rows(
            Thread, "SELECT * FROM threads_of_channel(%s, %s)", (channel.slack_team_id, channel.slack_channel_id)
        )
    return {thread.thread_ts: thread for thread in found}


def store(channel: LeasedChannel, thread_ts: str, messages: Sequence[dict[str, Any]], *, ask_after: timedelta) -> Found:
    """Keep what of a thread's messages is new, and say in the thread what was recovered: both, or neither.

    A root whose post is not recorded yet is no conversation's thread: the inbox waits for it, and nothing is said.
    """
    candidates = [one for message in messages if (one := _candidate(channel, message)) is not None]
    with transaction():
        for lane in {one.row.lane for one in candidates}:
            arrive_in_turn(lane)
        known = _known(candidates)
        since = database_now() - SHOWN_FOR
        stored = [one for one in candidates if _is_new(one, known) and _insert(one, since)]
        if stored:
            notify("slack_events")
        heard = {edition.about for edition in known}
        edits = [one for one in stored if one.reply.about in heard]
        replies = [one for one in stored if one.reply.about not in heard and not one.reply.is_internal]
        if replies:
            _say(channel, thread_ts, replies, since, ask_after)
    return Found(len(replies), len(edits))


def _candidate(channel: LeasedChannel, message: dict[str, Any]) -> _Candidate | None:
    event = message | {"channel": channel.slack_channel_id, "event_ts": message.get("ts")}
    body = {"type": "event_callback", "team_id": channel.slack_team_id, "event": event, "is_recovered": True}
    reply, row = reply_of(body), incoming(body)
    return _Candidate(reply, row) if reply is not None and row is not None else None


def _known(candidates: Sequence[_Candidate]) -> set[_Edition]:
    abouts = [one.reply.about for one in candidates]
    return set(rows(_Edition, "SELECT about, edition FROM slack_events WHERE about = ANY (%s)", (abouts,)))


def _is_new(one: _Candidate, known: Collection[_Edition]) -> bool:
    """A later edition that is known makes this one old news, whichever way it came."""
    return all(edition.about != one.reply.about or edition.edition < one.reply.edition for edition in known)


def _insert(one: _Candidate, since: datetime) -> bool:
    row: NewSlackEvent = one.row
    if one.written_at < since:
        row = _Old(**{field.name: getattr(row, field.name) for field in fields(row)}, processed_at=database_now())
    return bool(insert_many("slack_events", [row]))


def _say(
    channel: LeasedChannel, thread_ts: str, replies: Sequence[_Candidate], since: datetime, ask_after: timedelta
) -> None:
    place = (channel.slack_team_id, channel.slack_channel_id, thread_ts)
    thread = first(Thread, "SELECT *, %s AS thread_ts FROM conversation_of_thread(%s, %s, %s)", (thread_ts, *place))
    if thread is None:
        return
    set_tenant(thread.tenant_id)
    times = sorted(one.written_at for one in replies)
    recent = sum(at >= since for at in times)
    recovered = Recovered(recent, len(times) - recent, times[0], times[-1], channel.cause)
    # In a lane of its own: what customers wrote goes first, and a channel takes one post a second.
    queue_post(
        f"recovered:{channel.slack_team_id}/{channel.slack_channel_id}",
        PostKind.POST,
        {"text": recovered.below_replies(ask_after=ask_after)},
        team_id=channel.slack_team_id,
        channel_id=channel.slack_channel_id,
        tenant_id=thread.tenant_id,
        thread_ts=thread_ts,
    )
