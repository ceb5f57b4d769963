"""What a real WAHA posted, and what nobody should post, at the door of the real daemon."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from operations.encryption import KeyRing, use_keys
from operations.envelopes import opened_body
from sandbox.stage import Stage
from settings import load
from tests.acceptance.acting import Query, Scene, Team, set_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "my-hmac-key"
HERE = Path(__file__).parent
STORED = "SELECT server, session, event_id, event_name, body, processed_at, parked_at, error, id FROM webhook_events"
OF_UNKNOWN_SESSION = "SELECT count(*) FROM webhook_events WHERE error = 'No session is called default here.'"


def recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


SIGNED = recorded(HERE.parent / "waha" / "data" / "signed-webhooks.jsonl")
UNSIGNED = recorded(HERE / "data" / "unsigned-webhooks.jsonl")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("webhooks"), database_url=database_url) as stage:
        set_in(stage, "waha.servers.main", webhook_hmac_key=KEY)
        set_in(stage, "daemon", max_body_mb=0.1)
        await stage.start()
        yield Scene(stage, rows)


async def post(scene: Scene, body: bytes, headers: dict[str, str], server: str = "main") -> int:
    url = f"http://127.0.0.1:{scene.stage.daemon_port}/webhooks/waha/{server}"
    headers = {"Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession() as client, client.post(url, data=body, headers=headers) as response:
        await response.read()
        return response.status


def signed(body: bytes) -> dict[str, str]:
    digest = hmac.new(KEY.encode(), body, hashlib.sha512).hexdigest()
    return {"X-Webhook-Hmac": digest, "X-Webhook-Hmac-Algorithm": "sha512"}


async def post_recorded(scene: Scene) -> list[int]:
    return [
        await post(
            scene,
            one["body"].encode(),
            {"X-Webhook-Hmac": one["signature"], "X-Webhook-Hmac-Algorithm": one["algorithm"]},
        )
        for one in SIGNED
    ]


def body_of(scene: Scene, row: tuple[Any, ...]) -> bytes:
    """A webhook as it was posted."""
    use_keys(KeyRing(load(scene.stage.directory / "config.toml", {}).security.raw_keys))
    return opened_body(row[4], table="webhook_events", row=row[8])


def events() -> set[tuple[str, str]]:
    return {(event["id"], event["event"]) for event in (json.loads(one["body"]) for one in SIGNED)}


async def test_a_changed_byte_is_refused_and_nothing_is_stored(scene: Scene) -> None:
    answers = []

    for number, one in enumerate(SIGNED):
        body = bytearray(one["body"].encode())
        body[number * 7 % len(body)] ^= 1
        answers.append(await post(scene, bytes(body), {"X-Webhook-Hmac": one["signature"]}))

    assert answers == [401] * 34
    assert scene.rows("SELECT count(*) FROM webhook_events") == [(0,)]


async def test_what_waha_posted_without_a_signature_is_refused(scene: Scene) -> None:
    answers = [await post(scene, one["body"].encode(), {}) for one in UNSIGNED for _ in range(one["times"])]

    assert answers == [401] * 47
    assert scene.rows("SELECT count(*) FROM webhook_events") == [(0,)]


async def test_the_recorded_webhooks_are_stored_once_each_and_parked_as_nobody_s(scene: Scene) -> None:
    answers = await post_recorded(scene)

    await scene.until_rows(OF_UNKNOWN_SESSION, [(len(events()),)])
    assert answers == [200] * 34
    stored = scene.rows(STORED)
    assert {(event_id, name) for _, _, event_id, name, *_ in stored} == events()
    assert len(stored) == len(events())
    assert {body_of(scene, row) for row in stored} <= {one["body"].encode() for one in SIGNED}
    # What WAHA tells of an account is encrypted, what it tells of messages is not.
    assert {row[3] for row in stored if bytes(row[4]).startswith(b"v1.")} == {"session.status"}
    assert all(row[5] is None and row[6] is not None for row in stored)


async def test_posted_again_they_change_no_row(scene: Scene) -> None:
    before = sorted(scene.rows(STORED), key=lambda row: row[2:4])

    answers = await post_recorded(scene)

    assert answers == [200] * 34
    assert sorted(scene.rows(STORED), key=lambda row: row[2:4]) == before


async def test_those_of_a_session_that_is_known_appear_in_slack(scene: Scene) -> None:
    await _known_session(scene)

    answers = await post_recorded(scene)

    await scene.until_idle()
    assert answers == [200] * 34
    assert scene.rows("SELECT count(*) FROM webhook_events WHERE parked_at IS NOT NULL") == [(0,)]
    texts = {text for (text,) in scene.rows("SELECT body FROM messages WHERE body <> ''")}
    assert texts
    for text in texts:
        [(kept,)] = scene.rows(f"SELECT count(*) FROM messages WHERE body = '{text}'")  # noqa: S608 - recorded
        assert len(_texts_in_support(scene, text)) == kept


async def _known_session(scene: Scene) -> Team:
    """A tenant whose session is the recorded one; the events that were parked are forgotten."""
    team = await scene.found("Acme", "ana", "support", "+4930901820")
    # The recorded account has its own state on the server that posted, not on the simulated one.
    scene.rows("UPDATE waha_sessions SET external_session_id = 'default', desired_state = 'stopped'")
    scene.rows("DELETE FROM webhook_events")
    return team


def _texts_in_support(scene: Scene, text: str) -> list[str]:
    return [shown.text for shown in scene.stage.slack.messages("support") if shown.text.endswith(f": {text}")]


async def test_a_body_over_the_limit_is_413(scene: Scene) -> None:
    body = b"x" * 110_000

    assert await post(scene, body, signed(body)) == 413


async def test_a_server_that_is_not_in_the_settings_is_404(scene: Scene) -> None:
    assert await post(scene, b"{}", signed(b"{}"), server="other") == 404


async def test_what_is_not_json_is_kept_as_it_came_and_parked(scene: Scene) -> None:
    body = b"\xff\xfe not JSON"

    assert await post(scene, body, signed(body)) == 200

    error = "SELECT error FROM webhook_events WHERE lane = 'main/unreadable'"
    await scene.until_rows(error, [("The body is not JSON.",)])
    [(kept,)] = scene.rows("SELECT body FROM webhook_events WHERE lane = 'main/unreadable'")
    assert bytes(kept) == body


async def test_a_character_that_postgresql_cannot_store_is_replaced_and_the_bytes_are_kept(scene: Scene) -> None:
    """WhatsApp lets anybody write U+0000."""
    event = next(json.loads(one["body"]) for one in SIGNED if '"event":"message"' in one["body"])
    event |= {"id": "evt_nul"}
    event["payload"] |= {"id": "false_79990000000@c.us_3EB0NUL", "body": "nul\0and half \ud83d"}
    body = json.dumps(event).encode()

    assert await post(scene, body, signed(body)) == 200

    await scene.stage.until(lambda: scene.in_channel("support", "nul\ufffdand half"), "the message in #support")
    assert scene.rows("SELECT body FROM messages WHERE waha_message_id = '3EB0NUL'") == [("nul\ufffdand half \ufffd",)]
    [(kept,)] = scene.rows("SELECT body FROM webhook_events WHERE event_id = 'evt_nul'")
    assert bytes(kept) == body
