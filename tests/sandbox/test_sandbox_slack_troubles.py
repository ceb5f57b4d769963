"""Faults that combine, come with a probability, in one channel, for a while; events late, swapped, repeated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, ClientTimeout, ServerDisconnectedError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.slack.events import EventDelivery


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.001, ack_seconds=0.2) as running:
        yield running


@pytest.fixture
def app(slack: SandboxSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def posted(app: AsyncWebClient, channel: str, text: str = "hello") -> int:
    """The HTTP status of a post."""
    try:
        await app.chat_postMessage(channel=channel, text=text)
    except SlackApiError as refused:
        return int(refused.response.status_code)
    return 200


async def test_a_slow_call_succeeds(slack: SandboxSlack, app: AsyncWebClient) -> None:
    fault = slack.fail("*", latency=0.05, times=None)
    began = time.monotonic()

    status = await posted(app, slack.channel("support").id)

    assert (status, fault.hits) == (200, 1)
    assert time.monotonic() - began >= 0.05


async def test_a_call_can_be_slow_and_then_fail(slack: SandboxSlack, app: AsyncWebClient) -> None:
    slow = slack.fail("*", latency=(0.01, 0.02), times=None)
    broken = slack.fail("chat.postMessage", status=503)

    statuses = [await posted(app, slack.channel("support").id) for _ in range(2)]

    assert statuses == [503, 200]
    assert (slow.hits, broken.hits) == (2, 1)


async def test_a_message_appears_late_although_its_caller_gave_up(slack: SandboxSlack) -> None:
    slack.fail("chat.postMessage", latency=0.1)
    call = {"channel": slack.channel("support").id, "text": "late"}
    headers = {"Authorization": f"Bearer {slack.bot_token}"}

    async with ClientSession(headers=headers, timeout=ClientTimeout(total=0.05)) as hasty:
        with pytest.raises(TimeoutError):
            await hasty.post(slack.api_url + "chat.postMessage", json=call)
    assert slack.messages("support") == []

    await slack.until(lambda: slack.messages("support"))


async def test_one_channel_can_be_limited_alone_and_for_a_while(slack: SandboxSlack, app: AsyncWebClient) -> None:
    fault = slack.fail("chat.postMessage", status=429, retry_after=60, channel="support", times=None, seconds=3600)

    statuses = [await posted(app, slack.channel(name).id) for name in ("support", "alerts")]
    fault.until = time.monotonic()
    statuses.append(await posted(app, slack.channel("support").id))

    assert statuses == [429, 200, 200]
    assert slack.faults.switched_on() == []


async def test_a_seed_repeats_which_calls_are_struck(slack: SandboxSlack, app: AsyncWebClient) -> None:
    slack.fail("chat.postMessage", status=500, probability=0.5, times=None)
    support = slack.channel("support").id

    slack.seed(7)
    first = [await posted(app, support) for _ in range(20)]
    slack.seed(7)
    second = [await posted(app, support) for _ in range(20)]

    assert first == second
    assert set(first) == {200, 500}


async def test_faults_that_were_used_up_cost_later_calls_nothing(slack: SandboxSlack, app: AsyncWebClient) -> None:
    for _ in range(3):
        slack.fail("chat.postMessage", drop=True)
    for _ in range(3):
        with pytest.raises(ServerDisconnectedError):
            await posted(app, slack.channel("support").id)

    await posted(app, slack.channel("support").id)

    assert slack.faults.switched_on() == []


async def test_the_workspace_has_a_limit_besides_each_channels(slack: SandboxSlack, app: AsyncWebClient) -> None:
    slack.rate_limits.enforced, slack.rate_limits.posts_a_minute = True, 3
    slack.rate_limits.clock = lambda: 0.0

    statuses = [await posted(app, slack.channel(name).id) for name in ("support", "alerts", "reports", "support")]

    assert statuses == [200, 200, 200, 429]


async def test_a_tier_is_counted_for_each_method(slack: SandboxSlack, app: AsyncWebClient) -> None:
    slack.rate_limits.enforced = True
    slack.rate_limits.clock = lambda: 0.0
    support = slack.channel("support").id

    for _ in range(50):
        await app.conversations_history(channel=support)
    with pytest.raises(SlackApiError) as limited:
        await app.conversations_history(channel=support)
    await app.conversations_info(channel=support)

    assert limited.value.response.headers["Retry-After"] == "2"


class Ears:
    """A bare Socket Mode connection that acknowledges everything."""

    def __init__(self, slack: SandboxSlack) -> None:
        self.slack = slack
        self.heard: list[dict[str, Any]] = []

    async def listen(self, *lines: str, events: int) -> list[str]:
        """Open a connection, let ana say these lines, and take so many events; their texts."""
        headers = {"Authorization": f"Bearer {self.slack.app_token}"}
        async with ClientSession() as session:
            async with session.post(self.slack.api_url + "apps.connections.open", headers=headers) as response:
                address = (await response.json())["url"]
            async with session.ws_connect(address) as socket:
                await socket.receive_json(timeout=5)
                for line in lines:
                    self.slack.say("ana", "support", line)
                while len(self.heard) < events:
                    envelope = await socket.receive_json(timeout=5)
                    self.heard.append(envelope)
                    await socket.send_json({"envelope_id": envelope["envelope_id"]})
                await self.slack.until(lambda: all(map(_is_done, self.slack.state.events.deliveries)))
        return [envelope["payload"]["event"]["text"] for envelope in self.heard]


def _is_done(delivery: EventDelivery) -> bool:
    return delivery.acknowledged or delivery.given_up


async def test_swapped_events_come_in_another_order(slack: SandboxSlack) -> None:
    slack.disturb_events(swap_within=0.2)

    texts = await Ears(slack).listen("first", "second", events=2)

    assert sorted(texts) == ["first", "second"]
    assert slack.state.events.deliveries[0].event["text"] == "first"


async def test_an_event_is_overtaken_by_the_next_that_is_not_held_back(slack: SandboxSlack) -> None:
    slack.disturb_events(swap_within=5)
    slack.say("ana", "support", "overtaken")
    slack.disturb_events()

    texts = await Ears(slack).listen("overtaking", events=2)

    assert texts == ["overtaking", "overtaken"]


async def test_late_events_are_let_go_by_heal(slack: SandboxSlack) -> None:
    slack.disturb_events(late=3600)
    slack.say("ana", "support", "late")
    slack.heal()

    texts = await Ears(slack).listen("at once", events=2)

    assert sorted(texts) == ["at once", "late"]


async def test_a_lost_acknowledgement_repeats_the_event_under_its_id(slack: SandboxSlack) -> None:
    slack.disturb_events(lose_acks=1)
    ears = Ears(slack)

    await ears.listen("again", events=4)

    assert [envelope["retry_attempt"] for envelope in ears.heard] == [0, 1, 2, 3]
    assert len({envelope["payload"]["event_id"] for envelope in ears.heard}) == 1


async def test_copies_can_share_their_event_id(slack: SandboxSlack) -> None:
    slack.disturb_events(copies=2, same_event_id=True)
    ears = Ears(slack)

    await ears.listen("twice", events=2)

    assert len({envelope["payload"]["event_id"] for envelope in ears.heard}) == 1


async def test_only_a_share_of_the_events_is_lost(slack: SandboxSlack) -> None:
    slack.disturb_events(lose=0.5)

    for number in range(40):
        slack.say("ana", "support", f"line {number}")

    assert 5 < len(slack.state.events.deliveries) < 35
    assert len(slack.messages("support")) == 40


async def test_one_of_two_sockets_can_be_cut(slack: SandboxSlack, app: AsyncWebClient) -> None:
    async with ClientSession() as session:
        sockets = []
        for _ in range(2):
            opened = await app.apps_connections_open(app_token=slack.app_token)
            sockets.append(await session.ws_connect(opened["url"]))
        await slack.connected(2)

        assert slack.cut_connections(1) == 1
        assert len(slack.state.socket_mode.connections) == 1
