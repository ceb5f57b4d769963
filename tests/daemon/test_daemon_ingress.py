"""Webhooks over a real socket, kept in a real PostgreSQL before they are answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from daemon import ingress
from daemon.intake import MOST_WAITING, Intake, Overloaded
from database import database, in_database, transaction
from models import uuid7
from operations.webhook_inbox import NewWebhook
from tests.daemon.conftest import Rows, becomes
from tests.slow_callers import begin_to_post

KEY = "a-key-of-main"
LIMIT = 10_000
Client = TestClient[Request, Application]


async def nothing_missing() -> list[str]:
    return []


@pytest.fixture
async def intake(rows: Rows) -> AsyncIterator[Intake]:
    intake = Intake()
    writing = asyncio.create_task(intake.write())
    yield intake
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
async def client(intake: Intake) -> AsyncIterator[Client]:
    app = ingress.application(intake=intake, keys={"main": KEY}, max_body_bytes=LIMIT, ready=nothing_missing)
    async with TestClient(TestServer(app)) as client:
        yield client


def signed(raw: bytes, key: str = KEY) -> dict[str, str]:
    digest = hmac.new(key.encode(), raw, hashlib.sha512).hexdigest()
    return {"X-Webhook-Hmac": digest, "X-Webhook-Hmac-Algorithm": "sha512", "Content-Type": "application/json"}


async def post(client: Client, raw: bytes, *, server: str = "main", key: str = KEY) -> int:
    async with client.post(f"/webhooks/waha/{server}", data=raw, headers=signed(raw, key)) as response:
        await response.read()
        return response.status


def event(event_id: str = "evt_1", session: str = "sales", chat_id: str = "4915123456789@c.us") -> bytes:
    payload = {"id": f"false_{chat_id}_3A01", "from": chat_id, "fromMe": False, "body": "Hello"}
    return json.dumps({"id": event_id, "event": "message.any", "session": session, "payload": payload}).encode()


def new_webhook(**fields: str) -> NewWebhook:
    known = {"server": "main", "session": "sales", "event_id": str(uuid.uuid4()), "event_name": "message.any"}
    return NewWebhook(id=uuid7(), lane="sales/one", body=b"{}", **known | fields)


async def test_a_signed_webhook_is_stored_as_it_came_before_it_is_answered(client: Client, rows: Rows) -> None:
    raw = event()

    assert await post(client, raw) == 200

    [(server, session, event_id, name, lane, body)] = await rows(
        "SELECT server, session, event_id, event_name, lane, body FROM webhook_events"
    )
    assert (server, session, event_id, name) == ("main", "sales", "evt_1", "message.any")
    assert lane == "sales/4915123456789@c.us"
    assert bytes(body) == raw


async def test_the_same_webhook_is_stored_once(client: Client, rows: Rows) -> None:
    answers = [await post(client, event()) for _ in range(3)]

    assert answers == [200, 200, 200]
    assert await rows("SELECT count(*) FROM webhook_events") == [(1,)]


@pytest.mark.parametrize("key", ["", "another-key"])
async def test_a_wrong_signature_is_refused_and_nothing_stored(client: Client, rows: Rows, key: str) -> None:
    assert await post(client, event(), key=key) == 401
    assert await rows("SELECT count(*) FROM webhook_events") == [(0,)]


async def test_an_unknown_server_is_refused(client: Client, rows: Rows) -> None:
    assert await post(client, event(), server="other") == 404
    assert await rows("SELECT count(*) FROM webhook_events") == [(0,)]


async def test_a_body_over_the_limit_is_refused(client: Client, rows: Rows) -> None:
    assert await post(client, b"x" * (LIMIT + 1)) == 413
    assert await rows("SELECT count(*) FROM webhook_events") == [(0,)]


@pytest.mark.parametrize("raw", [b"", b"not JSON", b"[]", b'{"id": 7}', b'{"id":"\\u0000","event":"e","session":"s"}'])
async def test_what_cannot_be_read_is_kept_under_its_fingerprint(client: Client, rows: Rows, raw: bytes) -> None:
    assert await post(client, raw) == 200

    [(event_id, lane, body)] = await rows("SELECT event_id, lane, body FROM webhook_events")
    assert event_id == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert lane == "main/unreadable"
    assert bytes(body) == raw


@pytest.mark.parametrize("field", ["event_id", "session", "chat_id"])
async def test_a_name_that_is_too_long_for_an_index_is_kept_under_a_fingerprint(
    client: Client, rows: Rows, field: str
) -> None:
    overlong = "".join(uuid.uuid4().hex for _ in range(100)) + "@c.us"
    raw = event(**{field: overlong})

    assert [await post(client, raw), await post(client, raw)] == [200, 200]

    [(event_id, lane, body)] = await rows("SELECT event_id, lane, body FROM webhook_events")
    assert "sha256:" in (lane if field == "chat_id" else event_id)
    assert len(event_id + lane) < 255
    assert bytes(body) == raw


async def test_what_waits_is_stored_together_and_in_order(rows: Rows) -> None:
    intake = Intake()
    webhooks = [new_webhook(event_id=f"evt_{number:03}") for number in range(150)]
    keeping = [asyncio.create_task(intake.keep(webhook)) for webhook in webhooks]
    await asyncio.sleep(0)

    writing = asyncio.create_task(intake.write())
    await asyncio.gather(*keeping)

    writing.cancel()
    found = await rows("SELECT event_id, xmin::text FROM webhook_events ORDER BY position")
    assert [event_id for event_id, _ in found] == [webhook.event_id for webhook in webhooks]
    assert len({transaction for _, transaction in found}) == 1


async def test_one_that_postgresql_will_not_have_takes_no_other_with_it(rows: Rows) -> None:
    intake = Intake()
    # A key's index takes 2,700 bytes at most, after compression.
    too_long = "".join(str(uuid.uuid4()) for _ in range(500))
    webhooks = [new_webhook(), new_webhook(session=too_long), new_webhook()]
    keeping = [asyncio.create_task(intake.keep(webhook)) for webhook in webhooks]
    await asyncio.sleep(0)

    writing = asyncio.create_task(intake.write())
    outcomes = await asyncio.gather(*keeping, return_exceptions=True)

    writing.cancel()
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert await rows("SELECT count(*) FROM webhook_events") == [(2,)]


async def test_a_webhook_that_cannot_be_stored_is_to_come_again(client: Client, rows: Rows) -> None:
    await rows("ALTER TABLE webhook_events RENAME TO webhook_events_away")
    raw = event()
    try:
        async with client.post("/webhooks/waha/main", data=raw, headers=signed(raw)) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
    finally:
        await rows("ALTER TABLE webhook_events_away RENAME TO webhook_events")

    assert await post(client, raw) == 200
    assert await rows("SELECT count(*) FROM webhook_events") == [(1,)]


async def test_more_than_can_be_stored_in_time_is_turned_away() -> None:
    intake = Intake()
    waiting = [asyncio.create_task(intake.keep(new_webhook())) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await intake.keep(new_webhook())

    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_more_than_memory_shall_hold_is_turned_away_until_it_is_stored(rows: Rows) -> None:
    intake = Intake(most_bytes=3)
    waiting = [asyncio.create_task(intake.keep(new_webhook()))]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await intake.keep(new_webhook())

    writing = asyncio.create_task(intake.write())
    await asyncio.gather(*waiting)
    await asyncio.sleep(0)
    await intake.keep(new_webhook())
    writing.cancel()
    assert await rows("SELECT count(*) FROM webhook_events") == [(2,)]


async def test_while_postgresql_stands_still_webhooks_are_turned_away_in_time_and_stored_once(rows: Rows) -> None:
    intake = Intake(patience_seconds=0.3)
    writing = asyncio.create_task(intake.write())
    app = ingress.application(intake=intake, keys={"main": KEY}, max_body_bytes=LIMIT, ready=nothing_missing)
    released = threading.Event()
    stalled = asyncio.create_task(in_database(hold_table, released))
    await becomes(
        rows,
        "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'webhook_events'::regclass AND granted",
        [(1,)],
    )

    async with TestClient(TestServer(app)) as client:
        turned_away = [await post(client, event(f"evt_{number}")) for number in range(3)]
        released.set()
        await stalled
        taken = [await post(client, event(f"evt_{number}")) for number in range(3)]

    writing.cancel()
    assert (turned_away, taken) == ([503] * 3, [200] * 3)
    assert await rows("SELECT event_id FROM webhook_events ORDER BY position") == [("evt_0",), ("evt_1",), ("evt_2",)]


def hold_table(released: threading.Event) -> None:
    with transaction():
        database.execute_sql("LOCK TABLE webhook_events IN SHARE MODE")
        released.wait(30)


async def test_a_request_that_was_given_up_does_not_stop_the_writer(intake: Intake, rows: Rows) -> None:
    given_up = asyncio.create_task(intake.keep(new_webhook()))
    await asyncio.sleep(0)
    given_up.cancel()

    await intake.keep(new_webhook())

    assert await rows("SELECT count(*) FROM webhook_events") == [(2,)]


async def test_health_and_readiness_tell_alive_from_able(intake: Intake) -> None:
    missing: list[str] = []

    async def ready() -> list[str]:
        return missing

    app = ingress.application(intake=intake, keys={}, max_body_bytes=LIMIT, ready=ready)
    async with TestClient(TestServer(app)) as client:
        assert await _status(client, "/readyz") == (200, {"status": "ready", "missing": []})
        missing.append("PostgreSQL: PoolTimeout")
        assert await _status(client, "/readyz") == (503, {"status": "not ready", "missing": missing})
        assert await _status(client, "/healthz") == (200, {"status": "alive"})


async def _status(client: Client, path: str) -> tuple[int, object]:
    async with client.get(path) as response:
        assert isinstance(response, aiohttp.ClientResponse)
        return response.status, await response.json()


async def test_a_body_that_does_not_come_is_not_waited_for(intake: Intake) -> None:
    soon = timedelta(seconds=0.1)
    app = ingress.application(
        intake=intake, keys={"main": KEY}, max_body_bytes=LIMIT, ready=nothing_missing, arrives_within=soon
    )
    async with TestServer(app) as server:
        status = await begin_to_post(server.host, int(server.port or 0), "/webhooks/waha/main", "application/json")

    assert status == 408
