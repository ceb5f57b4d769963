"""Two Slack workspaces on one installation, each with an app of its own, over one address as Slack's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.http_mode import FORM_TYPE, JSON_TYPE, HttpMode
from bot.running import WayIn, serving
from sandbox.slack import Answer, SandboxSlack, Wait
from sandbox.slack.front import Front
from sandbox.slack.http_mode import signature
from sandbox.slack.workspace import Installation
from tests.bot.conftest import BotSettings, Mode, Rows, both_modes, eventually, reachable

pytestmark = pytest.mark.database_role("switchboard_bot")

OTHER_SECRET = "the-other-app's-signing-secret"
OTHER = Installation(
    team_id="T0SANDBOX02",
    team_name="Globex",
    team_domain="globex",
    app_id="A0SANDBOX02",
    bot_id="B0SANDBOX02",
    bot_user="U0SANDBOX02",
    bot_token="xoxb-sandbox-other",
    app_token="xapp-sandbox-other",
)
ANSWERED = Wait(seconds=15, until=lambda answer: bool(answer.messages) or answer.error is not None)


@dataclass
class Two:
    """Both workspaces, and the bot between them. olga is an operator in both."""

    slack: SandboxSlack
    other: SandboxSlack
    way_in: WayIn

    async def ask(self, text: str, *, user: str = "olga", channel: str = "general", where: str = "own") -> str:
        slack = self.slack if where == "own" else self.other
        answer: Answer = await slack.command(user, channel, f"/wa {text}", ANSWERED)
        assert answer.error is None
        return answer.text

    async def connect(self, *, bot_token: str = OTHER.bot_token) -> str:
        """Fill the form in as olga."""
        await self.slack.command("olga", "general", "/wa workspace add", Wait(until=lambda one: one.view is not None))
        entries = {"word 0": bot_token, "--app-token": OTHER.app_token, "--signing-secret": OTHER_SECRET}
        before = len(self.slack.ephemerals("olga"))
        await self.slack.submit("olga", entries, Wait(seconds=0.1))
        await self.slack.until(lambda: len(self.slack.ephemerals("olga")) > before)
        return self.slack.ephemerals("olga")[-1].text

    async def listened(self) -> None:
        """Wait until the other workspace reaches the bot."""
        if isinstance(way_in := self.way_in, HttpMode):
            self.other.deliver_by_http(way_in.address, OTHER_SECRET)
            await eventually(lambda: len(list(way_in.signers())) == 2)
        else:
            await self.other.connected(2, seconds=20)


@pytest.fixture
async def other() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack(pace=0.005, installation=OTHER) as running:
        yield running


@pytest.fixture
async def two(slack: SandboxSlack, other: SandboxSlack, bot_settings: BotSettings, mode: Mode) -> AsyncIterator[Two]:
    async with Front(slack, other) as front:
        settings = bot_settings(mode=mode)
        operators = (*settings.slack.operators, f"{OTHER.team_id}/{other.person('olga').id}")
        table = settings.slack.model_copy(update={"api_url": front.api_url, "operators": operators})
        async with serving(settings.model_copy(update={"slack": table})) as way_in:
            await reachable(slack, way_in)
            yield Two(slack, other, way_in)


@pytest.fixture
async def connected(two: Two) -> Two:
    await two.connect()
    await two.listened()
    return two


@both_modes
async def test_a_workspace_is_connected_by_a_form_and_answered_without_a_restart(two: Two, rows: Rows) -> None:
    told = await two.connect()
    await two.listened()

    answer = await two.ask("help", where="other")

    assert told.startswith("*Globex* (`T0SANDBOX02`) is served from now on, without a restart.")
    assert answer.startswith("*WhatsApp from Slack.*")
    assert [one.text for one in two.slack.ephemerals("olga")] == [told]
    [kept] = await rows("SELECT bot_token, app_token, signing_secret, state FROM slack_workspaces")
    assert all(envelope.startswith("v1.") for envelope in kept[:3])
    assert kept[3] == "active"


async def test_no_token_stands_in_plain_text_anywhere(connected: Two, rows: Rows) -> None:
    tables = [
        name
        for (name,) in await rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    ]
    secrets = [OTHER.bot_token, OTHER.app_token, OTHER_SECRET]

    found = [
        (table, secret)
        for table in tables
        for secret in secrets
        for _ in await rows(f'SELECT 1 FROM "{table}" t WHERE position(%s IN t::text) > 0', secret)  # noqa: S608
    ]

    assert found == []
    assert len(tables) > 20


async def test_a_token_that_is_typed_or_refused_by_slack_is_not_kept(two: Two, rows: Rows) -> None:
    typed = await two.ask("workspace add xoxb-0123456789")
    refused = await two.connect(bot_token="xoxb-sandbox-unknown")

    assert typed.startswith("Nothing was done: this holds a Slack token")
    assert refused.startswith("Slack refuses the bot token: Slack does not accept the token.")
    assert await rows("SELECT 1 FROM slack_workspaces") == []


async def test_the_workspace_of_the_settings_is_not_connected_twice(two: Two, rows: Rows) -> None:
    told = await two.connect(bot_token=two.slack.bot_token)

    assert told == "*Sandbox* is the workspace of the settings, and served already."
    assert await rows("SELECT 1 FROM slack_workspaces") == []


async def test_who_is_no_operator_gets_no_form(two: Two) -> None:
    refused = await two.ask("workspace add", user="ana")

    assert refused.startswith("`/wa workspace add` is for operators of this installation.")
    assert two.slack.modal("ana") is None


async def test_a_tenant_is_at_home_in_one_workspace(connected: Two, rows: Rows) -> None:
    two = connected
    await two.ask("tenant create Acme")
    bound = await two.ask("workspace bind Acme T0SANDBOX02")
    elsewhere = await two.ask("user add @ana TENANT_ADMIN --tenant Acme")
    await two.ask("user add @ana TENANT_ADMIN --tenant Acme", where="other")
    linked = await two.ask("channel link #support", user="ana", where="other")
    moved = await two.ask("workspace bind Acme T0SANDBOX01")

    assert bound.startswith("*Acme* belongs to *Globex*")
    assert elsewhere.startswith("This tenant belongs to another Slack workspace")
    assert linked.startswith("#support shows the conversations of *Acme*")
    assert moved.startswith("*Acme* has 1 channel in the workspace where it is now.")
    assert await rows("SELECT slack_team_id FROM channel_routes") == [("T0SANDBOX02",)]
    assert await rows("SELECT DISTINCT slack_team_id FROM slack_identities") == [("T0SANDBOX02",)]


async def test_a_tenant_is_at_home_where_it_was_made(connected: Two, rows: Rows) -> None:
    await connected.ask("tenant create Acme")
    await connected.ask("tenant create Hooli", where="other")

    assert await rows("SELECT name, slack_team_id FROM tenants ORDER BY 1") == [
        ("Acme", None),
        ("Hooli", OTHER.team_id),
    ]


async def test_one_that_is_removed_is_not_listened_to_and_the_other_is(connected: Two, rows: Rows) -> None:
    two = connected
    asked = await two.slack.command("olga", "general", "/wa workspace remove Globex", ANSWERED)
    question = asked.text
    removed = await two.slack.click("olga", asked.messages[0], "Remove", wait=ANSWERED)
    await eventually(lambda: not two.other.state.socket_mode.connections)

    still = await two.ask("workspace list")

    assert question.startswith("Stop serving *Globex*?")
    assert "its tokens are deleted" in removed.texts[-1]
    assert "*Globex* (`T0SANDBOX02`), removed: An operator disconnected it" in still
    assert await rows("SELECT bot_token, app_token, signing_secret FROM slack_workspaces") == [(None, None, None)]
    assert len(two.slack.state.socket_mode.connections) == 2


@pytest.mark.parametrize("mode", ["http"])
async def test_what_one_app_signs_is_not_taken_for_another_workspace(two: Two, rows: Rows) -> None:
    await two.connect()
    await two.listened()
    command = {"command": "/wa", "text": "help", "team_id": two.slack.team_id, "user_id": "U1", "trigger_id": "forged"}
    event = {"type": "event_callback", "team_id": two.slack.team_id, "event": {"type": "app_uninstalled"}}
    before = await rows("SELECT count(*) FROM slack_events")
    assert isinstance(two.way_in, HttpMode)

    statuses = []
    async with aiohttp.ClientSession() as session:
        for body, kind in ((urlencode(command).encode(), FORM_TYPE), (json.dumps(event).encode(), JSON_TYPE)):
            headers = {"Content-Type": kind, **signature(OTHER_SECRET, body)}
            async with session.post(two.way_in.address, data=body, headers=headers) as response:
                statuses.append(response.status)

    assert statuses == [401, 401]
    assert await rows("SELECT count(*) FROM slack_events") == before


@both_modes
async def test_that_the_app_was_removed_is_kept_for_the_daemon(connected: Two, rows: Rows) -> None:
    connected.other.uninstall_app()

    await connected.other.until(lambda: all(one.acknowledged for one in connected.other.state.events.deliveries))

    kept = await rows(
        "SELECT convert_from(body, 'UTF8')::jsonb->'event'->>'type' FROM slack_events WHERE kind = 'event' ORDER BY 1"
    )
    assert kept == [("app_uninstalled",), ("tokens_revoked",)]


async def test_a_form_of_one_workspace_is_opened_under_its_token_and_no_other(connected: Two) -> None:
    connected.slack.fail("views.open", error="expired_trigger_id", times=None)

    opened = Wait(seconds=15, until=lambda answer: answer.view is not None)
    answer = await connected.other.command("olga", "general", "/wa workspace add", opened)

    assert answer.view is not None
    assert len(connected.other.calls("views.open")) == 1
