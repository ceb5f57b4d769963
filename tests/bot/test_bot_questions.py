"""What is asked back below a command: it is put to one person, counts once, and is checked for whoever clicks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from bot.commands import COMMANDS
from bot.commands.questions import CANCEL, CHOOSE, CONFIRM
from bot.running import serving
from database import in_database
from operations import slack_inbox
from operations.slack_events import incoming
from sandbox.slack import Message, SandboxSlack, Wait, payloads
from slack.blocks import button, plain, section
from slack.client import SlackClient
from tests.bot.conftest import Ask, BotSettings, Rows, becomes

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

REMOVE = "user remove @ben"
BENS_ROLES = "SELECT count(*) FROM users WHERE email LIKE 'ben@%%' AND deleted_at IS NULL"
BENS_TENANTS = (
    "SELECT t.name FROM users u JOIN tenants t ON t.id = u.tenant_id "
    "WHERE u.email LIKE 'ben@%%' AND u.deleted_at IS NULL"
)


@pytest.fixture
def question(slack: SandboxSlack, ask: Ask) -> Callable[[], Awaitable[Message]]:
    """What ana is asked back when she removes ben."""

    async def asked() -> Message:
        await ask("ana", "user add @ben AGENT")
        await ask("ana", REMOVE)
        return slack.ephemerals("ana")[-1]

    return asked


async def click(slack: SandboxSlack, user: str, shown: Message, label: str) -> str:
    answer = await slack.click(user, shown, label, wait=Wait(until=lambda answer: bool(answer.messages)))
    return slack.read(answer.messages[-1])


async def forged(slack: SandboxSlack, user: str, *elements: dict[str, Any]) -> Message:
    """A post with buttons of somebody's own making."""
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        channel_id = slack.channel("support").id
        blocks = [section("Old"), {"type": "actions", "elements": list(elements)}]
        ts = await client.post(channel_id, "Old", blocks=blocks)
    return next(one for one in slack.messages("support") if one.ts == ts)


def value_on(shown: Message, label: str) -> str:
    elements = [element for block in shown.blocks for element in block.get("elements", [])]
    return str(next(element["value"] for element in elements if element["text"]["text"] == label))


