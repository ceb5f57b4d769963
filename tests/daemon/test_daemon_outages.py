"""When Slack or PostgreSQL cannot be reached, people hear of it by another way, once, and once that it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from daemon.outages import Outages
from daemon.second_channel import SecondChannel
from daemon.slack_health import SlackHealth
from database import close_database, open_database
from database.notifications import Wakeup
from models import now_utc
from sandbox.slack import SandboxSlack
from slack.errors import SlackNotSent
from slack.pacing import Pacing
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import DEADLINE_SECONDS, Rows, becomes
from tests.daemon.relays import a_relay_with, tell

START = now_utc() - timedelta(minutes=30)


@dataclass
class OtherChat:
    """Takes {"text": …} by POST; refuses as often as it is told to."""

    url: str = ""
    told: list[str] = field(default_factory=list)
    refuses: int = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        self.told.append((await request.json())["text"])
        return web.Response()


@pytest.fixture
async def chat() -> AsyncIterator[OtherChat]:
    chat = OtherChat()
    app = web.Application()
    app.router.add_post("/hooks/secret-path", chat.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    chat.url = f"http://{host}:{port}/hooks/secret-path"
    yield chat
    await runner.cleanup()


@dataclass
class Watched:
    """A daemon's watch whose clock is handed in."""

    outages: Outages
    health: SlackHealth
    at: list[float]
    asked: list[str] = field(default_factory=list)

    async def step(self, seconds: float) -> None:
        self.at[0] = seconds
        while await self.outages.step():
            pass


def a_watch(chat: OtherChat | None, *, answers: bool = False) -> Watched:
    """With `answers` Slack answers whoever asks it how it is, else nothing does."""
    health, asked, at = SlackHealth(), list[str](), [0.0]

    async def ask_slack() -> None:
        asked.append("auth.test")
        if not answers:
            raise SlackNotSent("auth.test", "The connection was refused.")

    watch = Outages(
        lambda: health,
        SecondChannel(SecretStr(chat.url if chat is not None else "")),
        Wakeup(),
        ask_slack=ask_slack,
        clock=lambda: START + timedelta(seconds=at[0]),
    )
    return Watched(watch, health, at, asked)


POSTED = """
    WITH lane AS (INSERT INTO post_lanes (id, name) VALUES (gen_random_uuid(), gen_random_uuid()::text) RETURNING id)
    INSERT INTO slack_posts (id, lane_id, seq, kind, slack_team_id, slack_channel_id, payload, created_at, posted_at)
    SELECT gen_random_uuid(), lane.id, 1, 'post', 'T1', 'C1', '{}', %s, %s FROM lane
"""


def after(seconds: float) -> object:
    return START + timedelta(seconds=seconds)


