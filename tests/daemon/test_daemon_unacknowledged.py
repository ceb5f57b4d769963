"""What WAHA took and WhatsApp does not confirm; a WAHA on a socket keeps it back, and its phones show what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from daemon.loops import repeat
from daemon.servers import Server
from daemon.unacknowledged import Unconfirmed
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import (
    Conversation,
    Direction,
    Engine,
    Message,
    ServerState,
    SessionStatus,
    Tenant,
    WahaSession,
    now_utc,
    uuid7,
)
from operations import observing
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from settings import DeliverySettings
from tests.daemon.conftest import Rows, becomes
from waha.client import Timeouts, WahaClient

SHOP, CUSTOMER = "+4930901820", "+4915123456789"
CHAT = f"{CUSTOMER.removeprefix('+')}@c.us"
SEND = "/api/sendText"
SENT_BEFORE = "SELECT status, resent_at IS NOT NULL, awaits_ack_since IS NOT NULL FROM messages"


@pytest.fixture(params=["NOWEB"])
async def waha(request: pytest.FixtureRequest) -> AsyncIterator[SandboxWaha]:
    async with SandboxWaha(WhatsApp(), engine=request.param, pace=0.01) as running:
        session = running.sessions.create("s1", {"noweb": {"store": {"enabled": True}}})
        session.start()
        await running.pair("s1", running.whatsapp.phone(SHOP, name="Acme"))
        running.whatsapp.phone(CUSTOMER, name="Carla")
        yield running


@pytest.fixture
async def looking_after(waha: SandboxWaha, rows: Rows) -> AsyncIterator[None]:
    """A worker that waits no longer than a moment."""
    await in_database(know_server, waha.environment.engine)
    delivery = DeliverySettings(send_timeout_seconds=2, lease_margin_seconds=0.4)
    stopping, wakeup = asyncio.Event(), Wakeup()
    async with WahaClient(waha.url, waha.api_key, timeouts=Timeouts(send=2)) as client:
        servers = {"main": Server("main", client, "http://127.0.0.1:1", "key")}
        worker = Unconfirmed(servers, delivery, wakeup, confirmed_within=timedelta(seconds=0.2))
        working = asyncio.create_task(
            repeat("unconfirmed", worker.step, wakeup=wakeup, stopping=stopping, every_seconds=0.02)
        )
        yield
        stopping.set()
        await working
        await worker.crew.finish()


def know_server(engine: str) -> None:
    observing.lease_server("main", token=uuid4(), lease=timedelta(minutes=1))
    observing.record_server("main", ServerState.UP, version="2026.7.1", engine=engine)


async def send(waha: SandboxWaha) -> None:
    """WAHA answers 201 to a message of ours, with its own id or the one that was chosen; it stands as recorded then."""
    async with WahaClient(waha.url, waha.api_key) as client:
        sent = await client.send_text("s1", CHAT, "Hello", message_id="3EB00123456789ABCDEF01")
    await in_database(insert, str(sent.waha_message_id), waha.environment.engine)


def insert(waha_message_id: str, engine: str) -> None:
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name="Acme")
        session = WahaSession.create(
            tenant_id=tenant_id,
            name="sales",
            external_session_id="s1",
            server="main",
            status=SessionStatus.WORKING,
            engine=Engine(engine),
        )
        conversation = Conversation.create(tenant_id=tenant_id, session_id=session.id)
        Message.create(
            tenant_id=tenant_id,
            session_id=session.id,
            conversation_id=conversation.id,
            seq=1,
            direction=Direction.OUTBOUND,
            chat_id=CHAT,
            body="Hello",
            status="sent",
            waha_message_id=waha_message_id,
            awaits_ack_since=now_utc(),
        )


def shown(waha: SandboxWaha) -> list[str]:
    return [one.text for one in waha.whatsapp.phone(CUSTOMER).chat_with(SHOP) if one.direction == "in"]


def sends(waha: SandboxWaha) -> int:
    return len([entry for entry in waha.journal.requests if entry.path == SEND])


@pytest.mark.timeline("complaint/9")
async def test_what_waha_kept_back_is_sent_once_more_and_arrives(
    waha: SandboxWaha, looking_after: None, rows: Rows
) -> None:
    waha.receipts.unsent(times=1)

    await send(waha)

    await becomes(rows, "SELECT resent_at IS NOT NULL, awaits_ack_since IS NULL FROM messages", [(True, True)])
    assert shown(waha) == ["Hello"]
    assert sends(waha) == 2


async def test_what_is_never_confirmed_is_sent_once_more_only_and_then_shown_as_failed(
    waha: SandboxWaha, looking_after: None, rows: Rows
) -> None:
    waha.receipts.unsent()

    await send(waha)

    await becomes(rows, SENT_BEFORE, [("failed", True, True)])
    assert sends(waha) == 2


async def test_what_whatsapp_has_is_not_sent_again(waha: SandboxWaha, looking_after: None, rows: Rows) -> None:
    await send(waha)

    await becomes(rows, "SELECT awaits_ack_since, resent_at FROM messages", [(None, None)])
    assert shown(waha) == ["Hello"]
    assert sends(waha) == 1


async def test_where_it_cannot_be_looked_up_nothing_is_sent(waha: SandboxWaha, looking_after: None, rows: Rows) -> None:
    waha.receipts.unsent()
    waha.answer("/api/*/chats/*/messages/*", status=500, body={"message": "busy"}, times=3)

    await send(waha)

    await becomes(rows, SENT_BEFORE, [("failed", True, True)])
    assert sends(waha) == 2


@pytest.mark.parametrize("waha", ["WEBJS"], indirect=True)
async def test_a_browser_is_asked_and_never_told_to_send_again(
    waha: SandboxWaha, looking_after: None, rows: Rows
) -> None:
    waha.receipts.unsent()

    await send(waha)

    await becomes(rows, SENT_BEFORE, [("failed", False, True)])
    assert sends(waha) == 1
