"""Logging in and out, as people type it and read it."""

from __future__ import annotations

import re

import pytest

from bot.desk import NOT_SHOWN
from bot.running import serving
from operations.page_links import fingerprint
from sandbox.slack import SandboxSlack, Wait
from settings import DaemonSettings
from tests.bot.conftest import Ask, BotSettings, Rows, becomes

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

LINK = re.compile(r"<(http://127\.0\.0\.1:8080/pages/([\w-]{43}))\|(Choose|Enter) your password>")
LOGIN = (
    "INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at) SELECT gen_random_uuid(), "
    "u.tenant_id, u.id, i.slack_team_id, i.slack_user_id, now() + interval '1 hour' FROM users u "
    "JOIN slack_identities i ON i.user_id = u.id WHERE u.deleted_at IS NULL"
)


@pytest.fixture
async def asking(slack: SandboxSlack, ask: Ask, acme: None) -> None:
    """Acme asks for passwords."""
    await ask_for_passwords(slack, ask, "ana", "Acme")


async def ask_for_passwords(slack: SandboxSlack, ask: Ask, user: str, tenant: str) -> None:
    await ask(user, f"tenant settings login password --tenant {tenant}")
    question = slack.ephemerals(user)[-1]
    wait = Wait(until=lambda answer: bool(answer.messages))
    answer = await slack.click(user, question, "Ask for passwords", wait=wait)
    assert slack.read(answer.messages[-1]).startswith("*login* is `password` now")


async def told_link(slack: SandboxSlack, ask: Ask, line: str = "login") -> re.Match[str]:
    await ask("ana", line)
    found = LINK.search(slack.ephemerals("ana")[-1].text)
    assert found is not None
    return found


async def test_where_slacks_sign_in_is_enough_there_is_nothing_to_do(ask: Ask, rows: Rows) -> None:
    assert await ask("ana", "login") == (
        "Slack's sign-in is enough for *Acme*: you are in already, and there is nothing to do."
    )
    assert await rows("SELECT count(*) FROM page_links") == [(0,)]


