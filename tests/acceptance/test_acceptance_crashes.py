"""Processes that are killed, told to stop, or started twice: what was accepted arrives once, and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from sandbox.processes import Process
from sandbox.slack import Wait
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team, another_daemon, set_in, until_logged

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS, EACH = 10, 10


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("crashes"), database_url=database_url) as stage:
        # A post is looked up when its lease is over: after three of these and the margin.
        set_in(stage, "delivery", slack_timeout_seconds=1, lease_margin_seconds=1)
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest.fixture
def customer(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456789", name="Carla")


async def restarted(scene: Scene, process: Process) -> None:
    await process.start()
    if process is scene.stage.daemon:
        await scene.stage.until_ready()
    else:
        await scene.stage.slack.connected(2, seconds=30)


async def test_a_command_that_was_acknowledged_is_answered_by_the_next_bot(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    held = stage.slack.fail("response_url", hang=True)
    typing = asyncio.create_task(
        stage.slack.command("ana", "support", "/wa session add late", Wait(20, until=lambda answer: bool(answer.text)))
    )
    await stage.until(lambda: held.hits, "the bot to answer")

    await stage.bot.kill()
    stage.slack.heal()
    await restarted(scene, stage.bot)

    answer = await typing
    assert "late" in answer.text
    assert len(answer.messages) == 1
    assert scene.rows("SELECT count(*) FROM waha_sessions WHERE name = 'late'") == [(1,)]
    await scene.until_rows("SELECT count(*) FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL", [(0,)])


@pytest.mark.parametrize("is_made", [True, False], ids=["that Slack made", "that Slack did not make"])
async def test_a_post_on_its_way_when_the_daemon_is_killed_appears_once(
    scene: Scene, acme: Team, customer: Phone, *, is_made: bool
) -> None:
    stage, text = scene.stage, f"Is anybody there? {is_made}"
    await scene.written(acme, customer, f"Hello {is_made}")
    held = stage.slack.fail("chat.postMessage", hang=True, after_storing=is_made, when=lambda call: text in str(call))
    await customer.write(text, to=acme.phone)
    await stage.until(lambda: held.hits, "the post on its way")

    await stage.daemon.kill()
    stage.slack.heal()
    await restarted(scene, stage.daemon)

    await customer.write(f"After it {is_made}", to=acme.phone)
    await stage.until(lambda: scene.in_channel("support", f"After it {is_made}"), "the next message", 40)
    assert len(scene.in_channel("support", text)) == 1


async def test_a_post_whose_answer_was_lost_appears_once(scene: Scene, acme: Team, customer: Phone) -> None:
    stage = scene.stage
    stage.slack.fail("chat.postMessage", drop_after_storing=True, when=lambda call: "Lost?" in str(call))

    await customer.write("Lost?", to=acme.phone)
    await customer.write("After the lost one", to=acme.phone)

    await stage.until(lambda: scene.in_channel("support", "After the lost one"), "the next message", 40)
    assert len(scene.in_channel("support", "Lost?")) == 1


async def test_a_send_in_flight_at_sigterm_is_finished_and_recorded(scene: Scene, acme: Team, customer: Phone) -> None:
    stage = scene.stage
    root = await scene.written(acme, customer, "When do you close?")
    hold = stage.waha.hold_answers("/api/sendText")
    scene.reply(acme, root, "At six.")
    await stage.until(lambda: hold.held, "the send in flight")

    stopping = asyncio.create_task(stage.daemon.stop())
    await stage.until(lambda: "stopping" in stage.daemon.last_words(), "the daemon to be told")
    hold.release()
    code = await stopping

    assert code == 0, stage.daemon.last_words()
    assert scene.rows("SELECT status IN ('sent', 'delivered') FROM messages WHERE body = 'At six.'") == [(True,)]
    await restarted(scene, stage.daemon)
    await scene.until_idle()
    await scene.arrives_once(acme, customer, "At six.")


async def test_both_processes_end_with_0_when_nothing_is_in_flight(scene: Scene, acme: Team) -> None:
    for process in (scene.stage.bot, scene.stage.daemon):
        code = await process.stop()

        assert code == 0, process.last_words()
        assert "Traceback" not in process.last_words(2_000)
        await restarted(scene, process)


async def test_a_report_that_is_due_is_posted_once_whoever_leads(
    scene: Scene, acme: Team, two_daemons: Process
) -> None:
    await scene.ask("ana", "channel link --for reports", channel="reports", expect="reports")
    cron = f"{datetime.now(UTC):%M %H} * * *"
    scene.rows(
        "INSERT INTO report_schedules (id, tenant_id, name, cron, time_zone, updated_at) "  # noqa: S608 - a schedule of ours
        f"SELECT gen_random_uuid(), id, 'daily', '{cron}', 'UTC', now() - interval '1 day' FROM tenants"
    )

    # Whoever begins to lead reads the schedules at once, and finds what came due while nobody led.
    for process in (scene.stage.daemon, two_daemons, scene.stage.daemon):
        assert await process.stop() == 0
        await restarted(scene, process)
        await until_logged(process, "daemon works")
    await scene.stage.until(lambda: scene.stage.slack.roots("reports"), "the report", 40)
    await scene.until_idle()

    assert len(scene.in_channel("reports", "Health report for Acme")) == 1
    assert scene.rows("SELECT count(*) FROM slack_posts WHERE slot LIKE 'report:%'") == [(1,)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def two_daemons(scene: Scene) -> AsyncIterator[Process]:
    second = another_daemon(scene.stage)
    await second.start()
    await until_logged(second, "daemon works")
    yield second
    assert await second.stop() == 0, second.last_words()


async def test_two_daemons_double_nothing_and_keep_the_order_of_each_conversation(
    scene: Scene, acme: Team, two_daemons: Process
) -> None:
    stage = scene.stage
    teams = [acme] + [await _with_own_channel(scene, number) for number in range(1, 5)]
    people = [stage.whatsapp.phone(f"+49160000000{number}", name=f"C{number}") for number in range(CUSTOMERS)]
    talks = [(person, teams[number % len(teams)]) for number, person in enumerate(people)]

    roots = await asyncio.gather(*(scene.written(team, person, f"{person.name} in 00") for person, team in talks))
    # What arrives at the same moment has no order: each turn is kept before the next one is written.
    for turn in range(1, EACH):
        for person, team in talks:
            await person.write(f"{person.name} in {turn:02}", to=team.phone)
        await scene.until_rows(_KEPT, [((turn + 1) * CUSTOMERS, 0)])
    for turn in range(EACH):
        for (person, team), root in zip(talks, roots, strict=True):
            scene.reply(team, root, f"{person.name} out {turn:02}")
        await scene.until_rows(_KEPT, [(EACH * CUSTOMERS, (turn + 1) * CUSTOMERS)])
    await scene.until_idle(90)

    for (person, team), root in zip(talks, roots, strict=True):
        posts = [shown.text for shown in stage.slack.thread(team.channel, root.ts)[1:] if shown.by_bot]
        assert [text.partition(": ")[2] for text in posts] == [f"{person.name} in {turn:02}" for turn in range(EACH)]
        received = [(one.text, one.copies) for one in person.chat_with(team.phone) if one.direction == "in"]
        assert received == [(f"{person.name} out {turn:02}", 1) for turn in range(EACH)]


# How much of what was written in the test of two daemons is in the inboxes: of customers, of agents.
_KEPT = r"""
    SELECT (SELECT count(*) FROM webhook_events WHERE event_name = 'message.any'
                AND encode(body, 'escape') ~ '"body": ?"C\d in \d\d"')::int,
           (SELECT count(*) FROM slack_events WHERE kind = 'event'
                AND encode(body, 'escape') ~ '"type": ?"message".*"text": ?"C\d out \d\d"')::int
"""


async def _with_own_channel(scene: Scene, number: int) -> Team:
    admin = f"admin{number}"
    scene.stage.slack.add_person(admin)
    scene.stage.slack.add_channel(f"team-{number}", members=("olga", admin))
    return await scene.found(f"Team{number}", admin, f"team-{number}", f"+493090182{number}")