async def test_an_outage_of_slack_is_told_once_by_the_other_way_and_so_is_its_end(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    one, other = a_watch(chat), a_watch(chat)
    for watch in (one, other):
        watch.health.failed("The connection was refused.", START)

    await one.step(59)
    early = list(chat.told)
    for seconds in (60, 61, 300):
        await one.step(seconds)
        await other.step(seconds)
    for _ in range(3):
        await rows(POSTED, after(30), after(600))
    one.health.answered()
    await one.step(601)
    await other.step(602)

    assert early == []
    away, back = chat.told
    assert away.startswith("Switchboard cannot post to Slack since ")
    assert "The connection was refused." in away
    assert "(10 min). 3 posts waited and are posted now, in order." in back
    assert "Next: " in away
    assert "Next: " in back


async def test_as_long_as_another_daemon_posts_there_is_no_outage(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    watch = a_watch(chat)
    watch.health.failed("The connection was refused.", START)
    await rows(POSTED, after(50), after(50))
    watch.health.failed("The connection was refused.", START + timedelta(seconds=65))

    await watch.step(70)

    assert chat.told == []
    assert await rows("SELECT count(*) FROM outages") == [(0,)]
    assert watch.health.away(START + timedelta(seconds=70)).startswith("Slack cannot be reached since ")


async def test_one_call_that_failed_is_no_outage_once_another_daemon_made_its_post(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    watch = a_watch(chat)
    watch.health.failed("The connection was refused.", START)
    await rows(POSTED, START, after(10))

    for seconds in range(100, 120, 2):
        await watch.step(seconds)

    assert chat.told == []
    assert await rows("SELECT count(*) FROM outages") == [(0,)]
    assert watch.health.away(START + timedelta(seconds=120)) == ""
    assert watch.asked == []


async def test_one_call_that_failed_and_is_not_tried_again_is_no_outage_of_a_slack_that_answers(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    watch = a_watch(chat, answers=True)
    watch.health.failed("The connection was refused.", START)

    for seconds in range(0, 120, 2):
        await watch.step(seconds)

    assert chat.told == []
    assert await rows("SELECT count(*) FROM outages") == [(0,)]
    assert watch.asked == ["auth.test"]
    assert watch.health.failing_since is None


async def test_what_is_tried_again_is_no_question_to_slack(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    watch = a_watch(chat, answers=True)
    watch.health.failed("Slack failed.", START)
    await rows(POSTED, START, None)

    for seconds in range(0, 120, 2):
        await watch.step(seconds)

    assert len(chat.told) == 1
    assert watch.asked == []


async def test_a_post_that_another_daemon_takes_a_while_later_ends_an_outage_once(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows
) -> None:
    watch = a_watch(chat)
    watch.health.failed("The connection was refused.", START)
    await watch.step(60)
    await rows(POSTED, after(30), after(90))

    for seconds in range(92, 400, 2):
        await watch.step(seconds)

    away, back = chat.told
    assert away.startswith("Switchboard cannot post to Slack since ")
    assert "1 post waited and is posted now" in back


async def test_a_chat_that_refuses_is_told_later_and_its_address_stands_in_no_log(
    migrated_database: MigratedDatabase, chat: OtherChat, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = a_watch(chat)
    watch.health.failed("The connection was refused.", START)
    chat.refuses = 1

    await watch.step(60)
    await watch.step(61)
    at_first = list(chat.told)
    await rows("UPDATE outages SET next_try_at = now()")
    await watch.step(76)

    assert at_first == []
    assert len(chat.told) == 1
    assert "secret-path" not in capsys.readouterr().out


async def test_without_another_way_the_log_says_what_to_set(migrated_database: MigratedDatabase, rows: Rows) -> None:
    watch = a_watch(None)
    watch.health.failed("The connection was refused.", START)

    await watch.step(60)
    await watch.step(90)

    assert await rows("SELECT told_at IS NOT NULL FROM outages") == [(True,)]


async def test_a_postgresql_that_is_away_is_told_once_and_so_is_its_return(
    migrated_database: MigratedDatabase, chat: OtherChat
) -> None:
    watch = a_watch(chat)
    close_database()

    for seconds in (0, 59, 60, 120):
        await watch.step(seconds)
    await asyncio.to_thread(open_database, migrated_database.settings, migrated_database.role, "tests")
    for seconds in (240, 250):
        await watch.step(seconds)

    away, back = chat.told
    assert away.startswith("Switchboard's daemon cannot reach PostgreSQL since ")
    assert back == (
        "Switchboard's daemon reaches PostgreSQL again, after 4 min. What waited is taken up by itself. Next: nothing."
    )


async def test_a_relay_that_slack_does_not_answer_counts_it_as_away_until_it_does(
    migrated_database: MigratedDatabase, rows: Rows
) -> None:
    async with SandboxSlack(pace=0.005) as slack, a_relay_with(slack, Pacing(switched_on=False)) as outlets:
        slack.fail("chat.postMessage", status=500, times=None)
        await tell(slack, "Something is the matter.")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while outlets.health.failing_since is None:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.02)
        failing_since, reason = outlets.health.failing_since, outlets.health.reason
        slack.heal()
        await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])
        healed = outlets.health.failing_since

    assert failing_since is not None
    assert reason
    assert healed is None


async def test_a_relay_that_finds_its_post_in_slack_counts_it_as_reached(
    migrated_database: MigratedDatabase, rows: Rows
) -> None:
    async with SandboxSlack(pace=0.005) as slack, a_relay_with(slack, Pacing(switched_on=False)) as outlets:
        slack.fail("chat.postMessage", drop=True, after_storing=True)
        await tell(slack, "Something is the matter.")
        async with asyncio.timeout(DEADLINE_SECONDS):
            while outlets.health.failing_since is None:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.02)
        await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])

        assert outlets.health.failing_since is None
