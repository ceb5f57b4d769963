"""The sessions' reader before a simulated WAHA: whatever the engine, whatever goes wrong, what was missed is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from daemon.catchup import SessionReader
from daemon.servers import Server
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import SessionStatus, Tenant, WahaSession, uuid7
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import Rows, becomes
from waha.client import WahaClient

SHOP, CARLA, DORA = "+4930901820", "+4915123456789", "+4915123456780"
STORE = {"noweb": {"store": {"enabled": True, "fullSync": False}}}
STORED = "SELECT count(*) FROM webhook_events WHERE event_name = 'message.any'"
DIVIDERS = "SELECT count(*) FROM webhook_events WHERE convert_from(body, 'UTF8') LIKE '%%switchboard.divider%%'"


class Place:
    """A simulated WAHA with a session that was paired an hour ago, and a reader that is not started."""

    def __init__(self, waha: SandboxWaha, whatsapp: WhatsApp, reader: SessionReader) -> None:
        self.waha = waha
        self.whatsapp = whatsapp
        self.reader = reader

    async def written(self, number: str, *texts: str, minutes_ago: float = 10) -> None:
        phone = self.whatsapp.phone(number, name=number)
        for place, text in enumerate(texts):
            at = datetime.now(UTC) - timedelta(minutes=minutes_ago) + timedelta(seconds=place)
            await phone.write(text, to=SHOP, at=at)

    async def read(self) -> None:
        """One turn, until it is over."""
        await self.reader.step()
        await self.reader.crew.finish()


@asynccontextmanager
async def opened(engine: str, version: str = "2026.9.1", **figures: int) -> AsyncIterator[Place]:
    whatsapp = WhatsApp()
    async with AsyncExitStack() as stack:
        waha = await stack.enter_async_context(SandboxWaha(whatsapp, engine=engine, version=version, pace=0.01))  # type: ignore[arg-type]
        client = await stack.enter_async_context(WahaClient(waha.url, waha.api_key))
        await client.create_session("sales", STORE, start=True)
        await waha.pair("sales", whatsapp.phone(SHOP, name="Acme"))
        servers = {name: Server(name, client, "http://127.0.0.1:1/", "key") for name in ("main", "other")}
        every = timedelta(minutes=10)
        reader = SessionReader(servers, Wakeup(), asyncio.Event(), every=every, operators=("T1/U1",), **figures)
        yield Place(waha, whatsapp, reader)


@pytest.fixture
async def session(rows: Rows) -> UUID:
    """The session's row, an hour old, on a server that answers."""
    tenant_id, session_id, hour_ago = uuid7(), uuid7(), datetime.now(UTC) - timedelta(hours=1)

    def make() -> None:
        with tenant_transaction(tenant_id):
            Tenant.create(id=tenant_id, name="Acme")
            WahaSession.create(
                id=session_id,
                tenant_id=tenant_id,
                name="sales",
                external_session_id="sales",
                server="main",
                status=SessionStatus.WORKING,
                status_changed_at=hour_ago,
            )

    await in_database(make)
    await rows("INSERT INTO waha_servers (id, name, state, version) VALUES (%s, 'main', 'up', '2026.7.1')", uuid4())
    return session_id


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_every_engine_tells_what_was_missed(engine: str, session: UUID, rows: Rows) -> None:
    async with opened(engine) as place:
        await place.written(CARLA, "One", "Two", "Three")
        await place.written(DORA, "Four")
        await place.written("+4915123456781", "From before the session", minutes_ago=120)

        await place.read()

        assert await rows(STORED) == [(4,)]
        assert await rows(DIVIDERS) == [(2,)]
        assert await rows("SELECT caught_up_to IS NOT NULL FROM waha_sessions") == [(True,)]


@pytest.mark.timeline("complaint/22")
async def test_an_engine_without_a_common_history_is_asked_only_for_chats_that_changed(
    session: UUID, rows: Rows
) -> None:
    async with opened("WEBJS") as place:
        await place.written("+4915123456781", "Long ago", minutes_ago=120)
        await place.written(CARLA, "One")

        await place.read()

        asked = [entry.path for entry in place.waha.journal.requests if entry.path.endswith("/messages")]
        assert {path.split("/")[-2] for path in asked} == {"all", "4915123456789@c.us"}
        assert await rows(STORED) == [(1,)]


