"""An installation in which all is well, before simulated Slack and WAHA, so that one thing of it can be broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import SecretStr

from daemon import ingress
from daemon.doctor import Checkup, examine
from daemon.doctor.checkup import utc_now
from daemon.intake import Intake
from database import in_database
from models import ProcessKind, RoutePurpose, SessionStatus, WahaSession, uuid7
from operations import doctor, observing, processes
from operations.encryption import KeyRing
from operations.findings import Finding, Level
from sandbox.slack import SandboxSlack
from sandbox.waha import SandboxWaha
from sandbox.waha.session import Session
from sandbox.whatsapp import WhatsApp
from settings import ROLES, Settings
from tests.conftest import TEST_KEY, MigratedDatabase
from tests.operations.builders import World

HMAC_KEY = "a-key-of-main"
VERSION = "2026.9.1"
EVENTS = [
    *("message.any", "message.ack", "message.ack.group", "message.reaction", "message.edited", "message.revoked"),
    "session.status",
]


async def _ready() -> list[str]:
    return []


@dataclass
class Examined:
    """`settings` may be replaced before `look`."""

    settings: Settings
    slack: SandboxSlack
    waha: SandboxWaha
    world: World
    session: WahaSession
    at_waha: Session
    bot: UUID = field(default_factory=uuid4)
    daemon: UUID = field(default_factory=uuid4)
    now: datetime | None = None

    def override(self, table: str, **values: Any) -> None:
        """Other values in a table of the settings; `waha` means its server main."""
        if table == "waha":
            main = self.settings.waha.servers["main"].model_copy(update=values)
            self.settings = self.settings.model_copy(
                update={"waha": self.settings.waha.model_copy(update={"servers": {"main": main}})}
            )
            return
        changed = getattr(self.settings, table).model_copy(update=values)
        self.settings = self.settings.model_copy(update={table: changed})

    async def sql(self, statement: str, *parameters: object) -> None:
        await in_database(self.world.sql, statement, *parameters)

    async def look(self) -> dict[str, Finding]:
        """What is found, by the name of the check."""
        ring = KeyRing([TEST_KEY])
        found = await examine(Checkup(self.settings, ring, has_database=True, now=lambda: self.now or utc_now()))
        return {finding.check: finding for finding in found}

    async def troubles(self) -> dict[str, Finding]:
        """What is not well."""
        return {check: finding for check, finding in (await self.look()).items() if finding.level is not Level.OK}


@asynccontextmanager
async def examined(migrated: MigratedDatabase) -> AsyncIterator[Examined]:
    """All is well: the bot and a daemon run, a session works and its webhooks arrive, the bot is in its channel."""
    intake = Intake()
    writing = asyncio.create_task(intake.write())
    app = ingress.application(intake=intake, keys={"main": HMAC_KEY}, max_body_bytes=100_000, ready=_ready)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    webhook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/waha/main"
    try:
        async with SandboxSlack() as slack, SandboxWaha(WhatsApp(), pace=0.01, version=VERSION) as waha:
            settings = _settings(slack, waha, webhook_url, migrated)
            world = World(migrated)
            session = await in_database(_rows, world, slack)
            at_waha = waha.sessions.create(session.external_session_id, webhook_config(webhook_url))
            one = Examined(settings, slack, waha, world, session, at_waha)
            await _begin(one)
            yield one
    finally:
        await runner.cleanup()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


def _settings(slack: SandboxSlack, waha: SandboxWaha, webhook_url: str, migrated: MigratedDatabase) -> Settings:
    return Settings.model_validate(
        {
            "database": {"url": migrated.url},
            "security": {"public_url": "https://switchboard.example.com"},
            "slack": {
                "bot_token": slack.bot_token,
                "app_token": slack.app_token,
                "api_url": slack.api_url,
                "operators": ["T1/UOLGA"],
            },
            "waha": {
                "servers": {
                    "main": {
                        "url": waha.url,
                        "api_key": SecretStr(waha.api_key),
                        "webhook_url": webhook_url,
                        "webhook_hmac_key": SecretStr(HMAC_KEY),
                    }
                }
            },
            "alerts": {"webhook_url": "https://pager.example.com/hook"},
        }
    )


def _rows(world: World, slack: SandboxSlack) -> WahaSession:
    tenant = world.tenant()
    world.sql("INSERT INTO waha_servers (id, name, state) VALUES (%s, 'main', 'up')", uuid7())
    session = world.session(tenant, status=SessionStatus.WORKING)
    world.route(tenant, slack.channel("support").id, RoutePurpose.CONVERSATIONS)
    world.sql("UPDATE channel_routes SET slack_team_id = %s", slack.team_id)
    for kind in ("event", "command"):
        world.sql(
            "INSERT INTO slack_events (id, key, kind, slack_team_id, lane, body, processed_at, answered_at) "
            "VALUES (%s, %s, %s, 'T1', 'x', '', now(), now())",
            uuid7(),
            kind,
            kind,
        )
    return session


async def _begin(one: Examined) -> None:
    await in_database(processes.beat, one.bot, ProcessKind.BOT, "host:1", facts={"sockets": 2})
    await in_database(processes.beat, one.daemon, ProcessKind.DAEMON, "host:2", roles=ROLES)
    await in_database(observing.lease_server, "main", token=uuid4(), lease=timedelta(minutes=5))
    one.at_waha.start()
    await one.waha.pair(one.at_waha.name, one.waha.whatsapp.phone("4930901820", name="Acme"))
    await _heard()


async def _heard() -> None:
    """WAHA told of its session, and that was written."""
    async with asyncio.timeout(15):
        while True:
            known = await in_database(doctor.known_server, "main")
            if known is not None and known.heard_at is not None:
                return
            await asyncio.sleep(0.02)


def webhook_config(url: str, **more: Any) -> dict[str, Any]:
    return {"webhooks": [{"url": url, "events": EVENTS, "hmac": {"key": HMAC_KEY}} | more]}
