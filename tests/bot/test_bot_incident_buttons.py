"""The buttons under an incident's message work for whoever controls sessions in its tenant, and for nobody else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from bot.buttons.button import press
from bot.buttons.incidents import BUTTONS
from bot.call import Call, Click
from bot.sockets import Sockets
from database import connection, in_database, tenant_transaction, transaction
from models import IncidentKind, UserRole, now_utc
from operations import incidents
from operations.errors import Refused
from operations.incident_buttons import MUTE, RESTART, SHOW_QR, UNMUTE
from operations.standing import Person
from sandbox.slack import Message, SandboxSlack, Wait
from slack.blocks import actions, button, section
from slack.client import SlackClient
from tests.bot.conftest import Rows, becomes
from tests.conftest import MigratedDatabase
from tests.operations.builders import World

pytestmark = pytest.mark.database_role("switchboard_bot")

ANSWERED = Wait(seconds=15, until=lambda answer: any(one.visible_to for one in answer.messages))
LABELS = {RESTART: "Restart", SHOW_QR: "Show QR", MUTE: "Mute", UNMUTE: "Unmute"}


@dataclass
class Scene:
    """Acme, where ana is a manager and ben an agent; olga is of Globex. Session sales of Acme has failed."""

    slack: SandboxSlack
    world: World
    client: SlackClient
    incident_id: UUID | None = None

    async def __call__(self, work: Callable[[], Any]) -> Any:
        def inside() -> Any:
            with connection():
                return work()

        return await in_database(inside)

    async def arrange(self) -> None:
        world, slack = self.world, self.slack
        tenant, other = await self(world.tenant), await self(partial(world.tenant, "Globex"))
        people = (("ana", tenant, UserRole.MANAGER), ("ben", tenant, UserRole.AGENT), ("olga", other, UserRole.MANAGER))
        for name, of, role in people:
            person = Person(slack.team_id, slack.person(name).id)
            await self(partial(world.user, of, person, role, first_name=name.capitalize()))
        session = await self(partial(world.session, tenant))

        def begin() -> UUID:
            with tenant_transaction(tenant.id):
                return incidents.begin(tenant.id, session.id, IncidentKind.FAILED, at=now_utc())

        self.incident_id = await self(begin)

    async def offered(self, action_id: str, value: str = "") -> Message:
        blocks = [
            section("It failed."),
            actions(button(LABELS[action_id], action_id, value=value or str(self.incident_id))),
        ]
        channel = self.slack.channel("support").id
        ts = await self.client.post(channel, "It failed.", blocks=blocks)
        return next(one for one in self.slack.messages("support") if one.ts == ts)

    async def click(self, user: str, action_id: str, value: str = "") -> str:
        message = await self.offered(action_id, value)
        return (await self.slack.click(user, message, LABELS[action_id], wait=ANSWERED)).texts[-1]


@pytest.fixture
async def scene(slack: SandboxSlack, bot: Sockets, migrated_database: MigratedDatabase) -> AsyncIterator[Scene]:
    async with SlackClient(slack.bot_token, slack.api_url) as client:
        scene = Scene(slack, World(migrated_database), client)
        await scene.arrange()
        yield scene


MUTED = "SELECT muted_at IS NOT NULL, muted_by FROM incidents"
ASKED = "SELECT kind, slack_user_id FROM waha_actions"
AUDITED = "SELECT action FROM audit_entries WHERE action ~ '^(incident|session)' ORDER BY created_at"


async def test_muting_is_shown_with_who_did_it_and_taken_back(scene: Scene, rows: Rows) -> None:
    ana = scene.slack.person("ana").id

    muted = await scene.click("ana", MUTE)
    again = await scene.click("ana", MUTE)
    await becomes(rows, MUTED, [(True, f"<@{ana}>")])
    unmuted = await scene.click("ana", UNMUTE)

    assert muted.startswith("Muted for 8 hours")
    assert again.startswith("Somebody muted it before you")
    assert unmuted.startswith("Not muted any more")
    assert await rows(MUTED) == [(False, None)]
    assert await rows(AUDITED) == [("incident.mute",), ("incident.unmute",)]


@pytest.mark.parametrize(("action_id", "kind"), [(RESTART, "restart"), (SHOW_QR, "qr")])
async def test_what_is_asked_of_waha_is_asked_in_the_name_of_who_clicked(
    scene: Scene, rows: Rows, action_id: str, kind: str
) -> None:
    told = await scene.click("ana", action_id)

    assert "by direct message" in told
    assert await rows(ASKED) == [(kind, scene.slack.person("ana").id)]
    assert await rows(AUDITED) == [(f"session.{kind}",)]


@pytest.mark.parametrize("action_id", [RESTART, SHOW_QR])
async def test_what_could_not_be_asked_of_waha_at_the_click_is_not_asked_later(scene: Scene, action_id: str) -> None:
    """The database was away, say, and the session is well again since."""
    [clicked] = [one for one in BUTTONS if one.action_id == action_id]
    call = Call(
        event_id=uuid4(),
        slack_team_id=scene.slack.team_id,
        person=Person(scene.slack.team_id, scene.slack.person("ana").id),
        channel_id=scene.slack.channel("support").id,
        response_url="",
        respond_until=time.monotonic() - 1,
        click=Click(action_id, str(scene.incident_id), "", None, ""),
    )

    def late() -> None:
        with transaction():
            press(clicked, call)

    with pytest.raises(Refused, match="by now the session may be well again"):
        await scene(late)


@pytest.mark.parametrize("action_id", LABELS)
async def test_who_may_not_control_sessions_there_changes_nothing(scene: Scene, rows: Rows, action_id: str) -> None:
    by_role = await scene.click("ben", action_id)
    by_tenant = await scene.click("olga", action_id)
    forged = await scene.click("ana", action_id, "0192a8b4-0000-7000-8000-000000000000")
    nonsense = await scene.click("ana", action_id, "'; DROP TABLE incidents")

    assert by_role.startswith("That needs TENANT_ADMIN or MANAGER")
    assert by_tenant == forged
    assert "is not there any more, or you have no role" in forged
    assert nonsense.startswith("Nothing was changed")
    assert await rows(ASKED) == []
    assert await rows(MUTED) == [(False, None)]


@pytest.mark.parametrize("action_id", LABELS)
async def test_nothing_is_done_about_what_is_over(scene: Scene, rows: Rows, action_id: str) -> None:
    await scene(partial(scene.world.sql, "UPDATE incidents SET ended_at = now()"))

    told = await scene.click("ana", action_id)

    assert told.startswith("Nothing was changed: it is over.")
    assert await rows(ASKED) == []
