"""A tenant is deactivated, activated, deleted and restored while its customers write, through the real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.slack import Message, Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLD = Wait(seconds=30, until=lambda answer: bool(answer.messages))
UNHANDLED = "SELECT count(*) FROM webhook_events WHERE processed_at IS NULL"
HELD = "SELECT count(*) FROM messages WHERE hold_reason IS NOT NULL"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("tenants"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def globex(scene: Scene) -> Team:
    return await scene.found("Globex", "ben", "reports", "+4930901830")


@pytest.fixture
def carla(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456789", name="Carla")


@pytest.fixture
def dora(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456780", name="Dora")


async def confirmed(scene: Scene, line: str, label: str) -> str:
    """What an operator reads who typed a command and said that it is meant."""
    asked = await scene.ask("olga", line, channel="general")
    answer = await scene.stage.slack.click("olga", asked.messages[-1], label, wait=TOLD)
    return answer.texts[-1]


def shown(scene: Scene, team: Team, customer: str) -> list[str]:
    """What stands in the threads of a channel from a customer, thread by thread."""
    slack = scene.stage.slack
    posts = [post for root in slack.roots(team.channel) for post in slack.thread(team.channel, root.ts)]
    return [post.text.partition(": ")[2] for post in posts if post.text.startswith(f"*{customer}*: ")]


async def until_told(scene: Scene, user: str, words: str) -> Message:
    return await scene.stage.until(
        lambda: next((one for one in scene.stage.slack.ephemerals(user) if words in one.text), None), f"{words!r} told"
    )


async def test_a_deactivated_tenant_receives_and_shows_nothing_and_then_everything_in_order(
    scene: Scene, acme: Team, globex: Team, carla: Phone, dora: Phone
) -> None:
    root = await scene.written(acme, carla, "Before.")
    scene.reply(acme, root, "Sent before.")
    await scene.arrives_once(acme, carla, "Sent before.")
    await scene.until_idle()

    await confirmed(scene, "tenant deactivate Acme", "Deactivate")
    for number in range(5):
        await carla.write(f"Meanwhile {number}", to=acme.phone)
    await dora.write("I am new here.", to=acme.phone)
    scene.reply(acme, root, "Is it still wanted?")
    await until_told(scene, acme.admin, "write it again once an operator has run `/wa tenant activate Acme`.")
    await scene.until_rows(HELD, [(6,)])
    await scene.until_rows(UNHANDLED, [(0,)])
    # Another tenant's customers go on, so the relay has passed over what waits.
    await scene.written(globex, carla, "To another tenant.")
    meanwhile = shown(scene, acme, "Carla") + shown(scene, acme, "Dora")

    told = await scene.ask("olga", "tenant activate Acme", channel="general")
    await scene.until_idle()
    await carla.write("After.", to=acme.phone)
    await scene.stage.until(lambda: "After." in shown(scene, acme, "Carla"), "what came afterwards")

    assert meanwhile == ["Before."]
    assert "6 messages of customers that waited are posted now." in told.text
    assert shown(scene, acme, "Carla") == ["Before.", *(f"Meanwhile {number}" for number in range(5)), "After."]
    assert shown(scene, acme, "Dora") == ["I am new here."]
    assert scene.on_phone(acme, carla, "Is it still wanted?") == []
    assert scene.rows(HELD) == [(0,)]


async def test_a_deleted_tenants_session_is_stopped_and_started_again_when_it_is_restored(
    scene: Scene, acme: Team, carla: Phone
) -> None:
    session = scene.stage.waha.sessions.get(acme.waha_session)
    assert session is not None

    await confirmed(scene, "tenant delete Acme", "Delete")
    await scene.stage.until(lambda: session.status.value == "STOPPED", "the session to be stopped", 60)
    is_still_linked = session.account is not None
    await carla.write("While it was deleted.", to=acme.phone)
    refused = await scene.ask(acme.admin, "session list")
    await scene.ask("olga", "tenant restore Acme", channel="general", expect="*Acme* is back")
    await scene.until_rows("SELECT status FROM waha_sessions WHERE name = 'sales-acme'", [("working",)], 60)
    await scene.written(acme, carla, "After the return.")
    await scene.stage.until(lambda: "While it was deleted." in shown(scene, acme, "Carla"), "what was missed", 60)
    await scene.until_idle()

    assert "no role in any tenant" in refused.text
    assert is_still_linked
    assert sorted(shown(scene, acme, "Carla")[-2:]) == ["After the return.", "While it was deleted."]
