"""A session that says WORKING and tells nothing, before a simulated WAHA; the time is handed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from daemon.catchup import SessionReader
from daemon.servers import Server
from daemon.silence import SilenceWatch
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import SessionStatus, Tenant, WahaSession, uuid7
from operations import silence, webhook_inbox
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import Rows
from tests.operations.builders import HOUSE
from waha.client import WahaClient

SHOP, CARLA = "+4930901820", "+4915123456789"
STORE = {"noweb": {"store": {"enabled": True, "fullSync": False}}}
OPEN = "SELECT kind FROM incidents WHERE ended_at IS NULL"
RESTARTS = "SELECT count(*) FROM waha_actions WHERE kind = 'restart'"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


class Place:
    """A simulated WAHA whose webhooks go nowhere, with a session that works, and whoever looks after it."""

    def __init__(self, waha: SandboxWaha, whatsapp: WhatsApp, server: Server, rows: Rows) -> None:
        self.waha = waha
        self.whatsapp = whatsapp
        self.rows = rows
        self.server = server
        self.watch = SilenceWatch({"main": server}, Wakeup())
        self._reader = SessionReader({"main": server}, Wakeup(), asyncio.Event(), every=timedelta(days=1))

    async def write(self, text: str, at: datetime) -> None:
        await self.whatsapp.phone(CARLA, name="Carla").write(text, to=SHOP, at=at)

    async def step(self, at: datetime) -> None:
        """One turn of everybody, until it is over."""
        await self.watch.step(now=at)
        await self.watch.crew.finish()
        await self.read(at)

    async def read(self, at: datetime) -> None:
        """Catch up where that was asked for, as at that time: leases of catch-ups go by PostgreSQL's clock."""
        await self._reader.step()
        await self._reader.crew.finish()
        await in_database(handle_webhooks)
        then = at - 10 * SECOND
        await self.rows("UPDATE waha_sessions SET caught_up_to = %s WHERE caught_up_to > %s", then, then)
        await self.rows(
            "UPDATE catch_ups SET caught_up_to = %s, requested_at = NULL, next_attempt_at = now() + interval '1 h' "
            "WHERE caught_up_to > %s",
            then,
            then,
        )

    async def until(self, condition: str, since: datetime, every: timedelta, most: timedelta) -> datetime:
        """When a query first finds a row, looking as often."""
        at = since
        while at <= since + most:
            await self.step(at)
            if await self.rows(condition):
                return at
            at += every
        raise AssertionError(f"not within {most}: {condition}")

    async def quiet(self, since: datetime, minutes: int) -> None:
        for minute in range(minutes):
            await self.step(since + minute * MINUTE)

    def overviews(self) -> int:
        return len([one for one in self.waha.journal.requests if one.path.endswith("/chats/overview")])


def handle_webhooks() -> None:
    while lanes := webhook_inbox.due_lanes(50):
        for lane in lanes:
            webhook_inbox.process_head(lane, house=HOUSE)


@asynccontextmanager
async def opened(rows: Rows, engine: str = "GOWS") -> AsyncIterator[Place]:
    whatsapp = WhatsApp()
    async with AsyncExitStack() as stack:
        waha = await stack.enter_async_context(SandboxWaha(whatsapp, engine=engine, pace=0.01))  # type: ignore[arg-type]
        client = await stack.enter_async_context(WahaClient(waha.url, waha.api_key))
        await client.create_session("sales", STORE, start=True)
        await waha.pair("sales", whatsapp.phone(SHOP, name="Acme"))
        yield Place(waha, whatsapp, Server("main", client, "http://127.0.0.1:1/", "key"), rows)


def make_session(tenant_id: UUID, session_id: UUID, name: str = "sales", **more: Any) -> None:
    with tenant_transaction(tenant_id):
        if Tenant.get_or_none(Tenant.id == tenant_id) is None:
            Tenant.create(id=tenant_id, name="Acme")
        fields = {"status": SessionStatus.WORKING, "status_changed_at": now() - timedelta(hours=8)} | more
        WahaSession.create(
            id=session_id,
            tenant_id=tenant_id,
            name=name,
            external_session_id=name,
            server="main",
            metadata={"me_id": f"{SHOP[1:]}@c.us"},
            **fields,
        )


