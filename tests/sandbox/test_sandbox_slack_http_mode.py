"""Delivery by HTTP: the real Bolt checks the signatures."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack, Wait
from sandbox.slack.http_mode import signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SECRET = "sandbox-secret"
BUTTONS = [
    {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "qr", "text": {"type": "plain_text", "text": "Show QR"}}],
    }
]


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.001, ack_seconds=0.5) as running:
        yield running


@asynccontextmanager
async def served(slack: SandboxSlack, handle: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes([web.post("/slack/events", handle)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.deliver_by_http(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events", SECRET)
    try:
        yield
    finally:
        await runner.cleanup()


def bolt(slack: SandboxSlack, secret: str = SECRET) -> AsyncApp:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    return AsyncApp(client=client, signing_secret=secret)


def handler(app: AsyncApp) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    return handle


async def test_commands_clicks_and_events_reach_bolt(slack: SandboxSlack) -> None:
    app = bolt(slack)
    events: list[Any] = []

    @app.command("/wa")
    async def on_command(ack: Any, command: dict[str, Any]) -> None:
        await ack(text=f"heard {command['text']}", blocks=BUTTONS)

    @app.action("qr")
    async def on_click(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="a code", replace_original=True)

    @app.event("message")
    async def on_message(event: dict[str, Any]) -> None:
        events.append(event)

    async with served(slack, handler(app)):
        answer = await slack.command("ana", "support", "/wa status & more")
        first = answer.texts
        await slack.click("ana", answer.messages[0], "Show QR")
        slack.say("ana", "support", "hello")
        await slack.until(lambda: all(sent.acknowledged for sent in slack.state.events.deliveries))

    assert first == ["heard status &amp; more"]
    assert answer.messages[0].text == "a code"
    assert [event["text"] for event in events] == ["hello"]


async def test_a_wrong_secret_is_noticed(slack: SandboxSlack) -> None:
    async with served(slack, handler(bolt(slack, "another-secret"))):
        answer = await slack.command("ana", "support", "/wa status")

    assert answer.error == "dispatch_failed"


async def test_the_signature_is_slacks() -> None:
    # The example of Slack's own page on verifying requests.
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )

    headers = signature("8f742231b10e8888abcd99yyyzzz85a5", body, at=1531420618)

    assert headers["X-Slack-Signature"] == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


async def test_an_event_that_fails_is_repeated_with_the_reason(slack: SandboxSlack) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.headers.get("X-Slack-Retry-Num"), request.headers.get("X-Slack-Retry-Reason")))
        return web.Response(status=500 if len(seen) < 3 else 200)

    async with served(slack, handle):
        slack.say("ana", "support", "hello")
        await slack.until(lambda: all(sent.acknowledged for sent in slack.state.events.deliveries))

    assert seen == [(None, None), ("1", "http_error"), ("2", "http_error")]


async def test_the_app_can_ask_not_to_be_told_again(slack: SandboxSlack) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=500, headers={"X-Slack-No-Retry": "1"})

    async with served(slack, handle):
        slack.say("ana", "support", "hello")
        [delivery] = slack.state.events.deliveries
        await slack.until(lambda: delivery.given_up)

    assert delivery.attempts == 1


async def test_an_app_that_takes_too_long_times_out_for_the_person(slack: SandboxSlack) -> None:
    released = asyncio.Event()

    async def handle(_request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with served(slack, handle):
        answer = await slack.command("ana", "support", "/wa status", Wait(seconds=0.1))
        released.set()

    assert answer.error == "operation_timeout"
