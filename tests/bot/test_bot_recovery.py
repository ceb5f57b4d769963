"""Commands that were kept and not answered, because the process before this one ended in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.running import serving
from database import in_database
from operations import slack_inbox
from operations.slack_events import incoming
from sandbox.slack import SandboxSlack, Wait, payloads
from tests.bot.conftest import Ask, BotSettings, Rows, becomes

pytestmark = pytest.mark.database_role("switchboard_bot")

Keep = Callable[..., Any]


@pytest.fixture
def kept(slack: SandboxSlack) -> Keep:
    """A command of olga's that was kept by a bot that was killed right after."""

    async def keep(text: str, user: str = "olga") -> None:
        asked = slack.state.interactions.start("command", slack.person(user), slack.channel("support"))
        row = incoming(payloads.slash_command(slack.state, asked, "/wa", text))
        assert row is not None
        await in_database(slack_inbox.store, row)

    return keep


async def age(rows: Rows, minutes: int) -> None:
    await rows("UPDATE slack_events SET created_at = now() - %s * interval '1 minute' RETURNING 1", minutes)


async def test_a_command_that_was_kept_is_carried_out_and_answered_at_the_next_start(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, kept: Keep
) -> None:
    await kept("tenant create Acme")

    async with serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])

    assert [shown.text[:26] for shown in slack.ephemerals("olga")] == ["Tenant *Acme* was created."]
    assert await rows("SELECT name FROM tenants") == [("Acme",)]


async def test_an_answer_that_was_committed_is_sent_and_nothing_is_done_again(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, ask: Ask
) -> None:
    await ask("olga", "tenant create Acme")
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])
    await rows("UPDATE slack_events SET answered_at = NULL, lease_expires_at = now() RETURNING 1")

    async with serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])

    first, second = slack.ephemerals("olga")
    assert first.text == second.text
    assert await rows("SELECT count(*) FROM tenants") == [(1,)]


async def test_after_half_an_hour_the_answer_comes_as_a_direct_message(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, kept: Keep
) -> None:
    await kept("tenant create Acme")
    await age(rows, 40)

    async with serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])

    assert slack.ephemerals("olga") == []
    [[kind, person, payload]] = await rows("SELECT kind, slack_channel_id, payload FROM slack_posts")
    assert (kind, person) == ("direct", slack.person("olga").id)
    assert "Tenant *Acme* was created." in payload["text"]
    assert "`/wa user add" in payload["text"]


async def test_a_message_to_a_customer_is_not_sent_out_of_the_blue(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, kept: Keep
) -> None:
    await kept("send +4915123456789 Hello")
    await age(rows, 40)

    async with serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])

    [[payload]] = await rows("SELECT payload FROM slack_posts")
    assert "Not sent:" in payload["text"]


async def test_an_answer_that_slack_does_not_take_becomes_a_direct_message(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    slack.fail("response_url", status=500)

    async with serving(bot_settings()):
        await slack.connected(2)
        await slack.command("olga", "general", "/wa tenant create Acme", Wait(seconds=0))
        await becomes(rows, "SELECT kind FROM slack_posts", [("direct",)])

    assert await rows("SELECT answered_at IS NOT NULL FROM slack_events") == [(True,)]


async def test_what_cannot_be_read_holds_up_nothing_behind_it(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, kept: Keep
) -> None:
    await kept("help")
    await rows("UPDATE slack_events SET body = '[]' RETURNING 1")
    await kept("tenant create Acme")

    async with serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NOT NULL", [(1,)])

    assert [shown.text[:26] for shown in slack.ephemerals("olga")] == ["Tenant *Acme* was created."]