@pytest.mark.timeline("complaint/22")
async def test_pages_are_read_to_the_last_also_past_empty_ones(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        await place.written(CARLA, *(f"Message {number}" for number in range(250)), minutes_ago=30)
        phone = place.whatsapp.phone(CARLA)
        for shown in phone.chat_with(SHOP)[:120]:
            await phone.react(shown.id, "🙏")  # a row that takes a place in a page and is not shown

        await place.read()

        assert await rows(STORED) == [(250,)]


async def test_a_customer_who_appears_under_two_ids_is_missed_once(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        carla = place.whatsapp.phone(CARLA, name="Carla")
        await place.written(CARLA, "With my number")
        carla.appears_as = "lid"
        await place.written(CARLA, "With my hidden id", minutes_ago=5)

        await place.read()

        assert await rows(STORED) == [(2,)]
        assert await rows("SELECT count(DISTINCT lane) FROM webhook_events") == [(1,)]


async def test_a_history_that_fails_is_read_later_and_moves_nothing(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        await place.written(CARLA, "One")
        place.waha.answer("/api/*/chats/all/messages", status=500, body={"statusCode": 500}, times=1)

        await place.read()

        assert await rows("SELECT caught_up_to, attempts, lease_token FROM catch_ups") == [(None, 1, None)]
        assert await rows(STORED) == [(0,)]
        await rows("UPDATE catch_ups SET next_attempt_at = now()")
        await place.read()
        assert await rows(STORED) == [(1,)]
        assert await rows("SELECT caught_up_to IS NOT NULL, attempts, error FROM catch_ups") == [(True, 0, None)]


async def test_a_chat_that_cannot_be_read_keeps_no_other_from_people_and_the_operators_are_told(
    session: UUID, rows: Rows
) -> None:
    async with opened("WEBJS") as place:
        await place.written(DORA, "Readable before", minutes_ago=12)
        await place.written("+4915123456781", "Not readable", minutes_ago=11)
        await place.written(CARLA, "Readable after", minutes_ago=10)
        place.waha.answer("/api/*/chats/4915123456781@c.us/messages", status=500, body={"statusCode": 500})

        for _ in range(6):
            await place.read()
            await rows("UPDATE catch_ups SET next_attempt_at = now()")

        assert await rows(STORED) == [(2,)]
        assert await rows("SELECT caught_up_to, attempts, error IS NULL FROM catch_ups") == [(None, 6, False)]
        assert await rows("SELECT count(*) FROM slack_posts WHERE payload->>'text' LIKE '%%may have missed%%'") == [
            (1,)
        ]


async def test_what_was_read_before_a_page_that_cannot_be_read_is_stored(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        await place.written(CARLA, *(f"Message {number}" for number in range(150)), minutes_ago=30)
        history = "/api/*/chats/all/messages"
        with place.waha.hold_answers(history) as held:
            await place.reader.step()
            async with asyncio.timeout(10):
                while not held.held:  # noqa: ASYNC110 - the simulator counts
                    await asyncio.sleep(0.01)
            place.waha.answer(history, status=500, body={"statusCode": 500}, times=1)
        await place.reader.crew.finish()

        assert await rows(STORED) == [(100,)]
        assert await rows("SELECT caught_up_to, attempts FROM catch_ups") == [(None, 1)]


COUNTS_RENEWALS = """
    CREATE SEQUENCE renewals;
    GRANT USAGE ON SEQUENCE renewals TO PUBLIC;
    CREATE FUNCTION count_renewal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('renewals');
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER renewed BEFORE UPDATE ON catch_ups FOR EACH ROW
        WHEN (NEW.lease_token = OLD.lease_token AND NEW.lease_expires_at > OLD.lease_expires_at)
        EXECUTE FUNCTION count_renewal();
    SELECT 1
"""


async def test_the_lease_is_kept_while_many_quiet_chats_are_asked(session: UUID, rows: Rows) -> None:
    await rows(COUNTS_RENEWALS)
    async with opened("WEBJS") as place:
        for number in range(5):
            await place.written(f"+491512345670{number}", "Old", minutes_ago=120)
        place.waha.answer("/api/*/chats", status=200, body=[{"id": f"491512345670{n}@c.us"} for n in range(5)], times=1)

        await place.read()

        asked = [entry for entry in place.waha.journal.requests if "/chats" in entry.path]
        [(renewals,)] = await rows("SELECT last_value FROM renewals")
        assert len(asked) >= 10
        assert renewals >= len(asked)


async def test_a_session_that_does_not_work_is_left_alone(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        await place.written(CARLA, "One")
        place.waha.fail("sales")

        await place.read()

        assert await rows("SELECT caught_up_to, error FROM catch_ups") == [(None, "The session is FAILED.")]


async def test_a_daemon_that_stops_gives_its_session_back_at_once(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        await place.written(CARLA, "One")
        with place.waha.hold_answers("/api/*/chats/all/messages") as held:
            await place.reader.step()
            async with asyncio.timeout(10):
                while not held.held:  # noqa: ASYNC110 - the simulator counts
                    await asyncio.sleep(0.01)
            place.reader._stopping.set()
        await place.reader.crew.finish()

        assert await rows("SELECT lease_token, caught_up_to, next_attempt_at <= clock_timestamp() FROM catch_ups") == [
            (None, None, True)
        ]


async def test_receipts_of_what_was_sent_are_asked_for(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        place.whatsapp.phone(CARLA, name="Carla")
        [(tenant_id,)] = await rows("SELECT id FROM tenants")
        client = place.reader._servers["main"].client
        sent = await client.send_text("sales", "4915123456789@c.us", "Hello", message_id="3EB0AAAAAAAAAAAAAAAAAA")
        await rows(
            "INSERT INTO messages (id, tenant_id, session_id, direction, status, waha_message_id, sent_at) "
            "VALUES (%s, %s, %s, 'outbound', 'sent', %s, now())",
            *(uuid7(), tenant_id, session, sent.waha_message_id),
        )

        await place.read()

        await becomes(rows, "SELECT count(*) FROM webhook_events WHERE event_name = 'message.ack'", [(1,)])


async def test_a_receipt_that_cannot_be_found_out_keeps_no_session_from_being_caught_up_with(
    session: UUID, rows: Rows
) -> None:
    async with opened("GOWS") as place:
        [(tenant_id,)] = await rows("SELECT id FROM tenants")
        await rows(
            "INSERT INTO messages (id, tenant_id, session_id, direction, status, waha_message_id, sent_at) "
            "VALUES (%s, %s, %s, 'outbound', 'sent', '3EB0AAAAAAAAAAAAAAAAAA', now())",
            *(uuid7(), tenant_id, session),
        )
        place.waha.answer("/api/*/chats/all/messages/*", status=500, body={"statusCode": 500})

        await place.read()

        assert await rows("SELECT caught_up_to IS NOT NULL, error FROM catch_ups") == [(True, None)]


async def test_no_more_is_held_in_memory_than_a_few_bytes_of_budget_allow(session: UUID, rows: Rows) -> None:
    async with opened("GOWS", most_bytes=1) as place:
        await place.written(CARLA, *(f"Message {number}" for number in range(150)), minutes_ago=30)

        await place.read()
        stored = await rows(STORED)
        await rows("UPDATE catch_ups SET next_attempt_at = now()")
        await place.read()

        assert (stored, await rows(STORED)) == ([(100,)], [(150,)])


@pytest.mark.timeline("complaint/22")
async def test_a_server_that_hangs_keeps_no_other_waiting(session: UUID, rows: Rows) -> None:
    async with opened("GOWS") as place:
        [(tenant_id,)] = await rows("SELECT id FROM tenants")
        await rows("INSERT INTO waha_servers (id, name, state) VALUES (%s, 'other', 'up')", uuid4())
        for number in range(6):
            await rows(
                "INSERT INTO waha_sessions (id, tenant_id, external_session_id, name, server, status) "
                "VALUES (%s, %s, %s, %s, 'main', 'working')",
                *(uuid7(), tenant_id, f"hangs-{number}", f"hangs-{number}"),
            )
        await rows("UPDATE waha_sessions SET server = 'other' WHERE external_session_id = 'sales'")
        await place.written(CARLA, "One")

        with place.waha.hold_answers("/api/sessions/hangs-*"):
            await place.reader.step()

            await becomes(rows, STORED, [(1,)])
            assert place.reader.crew.size - place.reader.crew.free >= 2
        await place.reader.crew.finish()
