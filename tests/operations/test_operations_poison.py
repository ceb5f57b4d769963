"""What cannot be handled, or only sometimes: parked with its error after some tries, and nothing behind it waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from database import database
from models import Conversation, WahaSession
from operations.lanes import MOST_ATTEMPTS, Inbox, Kept
from operations.outcomes import Early
from operations.webhook_inbox import NewWebhook, due_lanes, store
from tests.operations.builders import CUSTOMER, World, handle_webhooks, said, take, webhook
from waha.webhooks import envelope_of

ANOTHER = "4917700000000@c.us"


def wrote(session: WahaSession, body: str, chat_id: str = CUSTOMER, **more: Any) -> NewWebhook:
    return webhook(session, "message.any", said(body, "", chat_id, **more))


def parked(world: World) -> list[str]:
    return [error for (error,) in world.sql("SELECT error FROM webhook_events WHERE parked_at IS NOT NULL")]


@contextmanager
def impatient(world: World, conversation: Conversation) -> Iterator[None]:
    """A conversation's row is held by somebody else, and PostgreSQL ends every statement that waits for it."""
    with closing(psycopg2.connect(world.migrated.url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM conversations WHERE id = %s FOR UPDATE", (str(conversation.id),))
        database.execute_sql("SET statement_timeout = '50ms'")
        try:
            yield
        finally:
            database.execute_sql("RESET statement_timeout")


def try_again(world: World, times: int) -> None:
    for _ in range(times):
        handle_webhooks()
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")


def test_an_event_that_takes_too_long_each_time_is_parked_while_others_are_handled(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.conversation(session, ANOTHER)
    store([wrote(session, "1"), wrote(session, "fine", ANOTHER)])

    with impatient(world, conversation):
        try_again(world, MOST_ATTEMPTS)

    [error] = parked(world)
    assert "canceling statement due to statement timeout" in error
    assert [text[-4:] for text in world.texts()] == ["fine"]


def test_an_event_that_takes_too_long_because_nothing_goes_on_is_kept_until_it_does(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([wrote(session, "1")])

    with impatient(world, conversation):
        try_again(world, MOST_ATTEMPTS + 2)
    handle_webhooks()

    assert parked(world) == []
    assert world.texts() == ["*+4915••••••789*: 1"]


def test_a_row_whose_failure_cannot_be_written_down_is_parked_and_stops_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([wrote(session, "1"), wrote(session, "2")])
    inbox, nowhere = Inbox("webhook_events", Kept), "".join(str(uuid4()) for _ in range(300))

    def step_aside(row: Kept) -> None:
        raise Early(nowhere)

    for _ in range(MOST_ATTEMPTS):
        [lane] = due_lanes(1)
        inbox.process_head(lane, step_aside)
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")
    handle_webhooks()

    assert len(parked(world)) == 1
    assert [text[-1] for text in world.texts()] == ["2"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"event": "message.any", "id": "e", "session": "s", "payload": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"\xff\xfe{}",
        b'{"event": NaN}',
        b'{"event": "message.any", "id": "e", "session": "' + b"9" * 5_000 + b'", "x": ' + b"9" * 5_000 + b"}",
    ],
    ids=["deeply nested", "not UTF-8", "not a number", "a number beyond all"],
)
def test_what_no_parser_takes_is_no_row_of_a_chat_and_stops_nothing(
    world: World, session: WahaSession, conversation: Conversation, raw: bytes
) -> None:
    assert envelope_of(raw) is None

    take(replace(wrote(session, ""), body=raw), wrote(session, "behind"))

    assert parked(world) == ["The body is not JSON."]
    assert [text[-6:] for text in world.texts()] == ["behind"]


def test_numbers_as_strings_and_a_body_of_megabytes_are_a_message_like_any_other(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    odd = wrote(session, "Hi", timestamp="1767000000", ack="2", hasMedia="no", _data={"noise": "x" * 5_000_000})

    take(odd, wrote(session, "x" * 200_000))

    assert parked(world) == []
    assert world.value("SELECT metadata->>'timestamp' FROM messages WHERE body = 'Hi'") == "2025-12-29T09:20:00+00:00"
    assert world.value("SELECT max(length(body)) FROM messages") == 200_000


@pytest.mark.parametrize("payload", [None, [], "text", {"id": 7}, {"id": {"id": 7}}, {"id": "true_"}])
def test_a_payload_of_another_shape_is_parked(
    world: World, session: WahaSession, conversation: Conversation, payload: Any
) -> None:
    odd = wrote(session, "x")
    body = json.loads(odd.body) | {"payload": payload}

    take(replace(odd, body=json.dumps(body).encode()), wrote(session, "behind"))

    assert parked(world) == ["The message's id or its chat is missing."]
    assert len(world.texts()) == 1
