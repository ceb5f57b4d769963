"""Buttons of a person's home: each is a command, checked as if it had been typed, and answered by direct message."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from bot.commands import COMMANDS
from bot.running import WayIn
from operations.home import HOME_BUTTONS
from sandbox.slack import SandboxSlack, Wait
from sandbox.slack.views import View
from slack.blocks import actions, button
from tests.bot.conftest import DEADLINE_SECONDS, Ask, Rows, becomes, eventually

pytestmark = pytest.mark.database_role("switchboard_bot")

OPENED = Wait(until=lambda answer: answer.view is not None)
UNSEEN = Wait(seconds=0)
ANSWERS = "SELECT payload->>'text' FROM slack_posts WHERE slot LIKE 'answer:%%'"


def home_of(slack: SandboxSlack, user: str, tenant_id: UUID | str, *more: dict[str, Any]) -> View:
    """A home as the daemon publishes it."""
    offered = [button(one.label, one.action_id, value=str(tenant_id)) for one in HOME_BUTTONS]
    content = {"type": "home", "blocks": [actions(*offered, *more)]}
    return slack.state.views.publish(slack.person(user).id, content)


async def tenant_id(rows: Rows, name: str = "Acme") -> UUID:
    [(found,)] = await rows("SELECT id FROM tenants WHERE name = %s", name)
    return UUID(str(found))


async def answered(rows: Rows) -> str:
    """The direct message that answers the click."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (found := await rows(ANSWERS)):  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.02)
    [(text,)] = found
    return str(text)


def test_every_button_is_a_command_with_the_same_permission() -> None:
    permissions = {command.name: command.permission for command in COMMANDS}

    assert {one.command: one.permission for one in HOME_BUTTONS}.items() <= permissions.items()


@pytest.mark.usefixtures("acme")
async def test_a_session_is_added_from_the_home_in_the_tenant_of_the_button(
    slack: SandboxSlack, bot: WayIn, ask: Ask, rows: Rows
) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana TENANT_ADMIN --tenant Globex")
    globex = await tenant_id(rows, "Globex")

    await slack.click("ana", home_of(slack, "ana", globex), "Add session", wait=OPENED)
    answer = await slack.submit("ana", {"Name": "berlin"}, wait=UNSEEN)

    assert (answer.error, answer.errors) == (None, {})
    await becomes(rows, "SELECT name, tenant_id::text FROM waha_sessions", [("berlin", str(globex))])
    assert not (await answered(rows)).startswith("About what you asked for earlier")
    source = "SELECT source FROM audit_entries WHERE action = 'session.add'"
    assert await rows(source) == [(f"home:{slack.team_id}/",)]


@pytest.mark.usefixtures("acme")
async def test_a_command_without_a_form_is_answered_at_once(slack: SandboxSlack, bot: WayIn, rows: Rows) -> None:
    await slack.click("ana", home_of(slack, "ana", await tenant_id(rows)), "Report now", wait=UNSEEN)

    assert "`/wa channel link --for reports`" in await answered(rows)


@pytest.mark.usefixtures("acme")
async def test_help_is_for_anybody(slack: SandboxSlack, bot: WayIn, rows: Rows) -> None:
    await slack.click("ben", home_of(slack, "ben", ""), "Help", wait=UNSEEN)

    assert "`/wa whoami`" in await answered(rows)


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("value", ["globex", "nonsense", ""])
async def test_the_tenant_in_a_button_is_not_believed(
    slack: SandboxSlack, bot: WayIn, ask: Ask, rows: Rows, value: str
) -> None:
    await ask("olga", "tenant create Globex")
    named = {"globex": str(await tenant_id(rows, "Globex"))}.get(value, value)

    await slack.click("ana", home_of(slack, "ana", named), "Report now", wait=UNSEEN)

    if value == "globex":
        assert (await answered(rows)).startswith("You have no such tenant any more.")
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE kind = 'interaction' AND answered_at IS NULL", [(0,)])
    assert await rows("SELECT count(*) FROM slack_posts WHERE tenant_id = %s", await tenant_id(rows, "Globex")) == [
        (0,)
    ]


@pytest.mark.usefixtures("acme")
async def test_a_role_is_checked_at_the_click(slack: SandboxSlack, bot: WayIn, ask: Ask, rows: Rows) -> None:
    await ask("olga", "user add @ben AGENT --tenant Acme")

    await slack.click("ben", home_of(slack, "ben", await tenant_id(rows)), "Add session", wait=UNSEEN)

    assert "you are AGENT there" in await answered(rows)
    assert slack.modal("ben") is None


@pytest.mark.usefixtures("acme")
async def test_no_other_command_can_be_put_into_a_button(slack: SandboxSlack, bot: WayIn, rows: Rows) -> None:
    forged = button("Forged", "tenant delete Acme", value=str(await tenant_id(rows)))

    await slack.click("olga", home_of(slack, "olga", await tenant_id(rows), forged), "Forged", wait=UNSEEN)

    assert "does nothing any more" in await answered(rows)


@pytest.mark.usefixtures("acme")
async def test_a_click_on_a_message_with_the_same_name_is_no_command(
    slack: SandboxSlack, bot: WayIn, rows: Rows
) -> None:
    blocks = [actions(button("Add session", "home.add", value=str(await tenant_id(rows))))]
    client_message = slack.say("ana", "support", "look")
    client_message.blocks = blocks

    answer = await slack.click("ana", client_message, "Add session")

    assert "does nothing any more" in answer.text
    assert slack.modal("ana") is None


@pytest.mark.usefixtures("acme")
async def test_who_opens_a_home_is_looked_up_and_shown_again(slack: SandboxSlack, bot: WayIn, rows: Rows) -> None:
    slack.open_home("ben")

    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await rows("SELECT 1 FROM slack_people WHERE slack_user_id = %s", slack.person("ben").id):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("acme")
async def test_the_home_of_somebody_whom_slack_does_not_name_makes_no_noise(
    slack: SandboxSlack, bot: WayIn, rows: Rows
) -> None:
    slack.fail("users.info", error="user_not_found")

    slack.open_home("ben")

    ben = slack.person("ben").id
    await eventually(lambda: ben in [call.arguments["user"] for call in slack.calls("users.info")])
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE kind = 'event'", [(1,)])
    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE kind = 'direct'", [(0,)])
