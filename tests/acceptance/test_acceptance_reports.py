"""Reports that are due in one minute, from two real daemons of which one is killed in that minute."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from PIL import Image

from sandbox.processes import Process
from sandbox.slack.files import File
from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene, Team, another_daemon, until_logged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

REPORTS = 50
# The daemon that leads reads the schedules each half minute.
READ_WITHIN = timedelta(seconds=40)
QUEUED = "SELECT count(*) FROM slack_posts WHERE slot LIKE 'report:%'"
BY_NAME = "SELECT count(*), count(DISTINCT slot), count(DISTINCT slack_ts) FROM slack_posts WHERE slot LIKE 'report:%'"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("reports"), database_url=database_url) as stage:
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    team = await scene.found("Acme", "ana", "support", "+4930901820")
    await scene.ask("ana", "channel link --for reports", channel="reports", expect="reports")
    return team


async def test_a_report_is_text_with_pictures_below_it(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    root = await scene.written(acme, stage.whatsapp.phone("+4915123456789", name="Carla"), "When do you open?")
    scene.reply(acme, root, "At nine.")
    answered = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND status IN ('sent', 'delivered')"
    await scene.until_rows(answered, [(1,)])

    await scene.ask("ana", "report now", expect="on its way")
    [report] = await stage.until(lambda: stage.slack.roots("reports"), "the report")
    files = await stage.until(lambda: _files(scene, report.ts, 3), "its pictures", 90)

    assert "*First answers*: 1, half within " in report.text
    assert "1 in, 1 out (" in report.text
    assert "Nothing needs to be done." in report.text
    for file in files:
        assert file.content is not None
        image = Image.open(io.BytesIO(file.content))
        assert (image.format, image.width) == ("PNG", 900)
        assert file.alt_txt


def _files(scene: Scene, ts: str, many: int) -> list[File] | None:
    slack = scene.stage.slack
    found = [file for message in slack.thread("reports", ts)[1:] for file in message.files]
    return found if len(found) == many else None


async def test_fifty_reports_of_one_minute_are_posted_once_though_a_daemon_is_killed_in_it(
    scene: Scene, acme: Team
) -> None:
    stage, before = scene.stage, len(scene.stage.slack.roots("reports"))
    second = another_daemon(stage)
    await second.start()
    await until_logged(second, "daemon works")
    minute = (datetime.now(UTC) + READ_WITHIN + timedelta(minutes=1)).replace(second=0, microsecond=0)
    scene.rows("UPDATE report_schedules SET is_paused = true")
    scene.rows(
        "INSERT INTO report_schedules (id, tenant_id, name, cron, time_zone) "  # noqa: S608 - numbers of ours
        f"SELECT gen_random_uuid(), id, 'report-' || number, '{minute:%M %H} * * *', 'UTC' "
        f"FROM tenants, generate_series(1, {REPORTS}) number WHERE name = 'Acme'"
    )
    queued = scene.rows(QUEUED)[0][0]

    at_kill = await _killed_in_the_midst(scene, stage.daemon, queued)
    await stage.until(lambda: scene.rows(QUEUED) == [(queued + REPORTS,)], "all reports to be queued", 120)
    posted = "SELECT count(*) FROM slack_posts WHERE slot LIKE 'report:%' AND posted_at IS NOT NULL"
    await stage.until(lambda: scene.rows(posted) == [(queued + REPORTS,)], "all reports to be posted", 120)

    texts = stage.slack.roots("reports")[before:]
    by_slot = scene.rows("SELECT slot, count(*) FROM slack_posts WHERE slot LIKE 'report:%' GROUP BY slot")
    print(  # noqa: T201 - what this shows
        f"reports: {REPORTS} due at {minute:%H:%M}, one of two daemons killed when {at_kill} were queued: "
        f"{len(texts)} posted, {sum(count - 1 for _, count in by_slot)} twice"
    )
    assert 0 < at_kill < REPORTS
    assert len(texts) == REPORTS
    assert max(Counter(message.ts for message in texts).values()) == 1
    assert scene.rows(BY_NAME) == [(queued + REPORTS,) * 3]
    assert all("it could not be made then" not in message.text for message in texts)
    assert await second.stop() == 0


async def _killed_in_the_midst(scene: Scene, leader: Process, before: int) -> int:
    """Kill the daemon that leads as soon as it has queued one; how many were queued then."""
    async with asyncio.timeout(150):
        while (queued := scene.rows(QUEUED)[0][0] - before) == 0:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.005)
    await leader.kill()
    return int(queued)