@pytest.fixture
async def place(rows: Rows) -> AsyncIterator[Place]:
    await in_database(make_session, uuid7(), uuid7())
    await rows(
        "INSERT INTO waha_servers (id, name, state, state_changed_at) VALUES (%s, 'main', 'up', %s)",
        *(uuid4(), now() - timedelta(hours=8)),
    )
    async with opened(rows) as opened_place:
        await opened_place.read(now() - timedelta(hours=7))
        yield opened_place


@pytest.mark.timeline("complaint/7")
@pytest.mark.parametrize("seconds_after_a_check", [1, 60, 211, 238])
async def test_a_silent_session_is_named_within_five_minutes_and_loses_nothing(
    place: Place, rows: Rows, seconds_after_a_check: int
) -> None:
    written = now() - timedelta(minutes=7)
    await place.step(written - seconds_after_a_check * SECOND)
    assert place.overviews() == 1
    await place.write("Is anybody there?", written)

    named = await place.until(OPEN, written, 2 * SECOND, timedelta(minutes=6))

    assert named - written <= timedelta(minutes=5)
    [(kind, recovered, cause, blind_from, blind_to)] = await rows(
        "SELECT kind, recovered, cause, blind_from, blind_to FROM incidents"
    )
    assert (kind, recovered) == ("silent", 1)
    assert cause.startswith("WAHA says that the session works, and has not told of messages that it knows.")
    assert blind_from <= written <= blind_to
    assert await rows("SELECT body FROM messages") == [("Is anybody there?",)]


async def test_it_is_restarted_once_and_the_incident_ends_when_it_is_heard(place: Place, rows: Rows) -> None:
    written = now() - timedelta(minutes=20)
    await place.write("Is anybody there?", written)
    named = await place.until(OPEN, written, 10 * SECOND, timedelta(minutes=6))

    restarted = await place.until("SELECT 1 FROM waha_actions", named, 10 * SECOND, timedelta(minutes=3))
    await place.quiet(restarted, 2)
    await rows("UPDATE session_watches SET heard_at = %s", restarted + MINUTE)
    await place.quiet(restarted + 2 * MINUTE, 2)

    assert restarted - named <= timedelta(minutes=2)
    assert await rows(RESTARTS) == [(1,)]
    assert await rows(OPEN) == []
    [(done,)] = await rows("SELECT done FROM incidents")
    assert [one["what"] for one in done] == ["A restart is asked for.", "It is heard again since the restart."]


async def test_what_stays_silent_is_handed_to_a_person_and_not_restarted_again(place: Place, rows: Rows) -> None:
    written = now() - timedelta(minutes=50)
    await place.write("One", written)
    restarted = await place.until("SELECT 1 FROM waha_actions", written, 10 * SECOND, timedelta(minutes=9))
    await rows("UPDATE waha_sessions SET status_changed_at = %s", restarted + 5 * SECOND)
    await place.step(restarted + 30 * SECOND)  # what the restart itself may have swallowed is read
    await place.write("Two", restarted + MINUTE)

    await place.quiet(restarted + MINUTE, 30)

    assert await rows(RESTARTS) == [(1,)]
    assert await rows(OPEN) == [("silent",)]
    [(done, recovered)] = await rows("SELECT done, recovered FROM incidents")
    assert ["must look" in one["what"] for one in done] == [False, True]
    assert recovered == 2


async def test_a_second_silence_within_a_day_restarts_nothing(place: Place, rows: Rows) -> None:
    written = now() - timedelta(minutes=50)
    await place.step(written - 10 * MINUTE)
    await rows("UPDATE session_watches SET restarted_at = %s", written - timedelta(hours=23))
    await place.write("One", written)

    await place.quiet(written, 15)

    assert await rows(RESTARTS) == [(0,)]
    [(done,)] = await rows("SELECT done FROM incidents")
    assert ["not restarted again" in one["what"] for one in done] == [True]


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_a_night_without_messages_is_nobodys_silence(rows: Rows, engine: str) -> None:
    await in_database(make_session, uuid7(), uuid7())
    await rows("INSERT INTO waha_servers (id, name, state) VALUES (%s, 'main', 'up')", uuid4())
    async with opened(rows, engine) as place:
        evening = now() - timedelta(hours=7)
        await place.write("Good night", evening)
        await place.read(evening + MINUTE)  # told by then

        await place.quiet(evening + MINUTE, 6 * 60)

        assert await rows("SELECT count(*) FROM incidents") == [(0,)]
        assert await rows("SELECT suspected_at FROM session_watches") == [(None,)]
        assert place.overviews() == pytest.approx(6 * 60 / 4, abs=2)


