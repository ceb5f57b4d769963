"""Slack's requests over HTTP: what is not Slack's is refused, what is comes once, and nothing of it is logged."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.http_mode import FORM_TYPE, JSON_TYPE, MAX_BODY_BYTES, HttpMode, Signer
from bot.running import serving
from sandbox.slack import SandboxSlack
from sandbox.slack.http_mode import signature
from tests.bot.conftest import SIGNING_SECRET, Ask, BotSettings, Mode, Rows, becomes, eventually, reachable
from tests.bot.test_bot_reception import locked_inbox
from tests.conftest import MigratedDatabase
from tests.slow_callers import begin_to_post

pytestmark = pytest.mark.database_role("switchboard_bot")

TEXT = "the-text-that-nobody-may-read-in-a-log"


@pytest.fixture
def mode() -> Mode:
    return "http"


class Caller:
    """Somebody who posts to the bot, and knows the secret unless told otherwise."""

    def __init__(self, address: str, session: aiohttp.ClientSession, team_id: str) -> None:
        self.address = address
        self._session = session
        self._team_id = team_id

    async def post(
        self,
        body: bytes,
        *,
        content_type: str = FORM_TYPE,
        secret: str = SIGNING_SECRET,
        at: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        signed = signature(secret, body, at=int(at if at is not None else time.time()))
        told = {"Content-Type": content_type, **signed, **(headers or {})}
        async with self._session.post(self.address, data=io.BytesIO(body), headers=told) as response:
            return response.status, await response.text()

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(self.address.removesuffix("/slack/events") + path) as response:
            return response.status, await response.text()

    def command(self, text: str = TEXT, *, trigger_id: str = "1.2.3") -> bytes:
        fields = {
            "command": "/wa",
            "text": text,
            "team_id": self._team_id,
            "channel_id": "C1",
            "user_id": "U1",
            "trigger_id": trigger_id,
            "response_url": "",
        }
        return urlencode(fields).encode()

    def event(self, text: str = TEXT) -> bytes:
        said = {"type": "message", "channel": "C1", "user": "U1", "ts": "1.2", "text": text}
        body = {"type": "event_callback", "team_id": self._team_id, "event_id": "Ev1", "event": said}
        return json.dumps(body).encode()


@pytest.fixture
async def caller(bot: HttpMode, slack: SandboxSlack) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(bot.address, session, slack.team_id)


KEPT = "SELECT kind, count(*) FROM slack_events GROUP BY 1 ORDER BY 1"


async def test_an_organisation_is_set_up_over_http(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("olga", "tenant create Acme")
    await ask("olga", "user add @ana TENANT_ADMIN --tenant Acme")

    answer = await ask("ana", "channel link #support")

    assert "#support shows the conversations of *Acme* from now on." in answer
    assert slack.state.socket_mode.connections == []


async def test_what_is_not_signed_with_the_secret_is_refused(caller: Caller, rows: Rows) -> None:
    forged = await caller.post(caller.command(), secret="another")
    of_another_body = await caller.post(caller.command("other"), headers=signature(SIGNING_SECRET, caller.command()))
    event = await caller.post(caller.event(), content_type=JSON_TYPE, secret="another")

    assert [forged[0], of_another_body[0], event[0]] == [401, 401, 401]
    assert await rows(KEPT) == []


# What is in the future comes nearer while it is on its way.
@pytest.mark.parametrize("seconds", [-301, -360, 330, 10**9])
async def test_what_was_signed_longer_ago_than_five_minutes_or_in_the_future_is_refused(
    caller: Caller, rows: Rows, seconds: int
) -> None:
    status, _ = await caller.post(caller.command(), at=time.time() + seconds)

    assert status == 401
    assert await rows(KEPT) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Slack-Request-Timestamp": "yesterday"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "1e9"},
        {"X-Slack-Request-Timestamp": "9" * 5000},
        {"X-Slack-Request-Timestamp": "٣"},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0="},
        {"X-Slack-Signature": "v0=ü"},
        {"X-Slack-Signature": "v1=" + "0" * 64},
    ],
)
async def test_headers_that_are_no_signature_are_refused(caller: Caller, headers: dict[str, str]) -> None:
    status, _ = await caller.post(caller.command(), headers=headers)

    assert status == 401


@pytest.mark.parametrize("seconds", [0, -290])
async def test_a_command_that_is_replayed_is_answered_200_and_not_carried_out_again(
    caller: Caller, rows: Rows, seconds: int
) -> None:
    body, at = caller.command("help"), time.time() + seconds

    first = await caller.post(body, at=at)
    again = [await caller.post(body, at=at) for _ in range(3)]

    assert {first, *again} == {(200, "")}
    assert await rows(KEPT) == [("command", 1)]


async def test_an_event_that_is_replayed_is_kept_once(caller: Caller, rows: Rows) -> None:
    body, at = caller.event(), time.time() - 200

    statuses = {(await caller.post(body, content_type=JSON_TYPE, at=at))[0] for _ in range(3)}

    assert statuses == {200}
    assert await rows(KEPT) == [("event", 1)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", JSON_TYPE, 400),
        (b"", FORM_TYPE, 400),
        (b"{", JSON_TYPE, 400),
        (b"[1]", JSON_TYPE, 400),
        (b"null", JSON_TYPE, 400),
        (b'"words"', JSON_TYPE, 400),
        (b'{"team": 5, "authorizations": "none"}', JSON_TYPE, 400),
        (b"payload=%7B", FORM_TYPE, 400),
        (b"payload=", FORM_TYPE, 400),
        (b"\xff\xfe", FORM_TYPE, 401),  # Slack signs text
        (b"{}", "text/plain", 415),
        (b"{}", "application/xml", 415),
        (b"{}", "application/json; charset=no-such-charset", 400),
        (b"a" * (MAX_BODY_BYTES + 1), FORM_TYPE, 413),
    ],
)
async def test_garbage_is_refused_also_when_it_is_signed(
    caller: Caller, rows: Rows, body: bytes, content_type: str, status: int
) -> None:
    answered, _ = await caller.post(body, content_type=content_type)

    assert answered == status
    assert await rows(KEPT) == []


async def test_an_address_is_confirmed_to_slack_that_signs_and_to_nobody_else(caller: Caller) -> None:
    body = b'{"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}'

    signed = await caller.post(body, content_type=JSON_TYPE)
    unsigned = await caller.post(body, content_type=JSON_TYPE, secret="another")

    assert signed == (200, '{"challenge": "3eZbrw1a"}')
    assert unsigned[0] == 401


async def test_a_look_at_the_certificate_is_answered_and_nothing_is_kept(caller: Caller, rows: Rows) -> None:
    got = await caller.get("/slack/events?ssl_check=1&token=t")
    posted = await caller.post(b"ssl_check=1&token=t", secret="another")
    nothing = await caller.get("/slack/events")

    assert [got[0], posted[0], nothing[0]] == [200, 200, 405]
    assert await rows(KEPT) == []


async def test_a_command_that_also_looks_at_the_certificate_is_not_carried_out(caller: Caller, rows: Rows) -> None:
    status, _ = await caller.post(caller.command("tenant create Evil") + b"&ssl_check=1", secret="another")

    assert status == 200
    assert await rows(KEPT) == []


async def test_it_says_whether_it_is_alive_and_ready(caller: Caller) -> None:
    alive, ready = await caller.get("/healthz"), await caller.get("/readyz")
    elsewhere = await caller.get("/")

    assert alive == (200, '{"status": "alive"}')
    assert ready == (200, '{"status": "ready", "missing": []}')
    assert elsewhere[0] == 404


async def test_nothing_of_what_is_refused_is_logged(caller: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    await caller.post(caller.command(), secret="another")
    await caller.post(caller.event(), content_type=JSON_TYPE, at=0)
    await caller.post(b'{"team": 5, "said": "%s"}' % TEXT.encode(), content_type=JSON_TYPE)

    said = "".join(capsys.readouterr())
    assert said.count("request refused") == 2
    assert TEXT not in said
    assert signature(SIGNING_SECRET, caller.command())["X-Slack-Signature"][:8] not in said


async def test_an_event_that_is_refused_while_postgresql_stalls_is_repeated(
    slack: SandboxSlack, bot: HttpMode, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    with locked_inbox(migrated_database):
        slack.say("ana", "support", "hello")
        [delivery] = slack.state.events.deliveries
        await eventually(lambda: delivery.attempts >= 2)

    await slack.until(lambda: delivery.acknowledged)

    assert await rows(KEPT) == [("event", 1)]


@pytest.mark.parametrize(("number", "asked"), [("", 0), ("1", 0), ("2", 1), ("3", 1), ("x", 0), ("-1", 0)])
async def test_who_was_not_reached_for_a_minute_asks_for_what_was_missed(
    slack: SandboxSlack, number: str, asked: int
) -> None:
    gaps: list[str] = []
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    way_in = HttpMode(
        AsyncApp(client=client, request_verification_enabled=False),
        lambda: [Signer(SIGNING_SECRET, lambda _team_id: True)],
        host="127.0.0.1",
        port=0,
        missing=nothing,
        after_gap=lambda: gaps.append("gap"),
    )
    await way_in.connect()

    async with aiohttp.ClientSession() as session:
        caller = Caller(way_in.address, session, slack.team_id)
        await caller.post(caller.event(), content_type=JSON_TYPE, headers={"X-Slack-Retry-Num": number})
    await way_in.close()

    assert len(gaps) == asked


async def nothing() -> list[str]:
    return []


async def test_what_is_in_flight_at_the_end_is_answered_and_what_comes_later_is_not_taken(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    async with aiohttp.ClientSession() as session:
        async with serving(bot_settings(mode="http")) as way_in:
            assert isinstance(way_in, HttpMode)
            await reachable(slack, way_in)
            caller = Caller(way_in.address, session, slack.team_id)
            with locked_inbox(migrated_database):
                asking = asyncio.create_task(caller.post(caller.command("help")))
                await becomes(rows, "SELECT count(*) FROM pg_locks WHERE NOT granted", [(1,)])
                closing = asyncio.create_task(way_in.close())
                status, said = await asking
            await closing

        with pytest.raises(aiohttp.ClientConnectorError):
            await caller.post(caller.command(trigger_id=str(uuid4())))

    assert status == 200
    assert "Not saved yet" in said
    assert await rows(KEPT) == [("command", 1)]


async def test_a_body_that_does_not_come_is_not_waited_for(caller: Caller) -> None:
    address = URL(caller.address)

    assert await begin_to_post(str(address.host), int(address.port or 0), address.path, FORM_TYPE) == 408
