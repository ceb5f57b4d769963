"""The real Bolt, unchanged, drives the simulator over its sockets."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack, Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODAL = {
    "type": "modal",
    "callback_id": "new-tenant",
    "title": {"type": "plain_text", "text": "New tenant"},
    "submit": {"type": "plain_text", "text": "Create"},
    "blocks": [
        {
            "type": "input",
            "block_id": "name",
            "label": {"type": "plain_text", "text": "Name"},
            "element": {"type": "plain_text_input", "action_id": "value"},
        }
    ],
}
QR_BUTTON = {
    "type": "actions",
    "elements": [
        {"type": "button", "action_id": "qr", "text": {"type": "plain_text", "text": "Show QR"}, "value": "7"}
    ],
}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


class Bot:
    """A Bolt app that records what reaches it."""

    def __init__(self, slack: SandboxSlack) -> None:
        logger = logging.getLogger("sandbox.bot")
        self.client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        self.app = AsyncApp(client=self.client, logger=logger)
        self.handlers = [self._handler(slack) for _ in range(2)]
        self.events: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.clicks: list[dict[str, Any]] = []

        @self.app.event("message")
        async def on_message(body: dict[str, Any]) -> None:
            self.events.append(body)

        @self.app.event("reaction_added")
        async def on_reaction(body: dict[str, Any]) -> None:
            self.events.append(body)

    def _handler(self, slack: SandboxSlack) -> AsyncSocketModeHandler:
        return AsyncSocketModeHandler(self.app, slack.app_token, web_client=self.client, ping_interval=1)


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.005) as running:
        yield running


@asynccontextmanager
async def running_bot(slack: SandboxSlack) -> AsyncIterator[Bot]:
    bot = Bot(slack)
    try:
        for handler in bot.handlers:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        await slack.connected(2)
        yield bot
    finally:
        for handler in bot.handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]


async def test_a_command_is_answered_in_its_acknowledgement(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:

        @bot.app.command("/wa")
        async def on_command(ack: Any, command: dict[str, Any]) -> None:
            bot.commands.append(command)
            await ack(text=f"heard {command['text']}")

        answer = await slack.command("ana", "support", "/wa user add @ben #support <b> & ben@example.com")

    [command] = bot.commands
    ben, support = slack.person("ben").id, slack.channel("support").id
    assert command["command"] == "/wa"
    assert command["text"] == (
        f"user add <@{ben}> <#{support}|support> &lt;b&gt; &amp; <mailto:ben@example.com|ben@example.com>"
    )
    assert command["user_id"] == slack.person("ana").id
    assert answer.error is None
    assert answer.acked_after is not None
    assert answer.text == "heard user add @ben #support <b> & ben@example.com"
    assert [shown.visible_to for shown in answer.messages] == [slack.person("ana").id]
    assert slack.messages("support") == []


async def test_a_later_answer_through_the_response_url_belongs_to_the_command(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:

        @bot.app.command("/wa")
        async def on_command(ack: Any, respond: Any) -> None:
            await ack()
            await respond(text="for you")
            await respond(text="for all", response_type="in_channel")

        wait = Wait(until=lambda answer: len(answer.messages) == 2)
        answer = await slack.command("ana", "general", "/wa status", wait)

    assert answer.texts == ["for you", "for all"]
    assert [shown.text for shown in slack.messages("general")] == ["for all"]
    assert [shown.text for shown in slack.ephemerals("ana")] == ["for you"]
    assert slack.ephemerals("ben") == []


async def test_a_command_that_nobody_acknowledges_times_out_for_the_person() -> None:
    async with SandboxSlack(ack_seconds=0.2) as slack, running_bot(slack):
        answer = await slack.command("ana", "support", "/nope", Wait(seconds=0.1))

    assert answer.error == "operation_timeout"
    assert answer.messages == ()


async def test_a_command_without_any_socket_fails_at_once(slack: SandboxSlack) -> None:
    answer = await slack.command("ana", "support", "/wa help")

    assert answer.error == "dispatch_failed"


async def test_a_message_of_a_person_arrives_as_an_event_and_the_apps_own_does_not(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        posted = await bot.client.chat_postMessage(channel=slack.channel("support").id, text="root")
        said = slack.say("ana", "support", "hello @ben", posted["ts"])
        await slack.until(lambda: bot.events)

    [body] = bot.events
    event = body["event"]
    assert event["type"] == "message"
    assert event["text"] == f"hello <@{slack.person('ben').id}>"
    assert event["ts"] == said.ts
    assert event["thread_ts"] == posted["ts"]
    assert event["parent_user_id"] == slack.state.workspace.installation.bot_user
    assert event["channel_type"] == "channel"
    assert event["client_msg_id"]
    assert event["team"] == slack.team_id
    assert event["blocks"][0]["type"] == "rich_text"
    assert body["authorizations"][0]["is_bot"] is True


async def test_nothing_is_told_of_channels_in_which_the_app_is_not(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        slack.say("ana", "general", "private talk")
        slack.say("ana", "support", "hello")
        await slack.until(lambda: bot.events)

    assert [body["event"]["text"] for body in bot.events] == ["hello"]


async def test_edits_deletions_and_reactions_are_told(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        said = slack.say("ana", "support", "helo")
        slack.edit("ana", said, "hello")
        slack.react("ben", said, "tada")
        slack.delete("ana", said)
        await slack.until(lambda: len(bot.events) == 4)

    by_kind = {body["event"].get("subtype") or body["event"]["type"]: body["event"] for body in bot.events}
    assert by_kind["message_changed"]["message"]["edited"]["user"] == slack.person("ana").id
    assert by_kind["message_changed"]["previous_message"]["text"] == "helo"
    assert by_kind["reaction_added"]["item"]["ts"] == said.ts
    assert by_kind["message_deleted"]["deleted_ts"] == said.ts
    assert slack.messages("support") == []


async def test_an_event_is_repeated_until_it_is_acknowledged() -> None:
    async with SandboxSlack(pace=0.001, ack_seconds=0.1) as slack, running_bot(slack) as bot:
        refused: list[int] = []

        @bot.app.middleware
        async def refuse_twice(body: dict[str, Any], next_: Any) -> None:
            if body.get("event", {}).get("type") == "message" and len(refused) < 2:
                refused.append(1)
                raise RuntimeError("not stored")
            await next_()

        slack.say("ana", "support", "hello")
        await slack.until(lambda: bot.events)
        [delivery] = slack.state.events.deliveries
        await slack.until(lambda: delivery.acknowledged)

    assert delivery.attempts == 3
    assert [body["event"]["text"] for body in bot.events] == ["hello"]


async def test_a_button_opens_a_modal_whose_errors_and_submission_come_back(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:

        @bot.app.command("/wa")
        async def on_command(ack: Any) -> None:
            await ack(text="tenants", blocks=[section("*Tenants*"), QR_BUTTON])

        @bot.app.action("qr")
        async def on_click(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
            await ack()
            bot.clicks.append(body)
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

        @bot.app.view("new-tenant")
        async def on_submit(ack: Any, view: dict[str, Any]) -> None:
            if view["state"]["values"]["name"]["value"]["value"] == "taken":
                await ack(response_action="errors", errors={"name": "This name is taken."})
            else:
                await ack()

        answer = await slack.command("ana", "support", "/wa tenant list")
        opened = await slack.click("ana", answer.messages[0], "Show QR")
        refused = await slack.submit("ana", {"Name": "taken"})
        still_open = slack.modal("ana")
        accepted = await slack.submit("ana", {"Name": "Acme"})

    assert answer.labels == ["Show QR"]
    [click] = bot.clicks
    assert click["container"]["is_ephemeral"] is True
    assert "message" not in click
    assert click["actions"][0]["value"] == "7"
    assert opened.view is not None
    assert refused.errors == {"Name": "This name is taken."}
    assert still_open is not None
    assert accepted.errors == {}
    assert slack.modal("ana") is None


async def test_a_click_can_replace_the_message_that_carried_the_button(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:

        @bot.app.action("qr")
        async def on_click(ack: Any, respond: Any) -> None:
            await ack()
            await respond(text="done", replace_original=True)

        posted = await bot.client.chat_postMessage(
            channel=slack.channel("alerts").id, text="Session stopped", blocks=[QR_BUTTON]
        )
        [message] = slack.thread("alerts", posted["ts"])
        answer = await slack.click("ana", message, "qr")

    assert answer.messages == (message,)
    assert message.text == "done"
    assert message.blocks == []
    assert message.earlier == ["Session stopped"]


async def test_the_app_reconnects_after_its_sockets_were_cut(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        assert slack.cut_connections() == 2

        await slack.connected(2, seconds=20)
        slack.say("ana", "support", "after the cut")
        await slack.until(lambda: bot.events)

    assert [body["event"]["text"] for body in bot.events] == ["after the cut"]


async def test_the_app_reconnects_when_slack_asks_it_to(slack: SandboxSlack) -> None:
    async with running_bot(slack):
        before = [connection.number for connection in slack.state.socket_mode.connections]

        await slack.disconnect("refresh_requested")
        await slack.connected(2, seconds=20)

        assert not set(before) & {connection.number for connection in slack.state.socket_mode.connections}


async def test_what_was_written_while_slack_was_away_is_delivered_by_the_repetitions(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        await slack.go_down()
        slack.say("ana", "support", "while away")
        await slack.come_back()

        await slack.connected(2, seconds=20)
        await slack.until(lambda: bot.events)

    assert bot.events[0]["event"]["text"] == "while away"


async def test_pings_are_echoed_so_that_the_client_stays(slack: SandboxSlack) -> None:
    async with running_bot(slack) as bot:
        client = bot.handlers[0].client
        before = client.last_ping_pong_time

        async with asyncio.timeout(10):
            while client.last_ping_pong_time == before:  # noqa: ASYNC110 - the client announces nothing
                await asyncio.sleep(0.05)

        assert await client.is_connected()
        assert [connection.number for connection in slack.state.socket_mode.connections] == [1, 2]