async def test_what_is_known_to_waha_and_is_no_message_names_nobody(place: Place, rows: Rows) -> None:
    written = now() - timedelta(minutes=9)
    await place.write("Hello", written)
    await rows("UPDATE catch_ups SET next_attempt_at = now() + interval '1 hour'")
    await place.watch.step(now=written + MINUTE)
    await place.watch.crew.finish()
    assert await rows("SELECT suspicion FROM session_watches") == [("unheard",)]

    # As after a catch-up that read it and kept nothing.
    await rows("UPDATE waha_sessions SET caught_up_to = %s", written + MINUTE)
    await place.watch.step(now=written + 2 * MINUTE)
    await place.watch.crew.finish()

    assert await rows("SELECT suspicion, named_at FROM session_watches") == [(None, None)]
    assert await rows("SELECT count(*) FROM incidents") == [(0,)]


async def test_what_cannot_be_read_is_named_all_the_same(place: Place, rows: Rows) -> None:
    written = now() - timedelta(minutes=9)
    await place.step(written - SECOND)
    place.waha.answer("/api/*/chats/all/messages", status=500, body={"statusCode": 500}, times=100)
    await place.write("Hello", written)

    named = await place.until(OPEN, written, 2 * SECOND, timedelta(minutes=6))

    assert named - written <= timedelta(minutes=5)
    [(done,)] = await rows("SELECT done FROM incidents")
    assert [one["what"] for one in done] == ["What was missed could not be read at once; it is tried again."]


async def test_two_daemons_check_a_session_once(place: Place, rows: Rows) -> None:
    other = SilenceWatch({"main": place.server}, Wakeup())
    at = now() + MINUTE

    await asyncio.gather(place.watch.step(now=at), other.step(now=at))
    await asyncio.gather(place.watch.crew.finish(), other.crew.finish())

    assert place.overviews() == 1


async def test_a_canary_is_sent_heard_and_shown_to_nobody(place: Place, rows: Rows) -> None:
    await rows("UPDATE waha_sessions SET limits = '{\"canary_minutes\": 30}'")
    at = now()

    await place.watch.step(now=at)
    await place.watch.crew.finish()

    [(canary_id,)] = await rows("SELECT canary_id FROM session_watches")
    assert [one.path for one in place.waha.journal.requests].count("/api/sendText") == 1
    assert canary_id.startswith("3EB0")
    await rows("UPDATE catch_ups SET requested_at = now() + interval '1 minute', next_attempt_at = now()")
    await place.read(at)
    assert await rows("SELECT count(*) FROM messages") == [(0,)]


async def test_a_canary_that_is_not_heard_names_the_session(place: Place, rows: Rows) -> None:
    await rows("UPDATE waha_sessions SET limits = '{\"canary_minutes\": 30}'")
    sent = now() - timedelta(minutes=9)
    await place.step(sent)

    named = await place.until(OPEN, sent, 10 * SECOND, timedelta(minutes=3))

    assert timedelta(seconds=60) <= named - sent <= timedelta(seconds=70)
    restarted = await place.until("SELECT 1 FROM waha_actions", named, 10 * SECOND, timedelta(minutes=3))
    again = await place.until(
        "SELECT 1 FROM session_watches WHERE given_up_at IS NOT NULL", restarted, 10 * SECOND, timedelta(minutes=4)
    )
    assert again - restarted >= timedelta(seconds=60)
    assert await rows(RESTARTS) == [(1,)]


def test_the_budget_covers_a_server_of_four_hundred_and_eighty_silent_sessions() -> None:
    assert silence.sessions_within_promise() == 480
