"""A WAHA that takes connections and never answers, beside one that works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Self
from uuid import uuid4

import pytest

from daemon.loops import repeat
from daemon.sender import Sender
from daemon.servers import Server
from daemon.unacknowledged import Unconfirmed
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import Conversation, Direction, Message, ServerState, SessionStatus, Tenant, WahaSession, uuid7
from operations import observing
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from settings import DeliverySettings
from tests.daemon.conftest import Rows, becomes
from waha.client import Timeouts, WahaClient

SHOP, CUSTOMER = "+4930901820", "+4915123456789"
LONG, MOMENT = 60.0, timedelta(seconds=0.2)


class SilentWaha:
    """Counts who waits for it; ends with all connections cut."""

    def __init__(self) -> None:
        self.waiting = 0
        self._healed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._keep, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.heal()
        self._server.close()
        await self._server.wait_closed()

    def heal(self) -> None:
        self._healed.set()

    async def _keep(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.waiting += 1
        await self._healed.wait()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[SilentWaha]:
    async with SilentWaha() as running:
        yield running


@pytest.fixture
async def servers(silent: SilentWaha, rows: Rows) -> AsyncIterator[dict[str, Server]]:
    """`silent` and `main`, which works, each of a version whose ids are trusted."""
    timeouts = Timeouts(send=LONG, listing=LONG)
    async with SandboxWaha(WhatsApp(), engine="NOWEB", pace=0.01) as waha:
        waha.sessions.create("main1", {"noweb": {"store": {"enabled": True}}}).start()
        await waha.pair("main1", waha.whatsapp.phone(SHOP, name="Acme"))
        waha.whatsapp.phone(CUSTOMER, name="Carla")
        async with (
            WahaClient(silent.url, "key", timeouts=timeouts) as hanging,
            WahaClient(waha.url, waha.api_key, timeouts=timeouts) as working,
        ):
            for name in ("main", "silent"):
                await in_database(know_server, name)
            yield {
                "silent": Server("silent", hanging, "http://127.0.0.1:1", "key"),
                "main": Server("main", working, "http://127.0.0.1:1", "key"),
            }


def know_server(name: str) -> None:
    observing.lease_server(name, token=uuid4(), lease=timedelta(minutes=1))
    observing.record_server(name, ServerState.UP, version="2026.7.1", engine="NOWEB")


def fill(server: str, sessions: int, conversations: int) -> None:
    """Sessions with conversations that each have a message."""
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name=server)
        for number in range(1, sessions + 1):
            place = {"tenant_id": tenant_id, "server": server, "status": SessionStatus.WORKING}
            session = WahaSession.create(name=f"{server}{number}", external_session_id=f"{server}{number}", **place)
            for _ in range(conversations):
                conversation = Conversation.create(tenant_id=tenant_id, session_id=session.id)
                Message.create(
                    tenant_id=tenant_id,
                    session_id=session.id,
                    conversation_id=conversation.id,
                    seq=1,
                    direction=Direction.OUTBOUND,
                    chat_id=f"{CUSTOMER.removeprefix('+')}@c.us",
                    body=server,
                )


async def at_work(worker: Sender | Unconfirmed, rows: Rows, silent: SilentWaha, *, places: int, done: str) -> None:
    """See that what the other server has is done while all places of the silent one are taken."""
    stopping = asyncio.Event()
    working = asyncio.create_task(
        repeat("worker", worker.step, wakeup=worker.wakeup, stopping=stopping, every_seconds=0.02)
    )
    try:
        async with asyncio.timeout(15):
            while silent.waiting < places:  # noqa: ASYNC110 - connections come from a client
                await asyncio.sleep(0.02)
        await becomes(rows, done, [(1,)])
    finally:
        silent.heal()
        stopping.set()
        await working
        await worker.crew.finish()


async def test_a_server_that_hangs_keeps_the_messages_of_no_other_waiting(
    servers: dict[str, Server], silent: SilentWaha, rows: Rows
) -> None:
    sender = Sender(servers, DeliverySettings(send_timeout_seconds=LONG), Wakeup())
    await in_database(fill, "silent", 8, 5)
    await in_database(fill, "main", 1, 1)

    await at_work(sender, rows, silent, places=32, done="SELECT count(*) FROM messages WHERE status = 'sent'")


async def test_a_server_that_hangs_keeps_what_another_did_not_confirm_no_longer(
    servers: dict[str, Server], silent: SilentWaha, rows: Rows
) -> None:
    worker = Unconfirmed(servers, DeliverySettings(send_timeout_seconds=LONG), Wakeup(), confirmed_within=MOMENT)
    await in_database(fill, "silent", 1, 9)
    await in_database(fill, "main", 1, 1)
    await rows(
        "UPDATE messages SET status = 'sent', awaits_ack_since = now() - interval '1 minute' * (body = 'silent')::int, "
        "waha_message_id = '3EB0' || id"
    )

    await at_work(worker, rows, silent, places=4, done="SELECT count(*) FROM messages WHERE resent_at IS NOT NULL")
