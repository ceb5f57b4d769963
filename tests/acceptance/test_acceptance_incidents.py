"""A session that fails for good: one message in the alerts channel, whose buttons work, changed until it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.slack import Message, Wait
from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene, Team

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]  # ten seconds each way, by the clock

ANSWERED = Wait(seconds=15, until=lambda answer: any(one.visible_to for one in answer.messages))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("incidents"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    team = await scene.found("Acme", "ana", "support", "+4930901820")
    await scene.ask("ana", "channel link --for alerts", channel="alerts", expect="alerts")
    return team


def shown(scene: Scene, words: str) -> list[Message]:
    return scene.in_channel("alerts", words)


async def test_a_session_that_fails_is_one_message_that_ends_with_it(scene: Scene, acme: Team) -> None:
    waha, slack = scene.stage.waha, scene.stage.slack
    waha.starts.fail(session=acme.waha_session)
    waha.fail(acme.waha_session)
    await scene.until_rows("SELECT status FROM waha_sessions", [("failed",)])

    [failed] = await scene.stage.until(lambda: shown(scene, "failed."), "the message", seconds=60)
    muted = await slack.click("ana", failed, "Mute", wait=ANSWERED)
    [failed] = await scene.stage.until(lambda: shown(scene, "🔕 Muted by <@"), "that it is muted", seconds=30)
    restarted = await slack.click("ana", failed, "Restart", wait=ANSWERED)
    waha.starts.heal()
    [over] = await scene.stage.until(lambda: shown(scene, "works again, after"), "its end", seconds=90)

    assert muted.texts[-1].startswith("Muted for 8 hours")
    assert "is restarted now" in restarted.texts[-1]
    assert over.ts == failed.ts
    assert over.text.startswith(f"🟢 *Session `{acme.session}` works again, after ")
    assert not [block for block in over.blocks if block["type"] == "actions"]
    assert len(slack.messages("alerts")) == 1
    assert "`/wa session show" in over.earlier[0]
    await scene.until_rows("SELECT count(*) FROM incidents WHERE ended_at IS NULL", [(0,)])
    asked = {entry.path.rpartition("/")[2] for entry in waha.journal.requests if entry.method != "GET"}
    assert "logout" not in asked
