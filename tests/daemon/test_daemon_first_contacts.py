"""First messages and manners against the simulated WAHA: numbers that are nobody's or written in two ways, typing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.loops import repeat
from daemon.manners import Manners
from daemon.numbers import LimitsHeard, NumberWatch
from daemon.sender import Sender
from daemon.servers import Server
from database import connection, in_database
from database.notifications import Wakeup
from models import Conversation, WahaSession
from operations import sending as leasing
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import Phone, WhatsApp
from settings import DeliverySettings, NumberSettings
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import Rows, becomes
from tests.operations.builders import World
from waha.client import Timeouts, WahaClient

SHOP, CARLA, BRAZIL = "+4930901820", "+4915123456789", "+551187654321"
WITH_NINE = "5511987654321"
CHECK = "/api/contacts/check-exists"
AT_ONCE = NumberSettings(human_like=False)
LIKE_A_PERSON = NumberSettings()
OUTCOME = "SELECT status, error_message FROM messages ORDER BY created_at, id"

Sending = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
async def waha() -> AsyncIterator[SandboxWaha]:
    async with SandboxWaha(WhatsApp(), pace=0.01, version="2026.8.1") as running:
        running.sessions.create("s1", {}).start()
        await running.pair("s1", running.whatsapp.phone(SHOP, name="Acme"))
        yield running


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    return World(migrated_database)


@pytest.fixture
async def session(world: World, rows: Rows) -> WahaSession:
    def arrange() -> WahaSession:
        with connection():
            made = world.session(world.tenant())
            world.sql("UPDATE waha_sessions SET external_session_id = 's1'")
            return made

    return await in_database(arrange)


@pytest.fixture
def sending(waha: SandboxWaha, rows: Rows) -> Sending:
    """A sender at work, for as long as it is needed."""

    @asynccontextmanager
    async def run(
        numbers: NumberSettings = AT_ONCE, manners: Manners | None = None, margin_seconds: float = 30
    ) -> AsyncIterator[None]:
        delivery = DeliverySettings(send_timeout_seconds=5, lease_margin_seconds=margin_seconds)
        stopping, wakeup = asyncio.Event(), Wakeup()
        async with WahaClient(waha.url, waha.api_key, timeouts=Timeouts(send=5)) as client:
            servers = {"main": Server("main", client, "http://127.0.0.1:1", "key")}
            sender = Sender(servers, delivery, wakeup, numbers, manners)
            step = repeat("sender", sender.step, wakeup=wakeup, stopping=stopping, every_seconds=0.02)
            working = asyncio.create_task(step)
            try:
                yield
            finally:
                stopping.set()
                await working
                await sender.crew.finish()

    return run


async def queue(world: World, session: WahaSession, chat_id: str, body: str, *, heard: bool = False) -> Conversation:
    def write() -> Conversation:
        with connection():
            conversation = world.conversation(session, chat_id)
            if heard:
                world.sql("UPDATE conversations SET last_inbound_at = now() WHERE id = %s", conversation.id)
            world.message(conversation, body)
            return conversation

    return await in_database(write)


def received(phone: Phone) -> list[str]:
    return [one.text for one in phone.chat_with(SHOP) if one.direction == "in"]


def calls(waha: SandboxWaha, *paths: str) -> list[str]:
    return [entry.path.rpartition("/")[2] for entry in waha.journal.requests if entry.path.rpartition("/")[2] in paths]


@pytest.mark.timeline("complaint/16")
async def test_a_number_that_is_written_in_two_ways_is_reached_by_the_one_that_whatsapp_knows(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    berta = waha.whatsapp.phone(BRAZIL, name="Berta")
    waha.answer(CHECK, status=200, body={"numberExists": True, "chatId": f"{BRAZIL[1:]}@c.us"})
    await queue(world, session, f"{WITH_NINE}@c.us", "Bom dia")

    async with sending():
        await becomes(rows, "SELECT status FROM messages", [("sent",)])

    assert received(berta) == ["Bom dia"]
    known = await rows("SELECT chat_id, known_as FROM conversation_chats ORDER BY created_at")
    assert known == [(f"{WITH_NINE}@c.us", f"{BRAZIL[1:]}@c.us"), (f"{BRAZIL[1:]}@c.us", f"{BRAZIL[1:]}@c.us")]
    assert await rows("SELECT chat_id FROM messages") == [(f"{BRAZIL[1:]}@c.us",)]


@pytest.mark.timeline("complaint/16")
async def test_a_number_that_is_nobodys_fails_at_once_and_says_so(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    await queue(world, session, f"{WITH_NINE}@c.us", "Bom dia")

    async with sending():
        await becomes(rows, "SELECT status FROM messages", [("failed",)])

    [(_, reason)] = await rows(OUTCOME)
    assert "not on WhatsApp" in reason
    assert calls(waha, "sendText") == []
    [(text,)] = await rows("SELECT payload->>'text' FROM slack_posts WHERE kind = 'post'")
    assert "not on WhatsApp" in text
    assert await rows("SELECT begun_at FROM conversations") == [(None,)]


async def test_what_was_answered_is_not_asked_again(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    waha.whatsapp.phone(CARLA, name="Carla")
    conversation = await queue(world, session, f"{CARLA[1:]}@c.us", "One")

    async with sending():
        await becomes(rows, "SELECT status FROM messages", [("sent",)])
        await in_database(in_connection, lambda: world.message(conversation, "Two"))
        await becomes(rows, "SELECT status FROM messages", [("sent",)] * 2)

    assert calls(waha, "check-exists") == ["check-exists"]


def in_connection(work: Callable[[], object]) -> None:
    with connection():
        work()


async def test_a_customer_who_has_a_conversation_under_the_other_number_is_written_to_in_that(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    berta = waha.whatsapp.phone(BRAZIL, name="Berta")
    waha.answer(CHECK, status=200, body={"numberExists": True, "chatId": f"{BRAZIL[1:]}@c.us"})
    older = await queue(world, session, f"{BRAZIL[1:]}@c.us", "Earlier", heard=True)
    await queue(world, session, f"{WITH_NINE}@c.us", "Later")

    async with sending():
        await becomes(rows, "SELECT status FROM messages", [("sent",)] * 2)

    assert sorted(received(berta)) == ["Earlier", "Later"]
    assert await rows("SELECT DISTINCT conversation_id FROM messages") == [(older.id,)]
    assert await rows("SELECT DISTINCT conversation_id FROM conversation_chats") == [(older.id,)]


@pytest.mark.timeline("complaint/20")
async def test_the_sender_keeps_what_is_too_many_for_a_day_and_answers_who_wrote(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    carla = waha.whatsapp.phone(CARLA, name="Carla")
    waha.whatsapp.phone(BRAZIL, name="Berta")
    await queue(world, session, f"{BRAZIL[1:]}@c.us", "Unasked")
    await queue(world, session, f"{CARLA[1:]}@c.us", "Asked", heard=True)

    async with sending(NumberSettings(human_like=False, new_contacts_per_day=0)):
        found = "SELECT status, hold_reason FROM messages ORDER BY body DESC"
        await becomes(rows, found, [("queued", "new contacts of the day"), ("sent", None)])

    assert received(carla) == ["Asked"]
    assert calls(waha, "sendText", "check-exists") == ["sendText"]


@pytest.mark.parametrize("status", [501, 500, 404])
async def test_where_waha_cannot_tell_the_message_goes_as_it_was_written(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows, status: int
) -> None:
    carla = waha.whatsapp.phone(CARLA, name="Carla")
    waha.answer(CHECK, status=status, body={"message": "not implemented", "statusCode": status})
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello")

    async with sending():
        await becomes(rows, "SELECT status FROM messages", [("sent",)])

    assert received(carla) == ["Hello"]


@pytest.mark.timeline("complaint/20")
async def test_a_reply_is_read_typed_and_then_sent_as_long_as_a_person_would_take(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    carla = waha.whatsapp.phone(CARLA, name="Carla")
    await carla.write("Are you open?", SHOP)
    await queue(world, session, f"{CARLA[1:]}@c.us", "We are open until 18:00 today. " * 3, heard=True)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with sending(LIKE_A_PERSON, Manners(random.Random(3), sleep)):  # noqa: S311 - no secret
        await becomes(rows, "SELECT status FROM messages", [("sent",)])

    order = calls(waha, "sendSeen", "startTyping", "stopTyping", "sendText", "check-exists")
    assert order == ["sendSeen", "startTyping", "stopTyping", "sendText"]
    turn, typed = slept
    assert turn < 0.1
    assert 2.2 <= typed <= 3.4


async def test_one_that_is_being_typed_holds_up_no_other(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    for number, name in ((CARLA, "Carla"), (BRAZIL, "Berta")):
        waha.whatsapp.phone(number, name=name)
    typing, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds >= 4:
            typing.set()
            await go_on.wait()

    short_alone = [("queued", False), ("sent", True)]
    await queue(world, session, f"{CARLA[1:]}@c.us", "long " * 100, heard=True)
    async with sending(LIKE_A_PERSON, Manners(random.Random(3), sleep)):  # noqa: S311 - no secret
        await typing.wait()
        await queue(world, session, f"{BRAZIL[1:]}@c.us", "short", heard=True)
        await becomes(rows, "SELECT status, body = 'short' FROM messages ORDER BY 2", short_alone)
        go_on.set()
        await becomes(rows, "SELECT status FROM messages", [("sent",)] * 2)


@pytest.mark.parametrize("path", ["/api/startTyping", "/api/stopTyping", "/api/sendSeen"])
async def test_manners_that_fail_keep_no_message(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows, path: str
) -> None:
    carla = waha.whatsapp.phone(CARLA, name="Carla")
    waha.answer(path, status=500, body={"statusCode": 500})
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello", heard=True)

    async with sending(LIKE_A_PERSON, Manners(random.Random(3), no_sleep)):  # noqa: S311 - no secret
        await becomes(rows, "SELECT status FROM messages", [("sent",)])

    assert received(carla) == ["Hello"]


async def no_sleep(_: float) -> None:
    """Time does not matter here."""


async def test_manners_that_take_longer_than_their_time_are_left_out(
    waha: SandboxWaha, world: World, session: WahaSession
) -> None:
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello", heard=True)
    [leased] = await in_database(leasing.lease, 1, timedelta(minutes=1))

    async def sleep(_: float) -> None:
        await asyncio.Event().wait()

    async with WahaClient(waha.url, waha.api_key) as client:
        until = asyncio.get_running_loop().time() + 0.05
        await Manners(random.Random(3), sleep).show(client, leased, leased.chat_id, until=until)  # noqa: S311 - no secret

    assert calls(waha, "startTyping", "sendSeen") == []


async def test_however_many_leave_before_their_turn_none_waits_for_more_than_its_time(
    waha: SandboxWaha, world: World, session: WahaSession
) -> None:
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello", heard=True)
    [leased] = await in_database(leasing.lease, 1, timedelta(minutes=1))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    manners = Manners(random.Random(3), sleep)  # noqa: S311 - no secret
    async with WahaClient(waha.url, waha.api_key) as client:
        for _ in range(30):
            until = asyncio.get_running_loop().time() + 12
            await manners.show(client, replace(leased, slow_factor=4.0), leased.chat_id, until=until)

    turns = slept[::2]
    assert len(turns) == 30
    assert max(turns) <= 12


async def test_what_came_before_a_call_takes_nothing_of_the_time_that_the_call_may_be_late(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello", heard=True)
    # The call takes 5 s at most, and a process that stands still afterwards may begin it 15 s later.
    left = "UPDATE messages SET lease_expires_at = now() + interval '19 seconds' WHERE lease_token IS NOT NULL"
    shortened = asyncio.Event()

    async def sleep(_: float) -> None:
        await rows(left)
        shortened.set()

    async with sending(LIKE_A_PERSON, Manners(random.Random(3), sleep)):  # noqa: S311 - no secret
        await shortened.wait()

    assert calls(waha, "sendText") == []
    assert await rows("SELECT status, send_started_at FROM messages") == [("queued", None)]


async def test_a_call_that_would_begin_too_late_is_left_to_the_look_up(
    waha: SandboxWaha, world: World, session: WahaSession, sending: Sending, rows: Rows
) -> None:
    await queue(world, session, f"{CARLA[1:]}@c.us", "Hello", heard=True)
    await rows(
        "CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.6); RETURN NEW; END $$; "
        "CREATE TRIGGER stand_still BEFORE UPDATE ON messages FOR EACH ROW "
        "WHEN (OLD.send_started_at IS NULL AND NEW.send_started_at IS NOT NULL) EXECUTE FUNCTION stand_still()"
    )

    try:
        async with sending(margin_seconds=1):
            await becomes(rows, "SELECT send_started_at IS NOT NULL FROM messages", [(True,)])
    finally:
        await rows("DROP FUNCTION stand_still CASCADE")

    assert calls(waha, "sendText") == []


@pytest.mark.timeline("complaint/13")
async def test_a_quota_that_waha_tells_in_its_list_stops_new_contacts_and_is_written_once(
    waha: SandboxWaha, world: World, session: WahaSession, rows: Rows
) -> None:
    account = waha.whatsapp.phone(SHOP)
    account.cap(used=1000, total=1000)
    heard = LimitsHeard("main")
    async with WahaClient(waha.url, waha.api_key) as client:
        await heard.hear(await client.list_sessions())
        [told] = await rows("SELECT id, capping->>'cappingStatus', measured_at FROM number_healths")
        await NumberWatch(AT_ONCE).step()
        await heard.hear(await client.list_sessions())

    assert told[1:] == ("CAPPED", None)
    assert await rows("SELECT restricted_until > now() + interval '29 days' FROM waha_sessions") == [(True,)]
    assert await rows("SELECT level, measured_at IS NOT NULL FROM number_healths") == [("stopped", True)]
    [(cause,)] = await rows("SELECT cause FROM incidents WHERE kind = 'number' AND ended_at IS NULL")
    assert "used up: 1000 of 1000" in cause
