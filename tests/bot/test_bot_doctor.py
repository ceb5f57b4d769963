"""`doctor` in Slack: a daemon looks, the bot tells; and where none runs, that is the finding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bot.commands.command import Asked
from bot.commands.doctor import examined
from daemon.doctor.worker import DoctorWorker
from daemon.loops import repeat
from database import in_database
from database.notifications import Wakeup
from models import uuid7
from operations import doctor_runs
from operations.encryption import KeyRing
from operations.findings import Finding, Level, bad, in_slack, ok, warn
from operations.standing import Person
from sandbox.slack import SandboxSlack
from settings import Settings
from slack.client import SlackClient
from tests.bot.conftest import Ask, BotSettings, Rows
from tests.conftest import TEST_KEY

OLGA = Person("T1", "UOLGA")


@pytest.fixture
async def daemon(bot_settings: BotSettings) -> AsyncIterator[None]:
    """A daemon's doctor at work, with the settings of the bot."""
    stopping = asyncio.Event()
    worker = DoctorWorker(_without_waha(bot_settings()), KeyRing([TEST_KEY]), Wakeup())
    working = asyncio.create_task(
        repeat("doctor", worker.step, wakeup=worker.wakeup, stopping=stopping, every_seconds=0.05)
    )
    yield
    stopping.set()
    await working
    await worker.crew.finish()


def _without_waha(settings: Settings) -> Settings:
    alerts = settings.alerts.model_copy(update={"webhook_url": SecretStr("")})
    return settings.model_copy(update={"alerts": alerts})


async def test_an_operator_is_told_what_a_daemon_found(daemon: None, slack: SandboxSlack, ask: Ask, rows: Rows) -> None:
    told = await ask("olga", "doctor")

    assert told.startswith("*Doctor: ")
    assert "✖ *waha.main.reached*: WAHA does not answer at http://127.0.0.1:1" in told
    assert "▲ *settings.alerts*" in told
    assert "slack.scopes" in told.partition("✔ well:")[2]
    assert told.endswith("`python -m daemon doctor` on the machine.")
    assert "`/wa doctor`" in told
    [(actor, action)] = await rows("SELECT actor, action FROM audit_entries")
    assert (actor, action) == (f"{slack.team_id}/{slack.person('olga').id}", "installation.check")


async def test_who_is_no_operator_is_refused_and_nothing_is_looked_at(ask: Ask, rows: Rows) -> None:
    assert "is for operators" in await ask("ana", "doctor")

    assert await rows("SELECT count(*) FROM doctor_runs") == [(0,)]


@pytest.mark.database_role("switchboard_bot")
async def test_where_no_daemon_runs_that_is_what_is_found(slack: SandboxSlack, bot_settings: BotSettings) -> None:
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        asked = await examined(Asked(uuid7(), OLGA, "C1"), client, taken_within=0.1)

    found = {finding.check: finding for finding in asked.findings}
    assert found["daemon.runs"].level is Level.BAD
    assert "start daemon" in found["daemon.runs"].fix
    assert {"database.version", "database.connections", "slack.scopes", "bot.runs"} <= set(found)


@pytest.mark.database_role("switchboard_bot")
async def test_a_check_up_that_was_taken_and_does_not_end_says_so(
    slack: SandboxSlack, bot_settings: BotSettings
) -> None:
    asked = Asked(uuid7(), OLGA, "C1")
    await in_database(doctor_runs.ask, OLGA, asked.event_id)
    await in_database(doctor_runs.take)
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        asked = await examined(asked, client, taken_within=60, done_within=0.1)

    found = {finding.check: finding for finding in asked.findings}
    assert found["daemon.checkup"].level is Level.BAD
    assert "python -m daemon doctor" in found["daemon.checkup"].fix
    assert "daemon.runs" not in found
    assert "database.version" in found


async def test_a_check_up_is_taken_by_one_daemon_and_asked_for_once(bot_settings: BotSettings) -> None:
    asked_as = uuid7()
    for _ in range(2):
        await in_database(doctor_runs.ask, OLGA, asked_as)

    assert [await in_database(doctor_runs.take) for _ in range(2)] == [asked_as, None]


async def test_a_newer_question_takes_the_place_of_the_older_one(bot_settings: BotSettings) -> None:
    older, newer = uuid7(), uuid7()
    await in_database(doctor_runs.ask, OLGA, older)
    await in_database(doctor_runs.take)
    await in_database(doctor_runs.ask, OLGA, newer)

    assert not await in_database(doctor_runs.finish, older, [ok("a", "b")])
    assert await in_database(doctor_runs.progress, older) is None
    assert await in_database(doctor_runs.take) == newer


def test_the_gravest_stands_first_and_the_rest_is_counted() -> None:
    many = [bad(f"check.{number:03}", "x" * 300, "y" * 300) for number in range(30)]

    told = in_slack([ok("fine", "All is well."), warn("w", "A warning.", "Do it."), *many])

    assert told.splitlines()[0] == "*Doctor: 30 broken, 1 to look at, 1 well*"
    assert told.index("✖") < told.index("… and ")
    assert len(told) < 3_800
    assert "▲" not in told


def test_what_others_said_can_mention_nobody() -> None:
    told = in_slack([bad("waha.main.reached", "WAHA said <!channel> & <@U1>.", "Mend it.")])

    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in told


def test_what_an_address_holds_that_is_secret_is_not_kept() -> None:
    kept = bad(
        "waha.main.reached", "WAHA is not at http://admin:hunter2@waha:3000.", "not xapp-1-A, Bearer abc"
    ).as_json()

    assert kept["found"] == "WAHA is not at http://admin:[hidden]@waha:3000."
    assert kept["fix"] == "not [hidden], Bearer [hidden]"
    assert bad("a", "b", "see Basic Information of the app").fix == "see Basic Information of the app"


def test_a_finding_survives_its_row() -> None:
    finding = Finding("a.b", Level.WARN, "found", "fix")

    assert Finding.of(finding.as_json()) == finding
    assert replace(finding, fix="") != finding
