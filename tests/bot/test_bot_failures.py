"""When something of ours breaks, Bolt never hears of it, and the person gets a sentence and an id."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from bot import taking_up
from bot.call import Call
from bot.commands import COMMANDS
from bot.in_flight import InFlight
from bot.running import serving
from bot.sockets import NoSocket, Sockets
from database import DatabaseOnLoop
from operations import slack_inbox
from operations.slack_inbox import Answer
from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, BotSettings, Rows, becomes, eventually

pytestmark = pytest.mark.database_role("switchboard_bot")


def broken(*_given: object) -> Answer:
    raise ZeroDivisionError


@pytest.fixture
def broken_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table whose `help` fails, as an operation with a mistake in it would."""
    table = tuple(replace(command, run=broken) if command.noun == "help" else command for command in COMMANDS)
    monkeypatch.setattr(taking_up, "COMMANDS", table)


@pytest.mark.usefixtures("broken_help")
async def test_a_command_that_fails_is_answered_with_an_id_that_is_in_the_log(
    ask: Ask, rows: Rows, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await ask("ana", "help")

    found = re.search(r"error id `([0-9a-f]{8})`", answer)
    assert found
    assert "nothing was changed" in answer
    said = capsys.readouterr().out
    assert found[1] in said
    assert "ZeroDivisionError" in said
    assert not [record for record in caplog.records if record.name == "bot.bolt" and record.levelno >= logging.ERROR]
    await becomes(rows, "SELECT answer IS NOT NULL AND answered_at IS NOT NULL FROM slack_events", [(True,)])


async def test_a_bot_without_any_socket_gives_up_for_a_new_start(slack: SandboxSlack, bot: Sockets) -> None:
    await slack.go_down()

    async with asyncio.timeout(20):
        with pytest.raises(NoSocket, match="Slack could not be reached"):
            await bot.watch(away_for=0.2)


async def test_a_connected_bot_is_left_alone(slack: SandboxSlack, bot: Sockets) -> None:
    before = [connection.number for connection in slack.state.socket_mode.connections]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await bot.watch(replace_after=0.2, away_for=0.3)

    assert [connection.number for connection in slack.state.socket_mode.connections] == before


async def test_a_connection_that_does_not_come_back_by_itself_is_replaced(slack: SandboxSlack, bot: Sockets) -> None:
    stuck = bot.handlers[0].client
    stuck.auto_reconnect_enabled = False
    assert stuck.current_session is not None
    await stuck.current_session.close()

    watching = asyncio.create_task(bot.watch(replace_after=0.2))
    await eventually(lambda: bot.handlers[0].client is not stuck)
    watching.cancel()

    await slack.connected(2)
    assert await bot.handlers[0].client.is_connected()


async def test_a_listener_that_fails_keeps_its_exception_from_bolt(
    slack: SandboxSlack,
    bot: Sockets,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Call, "of", broken)

    answer = await slack.command("ana", "general", "/wa help", Wait(until=lambda answer: bool(answer.messages)))

    assert answer.error is None
    assert "error id" in answer.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_query_on_the_loop_is_refused_instead_of_stopping_every_acknowledgement(bot: Sockets) -> None:
    with pytest.raises(DatabaseOnLoop):
        slack_inbox.unanswered(timedelta(hours=1))


async def test_work_that_does_not_end_in_time_is_left_for_the_next_start() -> None:
    in_flight = InFlight()
    never = in_flight.start(asyncio.Event().wait())

    assert await in_flight.finish(0.05) == 1
    assert never.cancelled()


async def test_an_answer_that_breaks_the_connection_is_not_posted_twice(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    slack.fail("response_url", drop_after_storing=True)

    async with serving(bot_settings()):
        await slack.connected(2)
        await slack.command("ana", "general", "/wa help", Wait(until=lambda answer: bool(answer.messages)))
        await becomes(rows, "SELECT answered_at IS NOT NULL FROM slack_events", [(True,)])

    assert len(slack.calls("response_url")) == 1
