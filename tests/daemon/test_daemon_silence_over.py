"""A session that goes deaf, with everybody who has a part in it: ingress, inbox, watch, reader, and the restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestServer

from daemon import ingress
from daemon.asked import ActionWorker
from daemon.intake import Intake
from daemon.servers import Server
from database import in_database
from database.notifications import Wakeup
from models import uuid7
from operations.encryption import KeyRing
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import DEADLINE_SECONDS, Rows
from tests.daemon.test_daemon_silence import MINUTE, SECOND, SHOP, STORE, Place, handle_webhooks, make_session, now
from waha.client import WahaClient

KEY = "a-key-of-main"
HEARD = "SELECT 1 FROM session_watches WHERE heard_at IS NOT NULL"


async def nothing_missing() -> list[str]:
    return []


@pytest.fixture
async def ingress_url(rows: Rows) -> AsyncIterator[str]:
    """Where webhooks are taken."""
    intake = Intake()
    writing = asyncio.create_task(intake.write())
    app = ingress.application(intake=intake, keys={"main": KEY}, max_body_bytes=100_000, ready=nothing_missing)
    async with TestServer(app) as server:
        yield str(server.make_url("/webhooks/waha/main"))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
async def place(rows: Rows, ingress_url: str) -> AsyncIterator[Place]:
    whatsapp = WhatsApp()
    webhook = {"url": ingress_url, "events": ["message.any"], "hmac": {"key": KEY}}
    async with SandboxWaha(whatsapp, engine="GOWS", pace=0.01) as waha, WahaClient(waha.url, waha.api_key) as client:
        await client.create_session("sales", {**STORE, "webhooks": [webhook]}, start=True)
        await waha.pair("sales", whatsapp.phone(SHOP, name="Acme"))
        await in_database(make_session, uuid7(), uuid7())
        await rows(
            "INSERT INTO waha_servers (id, name, state, state_changed_at) VALUES (%s, 'main', 'up', %s)",
            *(uuid4(), now() - timedelta(hours=8)),
        )
        yield Place(waha, whatsapp, Server("main", client, ingress_url, KEY), rows)


async def hear(rows: Rows, sql: str) -> None:
    """Handle webhooks until a query finds a row."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await rows(sql):
            await in_database(handle_webhooks)
            await asyncio.sleep(0.02)


@pytest.mark.timeline("complaint/7")
async def test_a_deaf_session_loses_nothing_is_restarted_and_hears_again(place: Place, rows: Rows) -> None:
    worker = ActionWorker({"main": place.server}, KeyRing([b"k" * 32]), Wakeup())
    await place.read(now() - timedelta(minutes=30))
    place.waha.deafen("sales")
    written = now() - timedelta(minutes=9)
    await place.write("Is anybody there?", written)

    named = await place.until("SELECT 1 FROM incidents", written, 10 * SECOND, 5 * MINUTE)
    restarted = await place.until("SELECT 1 FROM waha_actions", named, 10 * SECOND, 3 * MINUTE)
    await worker.step()
    await worker.crew.finish()
    await place.whatsapp.phone("+4915123456780", name="Dora").write("And now?", to=SHOP)
    await hear(rows, HEARD)
    await place.step(restarted + 2 * MINUTE)

    [(recovered, ended_at, done)] = await rows("SELECT recovered, ended_at IS NOT NULL, done FROM incidents")
    assert named - written <= 5 * MINUTE
    assert [one["what"] for one in done] == ["A restart is asked for.", "It is heard again since the restart."]
    assert (recovered, ended_at) == (1, True)
    assert await rows("SELECT body FROM messages ORDER BY created_at") == [("Is anybody there?",), ("And now?",)]
