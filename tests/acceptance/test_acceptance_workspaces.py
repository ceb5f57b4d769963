"""Two Slack workspaces, two tenants, one installation: the real processes, from a form with tokens to the phones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.slack import Message, SandboxSlack, Wait
from sandbox.slack.front import Front
from sandbox.slack.workspace import Installation
from sandbox.stage import PACE, Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team, set_in

THERE = Installation(
    team_id="T0SANDBOX02",
    team_name="Globex",
    team_domain="globex",
    app_id="A0SANDBOX02",
    bot_id="B0SANDBOX02",
    bot_user="U0SANDBOX02",
    bot_token="xoxb-sandbox-other",
    app_token="xapp-sandbox-other",
)
OPENED = Wait(seconds=30, until=lambda answer: answer.view is not None)
STATE = "SELECT state, bot_token IS NULL FROM slack_workspaces"


@dataclass
class Two:
    """The same stage, seen from the workspace of the settings and from the other."""

    here: Scene
    there: Scene

    async def connect(self) -> str:
        slack = self.here.stage.slack
        await slack.command("olga", "general", "/wa workspace add", OPENED)
        before = len(slack.ephemerals("olga"))
        await slack.submit("olga", {"word 0": THERE.bot_token, "--app-token": THERE.app_token}, Wait(seconds=0.1))
        await slack.until(lambda: len(slack.ephemerals("olga")) > before, 30)
        await self.there.stage.slack.connected(2, 30)
        return slack.ephemerals("olga")[-1].text


@pytest.fixture
async def two(tmp_path: Path, database_url: str, rows: Query) -> AsyncIterator[Two]:
    async with (
        SandboxSlack(pace=PACE, installation=THERE) as there,
        Stage(tmp_path, database_url=database_url) as stage,
        Front(stage.slack, there) as front,
    ):
        operators = [f"{slack.team_id}/{slack.person('olga').id}" for slack in (stage.slack, there)]
        set_in(stage, "slack", api_url=front.api_url, operators=operators)
        await stage.start()
        seen_from_there = copy(stage)
        seen_from_there.slack = there
        yield Two(Scene(stage, rows), Scene(seen_from_there, rows))


async def answered(scene: Scene, team: Team, customer: Phone, root: Message, text: str) -> None:
    scene.reply(team, root, text)
    await scene.arrives_once(team, customer, text)


def shown(slack: SandboxSlack) -> str:
    """All that anybody sees in the channels where customers are shown."""
    return "\n".join(message.text for message in slack.messages("support"))


async def test_each_workspace_has_its_own_customers_and_one_that_removes_the_app_loses_nothing(two: Two) -> None:
    here, there = two.here, two.there
    carla = here.stage.whatsapp.phone("+4915123456789", name="Carla")
    dora = here.stage.whatsapp.phone("+4915198765432", name="Dora")

    connected = await two.connect()
    acme = await here.found("Acme", "ana", "support", "+4930901820")
    globex = await there.found("Globex", "ben", "support", "+4930901821")
    root_here = await here.written(acme, carla, "A question for Acme")
    root_there = await there.written(globex, dora, "A question for Globex")
    await answered(here, acme, carla, root_here, "An answer from Acme")
    await answered(there, globex, dora, root_there, "An answer from Globex")

    assert connected.startswith("*Globex* (`T0SANDBOX02`) is served from now on")
    assert here.stage.slack.channel("support").id == there.stage.slack.channel("support").id
    assert "Globex" not in shown(here.stage.slack)
    assert "Acme" not in shown(there.stage.slack)

    there.stage.slack.uninstall_app()
    await here.until_rows(STATE, [("removed", True)])
    await dora.write("Are you still there?", to=globex.phone)
    await here.written(acme, carla, "Another question")
    await answered(here, acme, carla, root_here, "Another answer")
    waiting = "SELECT count(*) FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL AND kind = 'post'"
    await here.until_rows(f"{waiting} AND slack_team_id = 'T0SANDBOX02'", [(1,)])

    assert "still there" not in shown(there.stage.slack)

    there.stage.slack.heal()
    back = await two.connect()
    again = await there.stage.until(lambda: there.root_of(globex, "Are you still there?"), "what waited")
    await answered(there, globex, dora, again, "We are")

    assert "follow" in back
    assert again.ts == root_there.ts
    assert "still there" not in shown(here.stage.slack)
