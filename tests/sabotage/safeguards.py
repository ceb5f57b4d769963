"""Each safeguard of the product, and how it is switched off in a process of ours before its room starts.

Code is replaced in the process; what is SQL is replaced in the statement on its way, or in the database's function.
A patch that finds nothing to switch off raises: the sabotage would be none.
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Callable
from typing import Any

import peewee
import psycopg2

# A lease that is still running, as both functions ask for it.
_IS_FREE = re.compile(r"\((\w+)\.(send_|)lease_token IS NULL OR \1\.\2lease_expires_at < clock_timestamp\(\)\)")
# Of outcomes; a lane or a conversation is still given back by whoever has it, else all would be.
_FENCE = re.compile(r"AND lease_token = (%s|%\(token\)s)")
_NOT_UNDER_WAY = re.compile(r"\((\w+)\.lease_expires_at IS NULL OR \1\.lease_expires_at < clock_timestamp\(\)\)")
# The body of `lease_messages` up to what it returns.
_CHOICE = re.compile(r"DECLARE\b.*?(?=SELECT m\.id, m\.tenant_id, m\.session_id)", re.DOTALL)
_ROWS = """BEGIN
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT m.id FROM messages m JOIN waha_sessions s ON s.id = m.session_id AND s.status = 'working'
        WHERE m.status = 'queued' AND m.direction = 'outbound' AND m.parked_at IS NULL
            AND m.next_attempt_at <= clock_timestamp()
            AND (m.lease_token IS NULL OR m.lease_expires_at < clock_timestamp())
            AND (p_servers IS NULL OR s.server = ANY (p_servers))
        ORDER BY m.next_attempt_at LIMIT p_limit FOR NO KEY UPDATE OF m SKIP LOCKED
    ),
    leased AS (
        UPDATE messages m SET lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + p_lease,
            waha_message_id = coalesce(m.waha_message_id, '3EB0' || upper(substr(md5(gen_random_uuid()::text), 1, 18)))
        FROM chosen WHERE m.id = chosen.id
        RETURNING m.*, false AS is_new_contact
    )
    """
_REST = re.compile(r"(JOIN waha_sessions s ON s\.id = m\.session_id;).*?END\n", re.DOTALL)
_MARK = "-- sabotaged"
_LEASING = ("lease_messages", "lease_posts")


class NothingToSwitchOff(Exception):
    """The code has changed, and the safeguard is somewhere else now."""


def deduplication() -> None:
    """Every webhook, event, message and reply is new."""
    from operations import inbound, slack_inbox, webhook_inbox  # noqa: PLC0415 - after the others, of this process alone

    stored, kept = webhook_inbox.store, slack_inbox.store

    def store_webhooks(webhooks: Any) -> int:
        return stored(
            [dataclasses.replace(one, id=uuid.uuid4(), event_id=f"{one.event_id}/{uuid.uuid4()}") for one in webhooks]
        )

    def store_event(event: Any) -> Any:
        is_event = event.kind == "event"
        return kept(dataclasses.replace(event, id=uuid.uuid4(), key=str(uuid.uuid4())) if is_event else event)

    _replace(webhook_inbox, "store", store_webhooks)
    _replace(slack_inbox, "store", store_event)
    _replace(inbound, "_is_known", lambda *_, **__: False)
    _rewrite_statements(re.compile(r"ON CONFLICT \(session_id, direction, waha_message_id\)[^)]*? DO NOTHING"), "")
    _after_migration("DROP INDEX IF EXISTS messages_waha_message_id_key, messages_slack_reply_key")


def lease() -> None:
    """What is being sent or posted is free for everybody after a moment, whatever the call takes."""
    soon = "(clock_timestamp() + p_lease - interval '0.3 seconds')"
    _rewrite_functions(
        _LEASING,
        (_IS_FREE, rf"(\1.\2lease_token IS NULL OR \1.\2lease_expires_at < {soon})"),
        (_NOT_UNDER_WAY, rf"(\1.lease_expires_at IS NULL OR \1.lease_expires_at < {soon})"),
    )


def fence() -> None:
    """Whoever had the lease once may record an outcome."""
    _rewrite_statements(_FENCE, r"AND \1::uuid IS NOT NULL")


def look_up() -> None:
    """A call whose outcome is unknown is just repeated."""
    from daemon import posts, sender  # noqa: PLC0415 - the daemon's alone

    async def send_again(self: Any, message: Any, server: Any) -> None:
        await self._send(message, server)

    async def find_nothing(*_: Any) -> None:
        return None

    _replace(sender.Sender, "_settle", send_again)
    _replace(posts.Poster, "look_up", find_nothing)


def conversation_claim() -> None:
    """Messages are claimed instead of their conversation: the one behind a message in flight is free."""
    _rewrite_functions(("lease_messages",), (_CHOICE, _ROWS), (_REST, r"\1\nEND\n"))


def idempotency_key() -> None:
    """Messages leave without an id of ours, posts without metadata."""
    from slack.client import SlackClient  # noqa: PLC0415 - the daemon's alone
    from waha.client import WahaClient  # noqa: PLC0415 - the daemon's alone

    send, post = WahaClient.send_text, SlackClient.post

    async def send_without(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await send(self, *args, **kwargs | {"message_id": None})

    async def post_without(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await post(self, *args, **kwargs | {"outbox_id": None})

    _replace(WahaClient, "send_text", send_without)
    _replace(SlackClient, "post", post_without)


# By name; `True` where the bot has it too.
SAFEGUARDS: dict[str, tuple[Callable[[], None], bool]] = {
    "deduplication": (deduplication, True),
    "lease": (lease, False),
    "fence": (fence, False),
    "look-up": (look_up, False),
    "conversation-claim": (conversation_claim, False),
    "idempotency-key": (idempotency_key, False),
}


def switch_off(name: str, room: str) -> None:
    """Switch one safeguard off in this process, which is going to be `room`."""
    patch, is_bots_too = SAFEGUARDS[name]
    if room == "daemon" or is_bots_too:
        patch()


def _replace(owner: Any, name: str, other: Any) -> None:
    if not hasattr(owner, name):
        raise NothingToSwitchOff(f"{owner} has no {name}")
    setattr(owner, name, other)


def _rewrite_statements(pattern: re.Pattern[str], other: str) -> None:
    execute: Any = peewee.Database.execute_sql

    def execute_sql(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
        return execute(self, pattern.sub(other, sql), *args, **kwargs)

    _replace(peewee.Database, "execute_sql", execute_sql)


def _rewrite_functions(functions: tuple[str, ...], *changes: tuple[re.Pattern[str], str]) -> None:
    def rewrite(cursor: Any) -> None:
        for function in functions:
            cursor.execute("SELECT pg_get_functiondef(%s::regproc)", (function,))
            body = cursor.fetchone()[0]
            if _MARK in body:
                continue  # the other daemon was here
            for pattern, other in changes:
                body, count = pattern.subn(other, body)
                if not count and pattern is not _NOT_UNDER_WAY:
                    raise NothingToSwitchOff(f"{function}: {pattern.pattern}")
            cursor.execute(body.replace("BEGIN\n", f"BEGIN {_MARK}\n", 1))

    _once_migrated(rewrite)


def _after_migration(statement: str) -> None:
    _once_migrated(lambda cursor: cursor.execute(statement))


def _once_migrated(work: Callable[[Any], None]) -> None:
    from database import starting  # noqa: PLC0415 - patched before the room imports it

    opened = starting.open_migrated_database

    def open_sabotaged(settings: Any, *args: Any, **kwargs: Any) -> Any:
        result = opened(settings, *args, **kwargs)
        with psycopg2.connect(host=str(settings.data_dir), dbname="switchboard", user="postgres") as connection:
            # One after the other: both daemons do it.
            cursor = connection.cursor()
            cursor.execute("SELECT pg_advisory_xact_lock(4711)")
            work(cursor)
        connection.close()
        return result

    _replace(starting, "open_migrated_database", open_sabotaged)
