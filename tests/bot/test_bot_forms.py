"""A command with many fields that is typed without any opens a form, which is carried out as if it had been typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from bot.commands import COMMANDS, Asked, Command
from bot.commands.forms import errors, fields_of, filled_in, view
from bot.commands.parsing import parse
from bot.running import serving
from database import in_database
from operations import slack_inbox
from operations.slack_events import incoming
from operations.standing import Person
from sandbox.slack import SandboxSlack, Wait, payloads
from sandbox.slack.block_limits import check_view
from tests.bot.conftest import Ask, BotSettings, Rows, becomes, eventually
from tests.bot.test_bot_reception import refusing
from tests.conftest import MigratedDatabase, Server

pytestmark = pytest.mark.database_role("switchboard_bot")

OPENED = Wait(until=lambda answer: answer.view is not None)
WITH_FORM = [command for command in COMMANDS if command.has_form]

by_name = pytest.mark.parametrize("command", WITH_FORM, ids=lambda command: command.name)


def named(name: str) -> Command:
    return next(command for command in COMMANDS if command.name == name)


def asked() -> Asked:
    return Asked(uuid4(), Person("T1", "U1"), "C1")


async def submitted(slack: SandboxSlack, user: str, entries: Mapping[str, str]) -> str:
    """What the person is told after a form that was closed."""
    before = len(slack.ephemerals(user))
    answer = await slack.submit(user, entries, wait=Wait(seconds=0))
    assert (answer.error, answer.errors) == (None, {})
    await slack.until(lambda: len(slack.ephemerals(user)) > before)
    return slack.read(slack.ephemerals(user)[-1])


def test_there_are_commands_with_forms() -> None:
    assert {"session add", "send", "user add"} <= {command.name for command in WITH_FORM}


@by_name
def test_every_form_keeps_slacks_limits_and_explains_its_fields(command: Command) -> None:
    content = view(command, uuid4(), [(uuid4(), "Acme"), (uuid4(), "Globex")])

    assert check_view(content) == []
    fields = [block for block in content["blocks"] if block["type"] == "input"]
    assert all(block["label"]["text"] for block in fields)
    assert [block["label"]["text"] for block in fields if block["label"]["text"] == "Choose one"] == []
    needed = [one.block_id for one in fields_of(command) if one.is_needed]
    assert [block["block_id"] for block in fields if not block.get("optional")] == ["--tenant", *needed]


@by_name
def test_the_example_of_a_command_reads_the_same_from_its_form(command: Command) -> None:
    example = command.example.replace("@ana", "<@U2>").replace("#support", "<#C2|>")
    typed = parse(example, asked(), COMMANDS)[1]
    words = {f"word {number}": getattr(word, "user_id", word.text) for number, word in enumerate(typed.words)}
    options = {f"--{name}": word.text for name, word in typed.options.items()}

    read = filled_in(command, asked(), words | options | ({"text": typed.text} if typed.text else {}))

    assert [type(word) for word in read.words] == [type(word) for word in typed.words]
    assert [word.text.strip("@") for word in read.words] == [word.text.strip("@") for word in typed.words]
    assert (read.options, read.text) == (dict(typed.options), typed.text)


@by_name
def test_a_form_that_was_sent_empty_says_what_is_missing(command: Command) -> None:
    needed = {one.block_id for one in fields_of(command) if one.is_needed}

    assert set(errors(command, dict.fromkeys(needed, " "))) == needed


def test_a_tenant_among_too_many_for_a_menu_is_written() -> None:
    command = named("session add")
    content = view(command, uuid4(), [(uuid4(), f"Tenant {number}") for number in range(101)])

    assert check_view(content) == []
    assert filled_in(command, asked(), {"--tenant": "Tenant 100", "word 0": "sales"}).option("tenant") == "Tenant 100"


@pytest.mark.usefixtures("acme")
async def test_a_form_opens_and_is_carried_out_as_the_command(slack: SandboxSlack, rows: Rows) -> None:
    opened = await slack.command("ana", "support", "/wa session add", OPENED)
    told = await submitted(slack, "ana", {"Name": "sales", "Engine": "NOWEB"})

    assert opened.view is not None
    assert [block["label"]["text"] for block in opened.view.blocks if block["type"] == "input"] == [
        "Name",
        "Engine",
        "Server",
    ]
    assert told.startswith("Session `sales` was added and is being started")
    assert slack.modal("ana") is None
    assert slack.ephemerals("ana")[-1].channel == slack.channel("support").id
    assert await rows("SELECT name, engine FROM waha_sessions") == [("sales", "NOWEB")]
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])


@pytest.mark.usefixtures("acme")
async def test_what_is_wrong_is_said_at_its_field_and_the_form_stays_open(slack: SandboxSlack, rows: Rows) -> None:
    await slack.command("ana", "support", "/wa session add", OPENED)
    before = await rows("SELECT count(*) FROM slack_events")

    blank = await slack.submit("ana", {"Name": "  "})
    wrong = await slack.submit("ana", {"Name": "two words"})

    assert blank.errors == {"Name": "Fill this in, such as sales-berlin."}
    assert list(wrong.errors) == ["Name"]
    assert slack.modal("ana") is not None
    assert await rows("SELECT count(*) FROM slack_events") == before
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_text_in_a_form_is_plain(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")
    await slack.command("ana", "support", "/wa send", OPENED)

    told = await submitted(slack, "ana", {"Number": "+49 151 23456789", "Text": "1 < 2 & <!channel> :tada:"})

    assert told.startswith("Queued for +4915123456789")
    assert await rows("SELECT body FROM messages") == [("1 < 2 & <!channel> 🎉",)]


@pytest.mark.usefixtures("acme")
async def test_a_form_is_opened_for_nobody_who_may_not_send_it(ask: Ask, slack: SandboxSlack) -> None:
    assert "You have no role" in await ask("ben", "session add")
    assert slack.modal("ben") is None


@pytest.mark.usefixtures("acme")
async def test_who_lost_the_right_while_a_form_was_open_changes_nothing(slack: SandboxSlack, rows: Rows) -> None:
    await slack.command("ana", "support", "/wa session add", OPENED)
    await rows("UPDATE users SET role = 'AUDITOR' RETURNING 1")

    assert "you are AUDITOR there" in await submitted(slack, "ana", {"Name": "sales"})
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_a_form_asks_for_the_tenant_where_several_could_be_meant(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana MANAGER --tenant Globex")
    opened = await slack.command("ana", "general", "/wa session add", OPENED)

    await submitted(slack, "ana", {"Tenant": "Globex", "Name": "sales"})

    assert opened.view is not None
    assert "Tenant" in opened.text
    assert await rows("SELECT t.name FROM waha_sessions s JOIN tenants t ON t.id = s.tenant_id") == [("Globex",)]


@pytest.mark.usefixtures("acme")
async def test_a_form_that_opens_too_late_is_answered_with_how_it_is_typed(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    typed = slack.state.interactions.start("command", slack.person("ana"), slack.channel("support"))
    typed.trigger_used = True
    row = incoming(payloads.slash_command(slack.state, typed, "/wa", "session add"))
    assert row is not None
    await in_database(slack_inbox.store, row)

    async with serving(bot_settings()):
        await slack.until(lambda: slack.ephemerals("ana"))
        await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])

    assert "Usage: `/wa session add NAME " in slack.ephemerals("ana")[-1].text


async def test_nobody_is_told_to_type_a_secret_when_a_form_does_not_open(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    typed = slack.state.interactions.start("command", slack.person("olga"), slack.channel("support"))
    typed.trigger_used = True
    row = incoming(payloads.slash_command(slack.state, typed, "/wa", "workspace add"))
    assert row is not None
    await in_database(slack_inbox.store, row)

    async with serving(bot_settings()):
        await slack.until(lambda: slack.ephemerals("olga"))

    assert slack.ephemerals("olga")[-1].text == (
        "Its form did not open.\nGive the command again, alone: `/wa workspace add`. A form asks for the rest."
    )


@pytest.mark.parametrize("line", ["workspace add somewhere", "workspace add --app-token"])
async def test_what_is_wrong_with_a_typed_secret_is_answered_with_the_form(ask: Ask, line: str) -> None:
    told = await ask("olga", line)

    assert "Give the command again, alone: `/wa workspace add`" in told
    assert "Usage" not in told


@pytest.mark.usefixtures("acme")
async def test_a_form_that_is_open_is_not_said_to_be_closed_when_the_database_goes_away_meanwhile(
    slack: SandboxSlack,
    rows: Rows,
    postgres: Server,
    migrated_database: MigratedDatabase,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slack.fail("views.open", latency=1.0, after_storing=True)
    said = ""

    def waits() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "command waits for the database" in said

    await slack.command("ana", "support", "/wa session add", OPENED)
    with refusing(postgres, migrated_database):
        await eventually(waits)
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])

    assert slack.modal("ana") is not None
    assert len(slack.calls("views.open")) == 1
    assert slack.ephemerals("ana") == []


@pytest.mark.parametrize("forged", ["", "nonsense", str(uuid4())])
@pytest.mark.usefixtures("acme")
async def test_a_form_whose_origin_is_forged_changes_nothing(slack: SandboxSlack, rows: Rows, forged: str) -> None:
    await slack.command("ana", "support", "/wa session add", OPENED)
    content: dict[str, Any] = slack.modal("ana").content  # type: ignore[union-attr]
    content["private_metadata"] = forged

    await slack.submit("ana", {"Name": "sales"}, wait=Wait(seconds=0))

    await becomes(rows, "SELECT payload->>'text' LIKE '%%form is not known%%' FROM slack_posts", [(True,)])
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_a_form_of_somebody_else_changes_nothing(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben MANAGER")
    await slack.command("ana", "support", "/wa session add", OPENED)
    anas: dict[str, Any] = slack.modal("ana").content  # type: ignore[union-attr]
    await slack.command("ben", "support", "/wa session add", OPENED)
    content: dict[str, Any] = slack.modal("ben").content  # type: ignore[union-attr]
    content["private_metadata"] = anas["private_metadata"]

    await slack.submit("ben", {"Name": "sales"}, wait=Wait(seconds=0))

    await becomes(rows, "SELECT payload->>'text' LIKE '%%form is not known%%' FROM slack_posts", [(True,)])
    assert await rows("SELECT count(*) FROM waha_sessions") == [(0,)]


@pytest.mark.usefixtures("acme")
async def test_a_form_is_asked_back_when_its_tenant_became_ambiguous_while_it_was_open(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await slack.command("ana", "general", "/wa session add", OPENED)
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana MANAGER --tenant Globex")

    told = await submitted(slack, "ana", {"Name": "sales", "Engine": "NOWEB"})
    question = slack.ephemerals("ana")[-1]
    await slack.click("ana", question, "Globex", wait=Wait(until=lambda answer: bool(answer.messages)))

    assert told.startswith("Which tenant? ")
    assert slack.read(question).startswith("Session `sales` was added")
    chosen = "SELECT s.name, s.engine, t.name FROM waha_sessions s JOIN tenants t ON t.id = s.tenant_id"
    assert await rows(chosen) == [("sales", "NOWEB", "Globex")]


@pytest.mark.usefixtures("acme")
async def test_a_form_that_is_sent_twice_is_carried_out_once(slack: SandboxSlack, rows: Rows) -> None:
    await slack.command("ana", "support", "/wa session add", OPENED)
    send = slack.state.socket_mode.send

    async def send_twice(*envelope: Any) -> Any:
        await send(*envelope)
        return await send(*envelope)

    slack.state.socket_mode.send = send_twice  # type: ignore[method-assign,assignment]
    await slack.submit("ana", {"Name": "sales"}, wait=Wait(seconds=0))
    await becomes(rows, "SELECT count(*) FROM slack_events WHERE answered_at IS NULL", [(0,)])

    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'session.add'") == [(1,)]
    assert len([one for one in slack.ephemerals("ana") if "was added" in one.text]) == 1