async def test_what_destroys_is_asked_back_and_done_in_place_of_the_question(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()

    assert "Remove" in asked.text
    assert asked.visible_to == slack.person("ana").id
    assert await rows(BENS_ROLES) == [(1,)]
    told = await click(slack, "ana", asked, "Remove")

    assert "is nobody in" in told
    assert asked.text == slack.ephemerals("ana")[-1].text
    assert not [block for block in asked.blocks if block["type"] == "actions"]
    assert await rows(BENS_ROLES) == [(0,)]


async def test_what_is_cancelled_is_not_done_any_more(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    value = value_on(asked, "Remove")

    assert await click(slack, "ana", asked, "Cancel") == "Nothing was done."
    again = await forged(slack, "ana", button("Remove", CONFIRM, value=value))

    assert (await click(slack, "ana", again, "Remove")).startswith("Nothing was done: you had cancelled this.")
    assert await rows(BENS_ROLES) == [(1,)]


async def test_two_clicks_at_once_do_it_once(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    copies = [await forged(slack, "ana", button("Remove", CONFIRM, value=value_on(asked, "Remove"))) for _ in range(3)]

    told = await asyncio.gather(*(click(slack, "ana", copy, "Remove") for copy in copies))

    assert sorted(one == "This was done already." for one in told) == [False, True, True]
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'user.remove'") == [(1,)]


async def test_a_question_that_was_put_to_somebody_else_is_not_answered(
    slack: SandboxSlack, ask: Ask, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    await ask("olga", "user add @olga TENANT_ADMIN --tenant Acme")
    stolen = await forged(slack, "olga", button("Remove", CONFIRM, value=value_on(asked, "Remove")))

    assert (await click(slack, "olga", stolen, "Remove")).startswith("Nothing was done: this question was not put to")
    assert await rows(BENS_ROLES) == [(1,)]


@pytest.mark.parametrize("value", ["nonsense", str(uuid4()), f"{uuid4()} {uuid4()} 7", "'; DROP TABLE users; --"])
@pytest.mark.parametrize("action_id", [CONFIRM, CANCEL, CHOOSE, "command.page.7"])
async def test_a_button_that_was_tampered_with_does_nothing(
    slack: SandboxSlack, rows: Rows, action_id: str, value: str
) -> None:
    shown = await forged(slack, "ana", button("Go", action_id, value=value))

    assert (await click(slack, "ana", shown, "Go")).startswith("Nothing was done")
    assert await rows("SELECT count(*) FROM users WHERE deleted_at IS NULL") == [(1,)]


async def test_a_click_is_no_command_that_could_be_asked_back(slack: SandboxSlack, rows: Rows) -> None:
    first = await forged(slack, "ana", button("Go", CONFIRM, value=str(uuid4())))
    await click(slack, "ana", first, "Go")
    [[clicked]] = await rows("SELECT id FROM slack_events WHERE kind = 'interaction'")
    second = await forged(slack, "ana", button("Go", CONFIRM, value=str(clicked)))

    assert (await click(slack, "ana", second, "Go")).startswith("Nothing was done")


async def test_what_was_done_without_a_question_is_not_done_again(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales --engine GOWS")
    [[done]] = await rows("SELECT id FROM slack_events ORDER BY position DESC LIMIT 1")
    shown = await forged(slack, "ana", button("Add", CONFIRM, value=str(done)))

    assert await click(slack, "ana", shown, "Add") == "This was done already."
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'session.add'") == [(1,)]


async def test_only_what_has_pages_turns_them(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    shown = await forged(slack, "ana", button("Next", "command.page.2", value=f"{value_on(asked, 'Remove')} 2"))

    assert (await click(slack, "ana", shown, "Next")).startswith("Nothing was done: this button does not belong")
    assert await rows(BENS_ROLES) == [(1,)]


async def test_an_old_question_is_to_be_asked_again(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    await rows("UPDATE slack_events SET created_at = created_at - interval '16 minutes' RETURNING 1")

    told = await click(slack, "ana", asked, "Remove")

    assert told == "Nothing was done: this question is older than 15 minutes. Ask for it again."
    assert await rows(BENS_ROLES) == [(1,)]


async def test_who_lost_the_right_before_the_click_changes_nothing(
    slack: SandboxSlack, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    await rows("UPDATE users SET role = 'AUDITOR' WHERE email LIKE 'ana@%%' RETURNING 1")

    assert "you are AUDITOR there" in await click(slack, "ana", asked, "Remove")
    assert await rows(BENS_ROLES) == [(1,)]


async def test_it_is_done_in_the_tenant_that_the_question_named(
    slack: SandboxSlack, ask: Ask, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    await ask("olga", "tenant create Globex")
    asked = await question()
    for name in ("ana TENANT_ADMIN", "ben AGENT"):
        await ask("olga", f"user add @{name} --tenant Globex")

    await click(slack, "ana", asked, "Remove")

    assert await rows(BENS_TENANTS) == [("Globex",)]


async def test_an_answer_to_a_question_that_a_crash_left_is_carried_out_at_the_next_start(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows, question: Callable[[], Awaitable[Message]]
) -> None:
    asked = await question()
    interaction = slack.state.interactions.start("click", slack.person("ana"), slack.channel("general"), asked)
    action = {"type": "button", "action_id": CONFIRM, "block_id": "b", "value": value_on(asked, "Remove")}
    row = incoming(payloads.click_on_message(slack.state, interaction, asked, action))
    assert row is not None
    await in_database(slack_inbox.store, row)

    async with serving(bot_settings()), serving(bot_settings()):
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])

    assert await rows(BENS_ROLES) == [(0,)]
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'user.remove'") == [(1,)]


@pytest.fixture
async def two_tenants(ask: Ask) -> None:
    """Ana is an administrator of Acme and of Globex."""
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana TENANT_ADMIN --tenant Globex")


SESSIONS = "SELECT s.name, t.name FROM waha_sessions s JOIN tenants t ON t.id = s.tenant_id"


@pytest.mark.usefixtures("two_tenants")
async def test_an_ambiguous_tenant_is_chosen_by_a_button(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    told = await ask("ana", "session add sales --engine GOWS")
    asked = slack.ephemerals("ana")[-1]

    assert told.startswith("Which tenant? ")
    assert told.endswith("[Acme] [Globex]")
    assert (await click(slack, "ana", asked, "Globex")).startswith("Session `sales` was added")
    assert await rows(SESSIONS) == [("sales", "Globex")]
    assert not [block for block in asked.blocks if block["type"] == "actions"]


@pytest.mark.usefixtures("two_tenants")
async def test_only_one_of_two_tenants_is_chosen(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add sales --engine GOWS")
    asked = slack.ephemerals("ana")[-1]
    acme, globex = value_on(asked, "Acme"), value_on(asked, "Globex")
    shown = await forged(slack, "ana", button("A", f"{CHOOSE}.0", value=acme), button("G", f"{CHOOSE}.1", value=globex))

    told = await asyncio.gather(*(click(slack, "ana", shown, label) for label in ("A", "G")))

    assert "This was done already." in told
    assert len(await rows(SESSIONS)) == 1


@pytest.mark.usefixtures("two_tenants")
async def test_a_tenant_in_which_one_is_nobody_cannot_be_chosen(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("olga", "tenant create Initech")
    await ask("ana", "session add sales --engine GOWS")
    asked = slack.ephemerals("ana")[-1]
    [[initech]] = await rows("SELECT id FROM tenants WHERE name = 'Initech'")
    value = f"{value_on(asked, 'Acme').split()[0]} {initech}"
    shown = await forged(slack, "ana", button("Initech", f"{CHOOSE}.0", value=value))

    told = await click(slack, "ana", shown, "Initech")

    assert told == "You have no such tenant any more. Yours: `Acme`, `Globex`."
    assert await rows(SESSIONS) == []


async def test_many_tenants_are_a_menu(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    for number in range(6):
        await ask("olga", f"tenant create Tenant{number}")
        await ask("olga", f"user add @ana MANAGER --tenant Tenant{number}")
    await ask("ana", "session add sales --engine GOWS")

    await click(slack, "ana", slack.ephemerals("ana")[-1], "Tenant4")

    assert await rows(SESSIONS) == [("sales", "Tenant4")]


@pytest.mark.usefixtures("two_tenants")
async def test_a_tenant_is_chosen_first_and_what_destroys_is_asked_back_then(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    for tenant in ("Acme", "Globex"):
        await ask("olga", f"user add @ben AGENT --tenant {tenant}")
    await ask("ana", REMOVE)
    asked = slack.ephemerals("ana")[-1]

    confirming = await click(slack, "ana", asked, "Globex")
    assert "*Globex*" in confirming
    assert await rows(BENS_ROLES) == [(2,)]
    await click(slack, "ana", asked, "Remove")

    assert await rows(BENS_TENANTS) == [("Acme",)]


async def test_a_shortcut_or_form_that_is_in_no_table_does_nothing(slack: SandboxSlack, rows: Rows) -> None:
    told = Wait(until=lambda answer: bool(answer.messages))
    shown = await forged(slack, "ana", button("Go", "nothing", value="1"))
    view = {"type": "modal", "callback_id": "nothing", "title": plain("Old"), "submit": plain("Send"), "blocks": []}
    slack.state.views.open(slack.person("ana").id, view)

    by_menu = await slack.shortcut("ana", "nothing", shown, told)
    await slack.submit("ana", {}, Wait(seconds=0))

    assert by_menu.text.startswith("This button does nothing any more.")
    await becomes(rows, "SELECT payload->>'text' LIKE '%%does nothing any more%%' FROM slack_posts", [(True,)])
    assert await rows("SELECT count(*) FROM audit_entries") == [
        (3,)
    ]  # of making Acme, told twice, and its administrator


def test_whatever_destroys_is_confirmed() -> None:
    destroying = {"delete", "deactivate", "remove", "erase"}

    unconfirmed = [command.name for command in COMMANDS if command.verb in destroying and command.confirm is None]

    assert unconfirmed == []