@pytest.mark.usefixtures("asking")
async def test_a_link_is_told_to_one_person_and_kept_as_a_fingerprint(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    assert "asks for your password. Run `/wa login --tenant Acme`" in await ask("ana", "session list")

    link = await told_link(slack, ask)

    shown = slack.ephemerals("ana")[-1]
    assert shown.visible_to == slack.person("ana").id
    assert "*Acme*. The link works once, within ten minutes, and only for you" in shown.text
    assert await rows("SELECT token_hash, purpose FROM page_links") == [(fingerprint(link[2]), "set_password")]
    for (table,) in await rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        held = await rows(f"SELECT count(*) FROM {table} AS one WHERE one::text LIKE %s", f"%{link[2]}%")  # noqa: S608
        assert (table, held) == (table, [(0,)])


@pytest.mark.usefixtures("asking")
async def test_who_has_a_password_is_asked_for_it_or_for_another_one(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await rows("UPDATE users SET password_hash = '$2b$' RETURNING 1")

    assert (await told_link(slack, ask))[3] == "Enter"
    assert (await told_link(slack, ask, "login new-password"))[3] == "Choose"
    assert "`nonsense` cannot follow `/wa login`; `new-password` can." in await ask("ana", "login nonsense")


@pytest.mark.usefixtures("asking")
async def test_a_login_that_is_locked_says_so_with_the_link(ask: Ask, rows: Rows) -> None:
    await rows("UPDATE users SET password_hash = '$2b$', locked_until = now() + interval '9 minutes' RETURNING 1")

    assert "Wrong passwords locked your login until " in await ask("ana", "login")


@pytest.mark.usefixtures("asking")
async def test_logging_out_ends_what_a_password_opened(slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana AGENT --tenant Globex")
    await ask_for_passwords(slack, ask, "olga", "Globex")
    await rows(f"{LOGIN} RETURNING 1")

    one = await ask("ana", "logout --tenant Acme")
    again = await ask("ana", "logout --tenant Acme")
    rest = await ask("ana", "logout everywhere")

    assert one == "You are logged out of *Acme*: 1 login ended."
    assert again.startswith("You were not logged in")
    assert rest == "You are logged out of *Globex*: 1 login ended."
    assert "asks for your password" in await ask("ana", "session list --tenant Globex")
    assert await rows("SELECT count(*) FROM audit_entries WHERE action = 'logout'") == [(2,)]


@pytest.mark.usefixtures("asking")
async def test_which_tenant_to_log_in_to_is_asked_and_chosen_by_a_button(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    await ask("olga", "tenant create Globex")
    await ask("olga", "user add @ana AGENT --tenant Globex")
    await ask_for_passwords(slack, ask, "olga", "Globex")

    assert "Which tenant?" in await ask("ana", "login")
    question = slack.ephemerals("ana")[-1]
    answer = await slack.click("ana", question, "Globex", wait=Wait(until=lambda answer: bool(answer.messages)))

    assert LINK.search(answer.messages[-1].text)
    assert await rows("SELECT t.name FROM page_links l JOIN tenants t ON t.id = l.tenant_id") == [("Globex",)]


async def test_nobody_logs_in_to_what_is_not_theirs(ask: Ask, rows: Rows) -> None:
    assert "no role in any tenant" in await ask("ben", "login --tenant Acme")
    assert "You were not logged in" in await ask("ben", "logout everywhere")
    assert "no tenant called `Globex`" in await ask("ana", "login --tenant Globex")
    assert await rows("SELECT count(*) FROM page_links") == [(0,)]


@pytest.mark.usefixtures("asking")
async def test_a_forgotten_password_is_taken_away_by_an_administrator_who_is_asked_back(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    await ask("olga", "user add @ben AGENT --tenant Acme")
    await rows("UPDATE users SET password_hash = '$2b$' RETURNING 1")
    assert "asks for your password" in await ask("ben", "user forget-password @ana")

    question = await ask("olga", "user forget-password @ben --tenant Acme")
    assert question.startswith("Forget the password of @ben in *Acme*?")
    answer = await slack.click(
        "olga",
        slack.ephemerals("olga")[-1],
        "Forget password",
        wait=Wait(until=lambda answer: bool(answer.messages)),
    )

    assert "is forgotten, and its logins are ended" in answer.messages[-1].text
    assert await rows("SELECT password_hash FROM users WHERE email LIKE 'ben@%%'") == [(None,)]
    assert "has no password in *Acme*" in await _forget_again(slack, ask)


async def test_nobody_takes_away_their_own_password(ask: Ask, rows: Rows) -> None:
    """Whoever has taken over the Slack account of an administrator who is logged in would choose the next one."""
    await rows("UPDATE users SET password_hash = '$2b$' RETURNING 1")

    told = await ask("ana", "user forget-password @ana")

    assert told.startswith("Nobody takes away their own password.")
    assert "`/wa login new-password`" in told
    assert await rows("SELECT password_hash FROM users") == [("$2b$",)]


async def _forget_again(slack: SandboxSlack, ask: Ask) -> str:
    await ask("olga", "user forget-password @ben --tenant Acme")
    answer = await slack.click(
        "olga",
        slack.ephemerals("olga")[-1],
        "Forget password",
        wait=Wait(until=lambda answer: bool(answer.messages)),
    )
    return slack.read(answer.messages[-1])


@pytest.mark.usefixtures("asking")
async def test_a_link_that_slack_did_not_take_becomes_no_direct_message(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    slack.fail("response_url", status=404)

    await slack.command("ana", "general", "/wa login")

    await becomes(
        rows,
        "SELECT payload->>'text' FROM slack_posts WHERE kind = 'direct'",
        [(f"About what you asked for earlier:\n{NOT_SHOWN}",)],
    )


async def test_without_an_address_there_is_no_link_but_the_line_to_set(
    slack: SandboxSlack, bot_settings: BotSettings, rows: Rows
) -> None:
    settings = bot_settings().model_copy(update={"daemon": DaemonSettings(host="0.0.0.0")})  # noqa: S104 - as in a container
    await rows("""UPDATE tenants SET settings = '{"login": "password"}' RETURNING 1""")

    async with serving(settings):
        answer = await slack.command("ana", "support", "/wa login", Wait(until=lambda answer: bool(answer.messages)))

    assert "SWITCHBOARD_SECURITY__PUBLIC_URL=https://" in answer.text
    assert await rows("SELECT count(*) FROM page_links") == [(0,)]
