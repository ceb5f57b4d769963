"""WAHA is away, refuses our key, comes back: each is said as what it is, and nothing is lost meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE = "SELECT state FROM waha_servers"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("waha-outages"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest.fixture
def customer(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456789", name="Carla")


async def report(scene: Scene, user: str = "ana") -> str:
    """Ask for a report, and read the one that it makes."""
    before = len(scene.in_channel("support", "Health report"))
    await scene.ask(user, "report now")
    found = await scene.stage.until(lambda: scene.in_channel("support", "Health report")[before:], "the report")
    return found[-1].text


async def test_a_key_that_is_refused_is_said_as_that_and_the_queue_waits(
    scene: Scene, acme: Team, customer: Phone
) -> None:
    root = await scene.written(acme, customer, "Are you there?")

    scene.stage.waha.refuse_key()
    await scene.until_rows(STATE, [("key_refused",)])
    shown = await scene.ask("ana", f"session show {acme.session}")
    reported = await report(scene)
    scene.reply(acme, root, "Through the refused key.")
    held = (
        "SELECT hold_reason IS NOT NULL OR attempts = 0, status FROM messages WHERE body = 'Through the refused key.'"
    )
    await scene.until_rows(held, [(True, "queued")])

    assert "refuses our API key" in shown.text
    assert "away" not in shown.text
    assert "refuses our key" in reported
    assert "Set the API key of server `main`: WAHA refuses ours." in reported
    scene.stage.waha.accept_key()
    await scene.until_rows(STATE, [("up",)])
    await scene.arrives_once(acme, customer, "Through the refused key.")


async def test_a_waha_that_is_away_is_said_as_that_and_comes_back_by_itself(
    scene: Scene, acme: Team, customer: Phone
) -> None:
    root = await scene.written(acme, customer, "And now?")

    await scene.stage.waha.go_down()
    await scene.until_rows(STATE, [("down",)])
    shown = await scene.ask("ana", f"session show {acme.session}")
    reported = await report(scene)
    scene.reply(acme, root, "While WAHA was away.")
    await scene.until_rows("SELECT count(*) FROM messages WHERE body = 'While WAHA was away.'", [(1,)])
    await customer.write("Written meanwhile", to=acme.phone)

    assert "which is away" in shown.text
    assert "refuses" not in shown.text
    assert "server `main` is away" in reported
    await scene.stage.waha.come_back()
    await scene.until_rows(STATE, [("up",)])
    await scene.arrives_once(acme, customer, "While WAHA was away.", seconds=60)
    await scene.stage.until(lambda: scene.in_channel("support", "Written meanwhile"), "what waited at WhatsApp")
    assert len(scene.in_channel("support", "Written meanwhile")) == 1
    assert "which is away" not in (await scene.ask("ana", f"session show {acme.session}")).text


async def test_a_session_that_failed_is_restarted_and_people_who_stopped_one_are_obeyed(
    scene: Scene, acme: Team
) -> None:
    status = f"SELECT status FROM waha_sessions WHERE name = '{acme.session}'"  # noqa: S608 - a name of ours
    restarts = f"/api/sessions/{acme.waha_session}/restart"

    scene.stage.waha.fail(acme.waha_session)
    await scene.stage.until(lambda: _asked(scene, restarts), "the restart")
    await scene.until_rows(status, [("working",)])
    await scene.ask("ana", f"session stop {acme.session}")
    await scene.until_rows(status, [("stopped",)])

    asked = {entry.path.rpartition("/")[2] for entry in scene.stage.waha.journal.requests if entry.method != "GET"}
    assert "logout" not in asked
    assert not [entry for entry in scene.stage.waha.journal.requests if entry.method == "DELETE"]


def _asked(scene: Scene, path: str) -> bool:
    return any(entry.path == path for entry in scene.stage.waha.journal.requests)
