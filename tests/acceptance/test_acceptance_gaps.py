"""Nobody took what WhatsApp brought, nobody heard what the team wrote: afterwards both are there, once, and said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from sandbox.slack import Message
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Query, Scene, Team, set_in, until_logged

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("gaps"), database_url=database_url) as stage:
        set_in(stage, "daemon", catch_up_minutes=600)  # a gap is what a test makes, and nothing else
        await stage.start()
        yield Scene(stage, rows)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    team = await scene.found("Acme", "ana", "support", "+4930901820")
    await until_caught_up(scene)
    return team


def minutes_ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def until_caught_up(scene: Scene) -> None:
    """Nothing points to a gap any more."""
    done = (
        "SELECT count(DISTINCT side), coalesce(bool_and(caught_up_to >= coalesce(requested_at, caught_up_to)), false)"
    )
    await scene.until_rows(f"{done} FROM catch_ups", [(2, True)], 60)


def pretend_age(scene: Scene, minutes: float) -> None:
    """As if all had stood for an hour already, and the last catch-up were so long ago."""
    hour = "interval '1 hour'"
    scene.rows(f"UPDATE session_checks SET observed_at = observed_at - {hour} RETURNING 1")  # noqa: S608 - ours
    scene.rows(f"UPDATE channel_routes SET created_at = created_at - {hour} RETURNING 1")  # noqa: S608 - ours
    scene.rows(
        f"UPDATE catch_ups SET begins_at = begins_at - {hour}, requested_at = NULL, "  # noqa: S608 - ours
        f"caught_up_to = now() - interval '{minutes} minutes' RETURNING 1"
    )


def texts(scene: Scene, team: Team, root: Message) -> list[str]:
    return [reply.text for reply in scene.stage.slack.thread(team.channel, root.ts)[1:]]


async def test_messages_whose_webhooks_were_lost_are_recovered_under_one_divider(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    customer = stage.whatsapp.phone("+4915123456789", name="Carla")
    root = await scene.written(acme, customer, "before the gap")
    stage.waha.webhook_faults.lose("message*")
    for number, minutes in enumerate((18, 12, 6)):
        await customer.write(f"missed {number}", to=acme.phone, at=minutes_ago(minutes))
    stage.waha.webhook_faults.heal()
    await customer.write("already back", to=acme.phone)
    await stage.until(lambda: any("already back" in text for text in texts(scene, acme, root)), "the live message")

    await stage.waha.go_down()
    await scene.until_rows("SELECT state FROM waha_servers", [("down",)])
    pretend_age(scene, 20)
    await stage.waha.come_back()

    await stage.until(lambda: any("missed 2" in text for text in texts(scene, acme, root)), "what was missed", 60)
    await until_caught_up(scene)
    await scene.until_idle()
    [first, live, *found] = texts(scene, acme, root)
    divider, *recovered = "\n".join(found).splitlines()
    assert ("before the gap" in first, "already back" in live) == (True, True)
    assert divider.startswith("— 3 messages recovered, written <!date^")
    assert divider.endswith("while WhatsApp was not reachable. —")
    assert [text.rpartition(": ")[2] for text in recovered] == ["missed 0", "missed 1", "missed 2"]


async def test_a_daemon_that_is_killed_while_it_reads_leaves_no_gap_and_no_double(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    customers = [stage.whatsapp.phone(f"+49151234567{number}", name=f"Customer {number}") for number in range(10, 13)]
    roots = [await scene.written(acme, customer, f"hello from {customer.number}") for customer in customers]
    await stage.daemon.kill()
    stage.waha.webhook_faults.lose("message*")
    for customer in customers:
        for number in range(3):
            await customer.write(f"while away {number}", to=acme.phone, at=minutes_ago(15 - number))
    stage.waha.webhook_faults.heal()
    pretend_age(scene, 20)
    held = stage.waha.hold_answers("/api/*/chats/all/messages")

    await stage.daemon.start()
    await stage.until(lambda: held.held, "the reading to begin", 60)
    await stage.daemon.kill()
    held.release()
    scene.rows("UPDATE catch_ups SET lease_expires_at = now() WHERE lease_token IS NOT NULL RETURNING 1")
    await stage.daemon.start()

    await stage.until(
        lambda: all(any("while away 2" in text for text in texts(scene, acme, root)) for root in roots), "them all", 60
    )
    await until_caught_up(scene)
    await scene.until_idle()
    for root in roots:
        [_, *found] = texts(scene, acme, root)
        divider, *recovered = "\n".join(found).splitlines()
        assert "3 messages recovered" in divider
        assert divider.endswith("while Switchboard was not running. —")
        assert [text.rpartition(": ")[2] for text in recovered] == [f"while away {number}" for number in range(3)]


async def test_replies_that_nobody_heard_are_recovered_and_stale_ones_ask_first(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    customer = stage.whatsapp.phone("+4915123456799", name="Dora")
    root = await scene.written(acme, customer, "is anybody there?")
    await until_caught_up(scene)
    await stage.bot.kill()
    say = stage.slack.say
    stale = say(acme.admin, acme.channel, "written long ago", root.ts, seconds_ago=45 * 60, heard=False)
    say(acme.admin, acme.channel, "// among ourselves", root.ts, seconds_ago=10 * 60, heard=False)
    say(acme.admin, acme.channel, "written just now", root.ts, seconds_ago=60, heard=False)
    pretend_age(scene, 50)

    await stage.bot.start()

    await scene.arrives_once(acme, customer, "written just now", 60)
    await until_caught_up(scene)
    await stage.until(lambda: any("recovered" in text for text in texts(scene, acme, root)), "what is said of it")
    assert scene.on_phone(acme, customer, "written long ago") == []
    assert [shown.text for shown in customer.chat_with(acme.phone) if "ourselves" in shown.text] == []
    [said] = [text for text in texts(scene, acme, root) if "recovered" in text]
    assert said.startswith("— 2 replies recovered, written <!date^")
    assert "What is older than 30 minutes asks before it is sent." in said
    parked = f"SELECT hold_reason IS NOT NULL FROM messages WHERE slack_ts = '{stale.ts}'"  # noqa: S608 - a ts
    await scene.until_rows(parked, [(True,)])


async def test_a_reply_that_was_heard_is_not_recovered_again(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    customer: Phone = stage.whatsapp.phone("+4915123456777", name="Emil")
    root = await scene.written(acme, customer, "hello?")
    scene.reply(acme, root, "hello!")
    await scene.arrives_once(acme, customer, "hello!")

    scene.rows("UPDATE catch_ups SET requested_at = now(), requested_for = 'switchboard' RETURNING 1")
    await until_caught_up(scene)
    await scene.until_idle()

    assert [text for text in texts(scene, acme, root) if "recovered" in text] == []
    assert len(scene.on_phone(acme, customer, "hello!")) == 1


async def test_a_socket_that_is_up_and_silent_is_noticed(scene: Scene, acme: Team) -> None:
    stage = scene.stage
    customer = stage.whatsapp.phone("+4915123456778", name="Frieda")
    root = await scene.written(acme, customer, "anybody?")
    await until_caught_up(scene)
    stage.slack.say(acme.admin, acme.channel, "never told of", root.ts, seconds_ago=5 * 60, heard=False)

    pretend_age(scene, 601)

    await scene.arrives_once(acme, customer, "never told of", 60)
    await until_logged(stage.daemon, "no event told of it: is the bot connected?")
