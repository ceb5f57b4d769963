"""What operators see of the WAHA servers in Slack, and what draining one changes for a session that is added."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack, Wait, controls
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

SERVER = """
INSERT INTO waha_servers (id, name, state, version, engine, observed_at, last_webhook_at)
VALUES (gen_random_uuid(), 'main', %s, %s, 'GOWS', now(), now()) RETURNING 1
"""
TROUBLE = "UPDATE waha_sessions SET status = 'failed', status_changed_at = now() - interval '1 hour' RETURNING 1"


async def confirmed(slack: SandboxSlack, line: str) -> str:
    """Type it, and say yes."""
    answered = Wait(until=lambda answer: bool(answer.messages))
    await slack.command("olga", "general", f"/wa {line}", answered)
    asked = slack.ephemerals("olga")[-1]
    answer = await slack.click("olga", asked, controls.labels(asked.blocks)[0], wait=answered)
    return slack.read(answer.messages[-1])


async def test_a_server_shows_how_full_it_is_and_what_is_in_trouble(ask: Ask, rows: Rows) -> None:
    await rows(SERVER, "up", "2026.7.1")
    await ask("ana", "session add sales")
    await rows(TROUBLE)

    listed = await ask("olga", "server list")
    shown = await ask("olga", "server show main")

    assert "`main` 🟢 answers, WAHA 2026.7.1 GOWS: 1 session, 1 in trouble" in listed
    assert "`sales` of *Acme*: failed since" in shown
    assert "Its last webhook came" in shown
    assert shown.rstrip().endswith("`/wa session show NAME --tenant TENANT`.")


@pytest.mark.parametrize(
    ("state", "version", "step"),
    [
        ("down", "2026.7.1", "Start WAHA again"),
        ("key_refused", "2026.7.1", "`waha.servers.main.api_key`"),
        ("unknown", None, "Does a daemon run"),
        ("up", "2026.2.1", "2026.4.3 and newer do."),
    ],
)
async def test_a_server_says_what_to_do_next(ask: Ask, rows: Rows, state: str, version: str | None, step: str) -> None:
    await rows(SERVER, state, version)

    assert step in await ask("olga", "server show main")


async def test_a_drained_server_gets_no_new_session_and_says_what_becomes_of_the_others(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    await rows(SERVER, "up", "2026.7.1")
    await ask("ana", "session add sales")

    drained = await confirmed(slack, "server drain main")
    refused = await ask("ana", "session add other")
    shown = await ask("olga", "server show main")
    back = await ask("olga", "server undrain main")
    added = await ask("ana", "session add other")

    assert "No other server has room: until one has, nobody can add a session. `main` has 1 session." in drained
    assert "To move one, its people run" in drained
    assert "`main` is being drained" in refused
    assert "`sales` of *Acme*" in shown
    assert "may have new sessions again" in back
    assert "Session `other` was added" in added


@pytest.mark.parametrize("servers", [("main", "second")])
async def test_before_a_server_is_drained_it_is_said_whether_others_have_room(
    slack: SandboxSlack, ask: Ask, rows: Rows
) -> None:
    await rows("INSERT INTO waha_servers (id, name) VALUES (gen_random_uuid(), 'second') RETURNING 1")
    await ask("ana", "session add sales --server main")

    with_room = await ask("olga", "server drain main")
    await rows("UPDATE waha_servers SET draining_since = now() RETURNING 1")
    without = await ask("olga", "server drain main")

    assert "Its 1 session stays and goes on working" in with_room
    assert "No other server has room" not in with_room
    assert "No other server has room: until one has, nobody can add a session." in without


async def test_a_server_that_is_not_in_the_settings_is_not_found(ask: Ask) -> None:
    assert "Did you mean `main`?" in await ask("olga", "server show mian")


async def test_servers_are_the_operators_matter(ask: Ask) -> None:
    assert "operator" in await ask("ana", "server list")
