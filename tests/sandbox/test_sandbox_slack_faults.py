"""Every fault that can be switched on, seen from the client's side."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.001, ack_seconds=0.1) as running:
        yield running


async def post(slack: SandboxSlack, text: str = "hello", seconds: float = 5) -> Any:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    body = {"channel": slack.channel("support").id, "text": text}
    limit = aiohttp.ClientTimeout(total=seconds)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=limit) as session,
        session.post(slack.api_url + "chat.postMessage", json=body) as response,
    ):
        return response.status, response.headers, await response.text()


async def test_a_rate_limit_names_the_seconds_to_wait(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", status=429, retry_after=7)
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

    with pytest.raises(SlackApiError) as limited:
        await client.chat_postMessage(channel=slack.channel("support").id, text="hello")
    await client.chat_postMessage(channel=slack.channel("support").id, text="again")

    assert limited.value.response["error"] == "ratelimited"
    assert limited.value.response.headers["Retry-After"] == "7"
    assert [message.text for message in slack.messages("support")] == ["again"]


async def test_rate_limits_are_enforced_on_request_and_for_each_channel(slack: SandboxSlack) -> None:
    now = 0.0
    limits = slack.rate_limits
    limits.enforced, limits.burst, limits.clock = True, 2, lambda: now
    alerts = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

    statuses = [(await post(slack))[0] for _ in range(3)]
    await alerts.chat_postMessage(channel=slack.channel("alerts").id, text="elsewhere")
    now = 1.0
    statuses.append((await post(slack))[0])

    assert statuses == [200, 200, 429, 200]
    assert slack.calls("chat.postMessage")[2].status == 429


async def test_a_server_error_is_no_json(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", status=500)

    status, headers, _ = await post(slack)

    assert status == 500
    assert headers["Content-Type"].startswith("text/html")
    assert slack.messages("support") == []


async def test_an_error_of_slacks_own_can_come_after_the_message_was_stored(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", error="internal_error", after_storing=True)

    status, _, text = await post(slack)

    assert (status, "internal_error" in text) == (200, True)
    assert [message.text for message in slack.messages("support")] == ["hello"]


async def test_a_connection_dropped_after_storing_leaves_the_message(slack: SandboxSlack) -> None:
    fault = slack.fail("chat.postMessage", drop_after_storing=True)

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(slack)

    assert fault.hits == 1
    assert [message.text for message in slack.messages("support")] == ["hello"]
    [call] = slack.calls("chat.postMessage")
    assert (call.stored, call.answer) == (True, None)


async def test_the_sdks_default_retry_posts_twice_after_such_a_drop(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", drop_after_storing=True)
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)

    await client.chat_postMessage(channel=slack.channel("support").id, text="doubled")

    assert [message.text for message in slack.messages("support")] == ["doubled", "doubled"]


async def test_a_connection_can_be_dropped_before_anything_happened(slack: SandboxSlack) -> None:
    slack.fail("*", drop=True)

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(slack)

    assert slack.messages("support") == []


async def test_a_hanging_call_is_let_go_by_heal(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", hang=True, after_storing=True, times=None)

    with pytest.raises(TimeoutError):
        await post(slack, seconds=0.2)
    slack.heal()
    status, _, _ = await post(slack, "healed")

    assert status == 200
    assert [message.text for message in slack.messages("support")] == ["hello", "healed"]


async def test_a_fault_can_be_meant_for_some_calls_only(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", error="fatal_error", times=None, when=lambda sent: sent["text"] == "bad")

    answers = [await post(slack, text) for text in ("good", "bad", "good", "bad")]

    assert ["fatal_error" in text for _, _, text in answers] == [False, True, False, True]


async def test_a_server_that_is_down_refuses_connections_and_comes_back_on_its_port(slack: SandboxSlack) -> None:
    await slack.go_down()
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(slack)

    await slack.come_back()
    status, _, _ = await post(slack)

    assert status == 200


class Listener:
    """A bare Socket Mode client that acknowledges what it is told to."""

    def __init__(self, slack: SandboxSlack) -> None:
        self.slack = slack
        self.envelopes: list[dict[str, Any]] = []
        self.hello: dict[str, Any] = {}

    async def listen(self, session: aiohttp.ClientSession, *, envelopes: int, ack: bool = True) -> None:
        headers = {"Authorization": f"Bearer {self.slack.app_token}"}
        async with session.post(self.slack.api_url + "apps.connections.open", headers=headers) as response:
            address = (await response.json())["url"]
        async with session.ws_connect(address) as socket:
            self.hello = await socket.receive_json(timeout=5)
            self.slack.say("ana", "support", "hello")
            while len(self.envelopes) < envelopes:
                envelope = await socket.receive_json(timeout=5)
                self.envelopes.append(envelope)
                if ack:
                    await socket.send_json({"envelope_id": envelope["envelope_id"]})
            if ack:
                await self.slack.until(lambda: all(sent.acknowledged for sent in self.slack.state.events.deliveries))


async def test_an_unacknowledged_event_comes_four_times_and_says_why(slack: SandboxSlack) -> None:
    listener = Listener(slack)
    async with aiohttp.ClientSession() as session:
        await listener.listen(session, envelopes=4, ack=False)

    assert listener.hello["type"] == "hello"
    assert [(envelope["retry_attempt"], envelope["retry_reason"]) for envelope in listener.envelopes] == [
        (0, ""),
        (1, "timeout"),
        (2, "timeout"),
        (3, "timeout"),
    ]
    assert len({envelope["payload"]["event_id"] for envelope in listener.envelopes}) == 1


async def test_copies_of_an_event_have_ids_of_their_own(slack: SandboxSlack) -> None:
    slack.disturb_events(copies=2)
    listener = Listener(slack)
    async with aiohttp.ClientSession() as session:
        await listener.listen(session, envelopes=2)

    payloads = [envelope["payload"] for envelope in listener.envelopes]
    assert len({payload["event_id"] for payload in payloads}) == 2
    assert len({payload["event"]["ts"] for payload in payloads}) == 1


async def test_lost_events_are_never_told_but_stay_in_the_history(slack: SandboxSlack) -> None:
    slack.disturb_events(lose=1)
    slack.say("ana", "support", "unheard")
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

    history = await client.conversations_history(channel=slack.channel("support").id)

    assert slack.state.events.deliveries == []
    assert [message["text"] for message in history["messages"]] == ["unheard"]


async def test_a_ticket_opens_one_connection(slack: SandboxSlack) -> None:
    headers = {"Authorization": f"Bearer {slack.app_token}"}
    async with aiohttp.ClientSession() as session:
        async with session.post(slack.api_url + "apps.connections.open", headers=headers) as response:
            address = (await response.json())["url"]
        async with session.ws_connect(address):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(address)


async def test_an_eleventh_connection_is_sent_away(slack: SandboxSlack) -> None:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    async with aiohttp.ClientSession() as session:
        sockets = []
        for _ in range(11):
            opened = await client.apps_connections_open(app_token=slack.app_token)
            sockets.append(await session.ws_connect(opened["url"]))
        last = await sockets[-1].receive_json(timeout=timedelta(seconds=5).total_seconds())

    assert (last["type"], last["reason"]) == ("disconnect", "too_many_websockets")
