"""Kept before it is acknowledged, once, and never lost between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.running import serving
from bot.sockets import Sockets
from database import database, transaction
from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, BotSettings, Mode, Rows, becomes, both_modes, eventually, reachable
from tests.conftest import MigratedDatabase, Server

pytestmark = pytest.mark.database_role("switchboard_bot")


@contextmanager
def locked_inbox(migrated: MigratedDatabase) -> Iterator[None]:
    """Nobody can write to `slack_events`, as when PostgreSQL stalls."""
    locked, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with migrated.owner(), transaction():
            database.execute_sql("LOCK TABLE slack_events IN EXCLUSIVE MODE")
            locked.set()
            let_go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(10)
    try:
        yield
    finally:
        let_go.set()
        holder.join()


@both_modes
async def test_a_message_is_a_row_before_it_is_acknowledged(slack: SandboxSlack, bot: Sockets, rows: Rows) -> None:
    said = slack.say("ana", "support", "hello")
    [delivery] = slack.state.events.deliveries

    await slack.until(lambda: delivery.acknowledged)

    [[key, kind, lane, body]] = await rows("SELECT key, kind, lane, body FROM slack_events")
    support = slack.channel("support").id
    assert key == f"message:{slack.team_id}/{support}/{said.ts}//"
    assert kind == "event"
    assert lane == f"{slack.team_id}/{support}/{said.ts}"
    # Slack's old proof that it is Slack is good for nothing, and not kept.
    assert json.loads(bytes(body)) == {name: value for name, value in delivery.payload.items() if name != "token"}


async def test_replies_edits_and_deletions_of_a_thread_share_its_lane(
    slack: SandboxSlack, bot: Sockets, rows: Rows
) -> None:
    root = slack.say("ana", "support", "root")
    reply = slack.say("ben", "support", "reply", root.ts)
    slack.edit("ben", reply, "better reply")
    slack.react("ana", reply, "tada")
    slack.delete("ben", reply)

    await slack.until(lambda: all(one.acknowledged for one in slack.state.events.deliveries))

    lanes = await rows("SELECT lane FROM slack_events WHERE key LIKE 'message:%%'")
    assert len(lanes) == 4
    assert {lane for (lane,) in lanes} == {f"{slack.team_id}/{slack.channel('support').id}/{root.ts}"}


@both_modes
async def test_a_message_that_arrives_under_two_event_ids_is_one_row_and_acknowledged_twice(
    slack: SandboxSlack, bot: Sockets, rows: Rows
) -> None:
    slack.disturb_events(copies=2)

    slack.say("ana", "support", "hello")
    await slack.until(lambda: all(one.acknowledged for one in slack.state.events.deliveries))

    assert len(slack.state.events.deliveries) == 2
    assert await rows("SELECT count(*) FROM slack_events") == [(1,)]


@both_modes
async def test_an_event_that_cannot_be_kept_in_time_is_not_acknowledged_and_comes_again(
    slack: SandboxSlack, bot: Sockets, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    with locked_inbox(migrated_database):
        slack.say("ana", "support", "hello")
        [delivery] = slack.state.events.deliveries
        await eventually(lambda: delivery.attempts == 2)
        assert not delivery.acknowledged

    await slack.until(lambda: delivery.acknowledged)

    assert await rows("SELECT count(*) FROM slack_events") == [(1,)]


@both_modes
async def test_a_command_that_cannot_be_kept_in_time_is_promised_nothing_and_answered_later(
    slack: SandboxSlack, bot: Sockets, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    with locked_inbox(migrated_database):
        answer = await slack.command("ana", "support", "/wa help", Wait(until=lambda answer: bool(answer.messages)))
        assert answer.acked_after is not None
        assert answer.acked_after < 2.5
        assert answer.texts[0].startswith("Not saved yet")

    await slack.until(lambda: len(slack.ephemerals("ana")) == 2)

    assert slack.ephemerals("ana")[1].text.startswith("*WhatsApp from Slack.*")
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])


@contextmanager
def refusing(postgres: Server, migrated: MigratedDatabase) -> Iterator[None]:
    """PostgreSQL refuses all connections to the database."""
    name = urlsplit(migrated.url).path.removeprefix("/")
    postgres.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
    try:
        yield
    finally:
        postgres.run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@both_modes
async def test_without_a_database_nothing_is_acknowledged_and_nothing_is_lost(
    slack: SandboxSlack, bot: Sockets, rows: Rows, postgres: Server, migrated_database: MigratedDatabase
) -> None:
    with refusing(postgres, migrated_database):
        slack.say("ana", "support", "hello")
        [delivery] = slack.state.events.deliveries
        answer = await slack.command("ana", "support", "/wa help", Wait(until=lambda answer: bool(answer.messages)))
        await eventually(lambda: delivery.attempts == 2)

        assert answer.texts[0].startswith("Not saved yet")
        assert not delivery.acknowledged

    await slack.until(lambda: delivery.acknowledged)
    await slack.until(lambda: len(slack.ephemerals("ana")) == 2)
    assert slack.ephemerals("ana")[1].text.startswith("*WhatsApp from Slack.*")
    await becomes(
        rows, "SELECT kind, answered_at IS NOT NULL FROM slack_events ORDER BY 1", [("command", True), ("event", False)]
    )


@both_modes
async def test_a_command_is_acknowledged_silently(slack: SandboxSlack, bot: Sockets) -> None:
    answer = await slack.command("ana", "support", "/wa help", Wait(until=lambda answer: bool(answer.messages)))

    assert answer.acked_after is not None
    assert answer.acked_after < 1
    assert len(answer.messages) == 1
    assert answer.messages[0].visible_to == slack.person("ana").id


async def test_a_command_that_is_delivered_twice_is_carried_out_and_answered_once(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    send = slack.state.socket_mode.send

    async def send_twice(*envelope: Any) -> Any:
        await send(*envelope)
        return await send(*envelope)

    slack.state.socket_mode.send = send_twice  # type: ignore[method-assign,assignment]
    await ask("olga", "tenant create Acme")
    slack.state.socket_mode.send = send  # type: ignore[method-assign]
    await ask("olga", "tenant list")

    assert await rows("SELECT count(*) FROM tenants") == [(1,)]
    assert len(slack.ephemerals("olga")) == 2


async def test_another_workspace_is_acknowledged_and_nothing_of_it_is_kept(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    settings = bot_settings()
    elsewhere = settings.model_copy(update={"slack": settings.slack.model_copy(update={"teams": ("T0OTHER",)})})
    async with serving(elsewhere):
        await slack.connected(2)
        slack.say("ana", "support", "hello")
        [delivery] = slack.state.events.deliveries
        await slack.until(lambda: delivery.acknowledged)

    assert await rows("SELECT count(*) FROM slack_events") == [(0,)]


@both_modes
async def test_clicks_shortcuts_and_reactions_that_nobody_handles_are_acknowledged(
    slack: SandboxSlack, bot: Sockets, rows: Rows
) -> None:
    said = slack.say("ana", "support", "hello")
    slack.react("ben", said, "tada")
    shortcut = await slack.shortcut("ana", "wa_send", wait=Wait(seconds=0.1))

    await slack.until(lambda: all(one.acknowledged for one in slack.state.events.deliveries))

    assert shortcut.error is None
    assert ("interaction",) in await rows("SELECT kind FROM slack_events")


async def test_the_bot_listens_with_two_sockets_and_again_after_they_were_cut(
    slack: SandboxSlack, bot: Sockets
) -> None:
    assert slack.cut_connections() == 2

    await slack.connected(2, seconds=20)
    slack.say("ana", "support", "after the cut")
    [delivery] = slack.state.events.deliveries
    await slack.until(lambda: delivery.acknowledged)


@both_modes
async def test_a_form_that_cannot_be_kept_in_time_promises_nothing_and_is_answered_later(
    slack: SandboxSlack, bot: Sockets, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    ana = slack.person("ana")
    content = {"type": "modal", "callback_id": "gone", "title": {"type": "plain_text", "text": "Old"}, "blocks": []}
    slack.state.views.open(ana.id, content)

    with locked_inbox(migrated_database):
        answer = await slack.submit("ana", wait=Wait(until=lambda answer: answer.view is not None))
        assert answer.acked_after is not None
        assert answer.acked_after < 2.5
        assert "Not saved yet" in answer.text

    await becomes(rows, "SELECT slack_channel_id FROM slack_posts WHERE kind = 'direct'", [(ana.id,)])


@both_modes
async def test_a_click_that_cannot_be_kept_in_time_promises_nothing_and_is_answered_later(
    slack: SandboxSlack, bot: Sockets, rows: Rows, migrated_database: MigratedDatabase
) -> None:
    message = slack.say("ana", "support", "hello")
    message.blocks = [
        {"type": "actions", "elements": [{"type": "button", "action_id": "gone", "text": {"text": "Go"}}]}
    ]

    with locked_inbox(migrated_database):
        answer = await slack.click("ben", message, "Go", wait=Wait(until=lambda answer: bool(answer.messages)))
        assert answer.acked_after is not None
        assert answer.acked_after < 2.5
        assert answer.texts[0].startswith("Not saved yet")

    await slack.until(lambda: len(slack.ephemerals("ben")) == 2)
    assert slack.ephemerals("ben")[1].text.startswith("This button does nothing any more.")


@both_modes
async def test_a_command_from_a_workspace_that_is_not_connected_is_told_so(
    slack: SandboxSlack, bot_settings: BotSettings, mode: Mode, rows: Rows
) -> None:
    settings = bot_settings(mode=mode)
    elsewhere = settings.slack.model_copy(update={"teams": ("T0ELSEWHERE",)})

    async with serving(settings.model_copy(update={"slack": elsewhere})) as way_in:
        await reachable(slack, way_in)
        answer = await slack.command("ana", "general", "/wa help", Wait(until=lambda one: bool(one.messages)))

    assert answer.error is None
    assert answer.text.startswith("Nothing was done: this Slack workspace is not connected.")
    assert answer.text.endswith("`/wa workspace add`.")
    assert await rows("SELECT 1 FROM slack_events") == []
