"""What is ordered of WAHA, carried out over a simulated one: its sessions, its phones, and the rows of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from daemon.asked import ActionWorker
from daemon.servers import Server
from daemon.session_setup import with_ours
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import (
    ActionKind,
    DesiredState,
    Engine,
    SessionStatus,
    SlackIdentity,
    Tenant,
    User,
    UserRole,
    WahaSession,
    uuid7,
)
from operations import observing, sessions
from operations.encryption import KeyRing
from operations.standing import Person
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import Rows
from waha.client import Timeouts, WahaClient

RING = KeyRing([b"k" * 32])
ANA = Person("T1", "UANA")
OLGA = Person("T1", "UOLGA")
OURS = "http://127.0.0.1:1/webhooks/waha/main"
SHOP = "+4930901820"
EngineWord = Literal["GOWS", "NOWEB", "WEBJS"]


@dataclass
class Rig:
    """One session of a tenant on one server, and whoever carries out what is ordered of it."""

    waha: SandboxWaha
    rows: Rows
    server: Server
    worker: ActionWorker
    tenant_id: UUID
    session_id: UUID
    now: datetime

    async def order(self, kind: ActionKind, asker: Person | None = ANA, payload: dict[str, Any] | None = None) -> UUID:
        action_id = uuid7()

        def write() -> None:
            with tenant_transaction(self.tenant_id):
                session = sessions.named(self.tenant_id, "sales")
                sessions.order(session, kind, action_id=action_id, asker=asker, payload=payload or {})

        await in_database(write)
        return action_id

    async def enrol(self, person: Person) -> None:
        """Somebody else who may control sessions, as ana may."""

        def write() -> None:
            with tenant_transaction(self.tenant_id):
                _enrol(self.tenant_id, person)

        await in_database(write)

    async def turn(self, *, after: timedelta = timedelta(0)) -> None:
        """Let whatever is ordered have one try, so much later than the last one."""
        self.now += after
        await self.rows("UPDATE waha_actions SET next_attempt_at = clock_timestamp()")
        await self.worker.step()
        await self.worker.crew.finish()

    async def see(self, status: str) -> None:
        """A webhook tells what the session is by now."""

        def write() -> None:
            with tenant_transaction(self.tenant_id):
                session = WahaSession.get_by_id(self.session_id)
                observing.observe_status(session, status, at=self.now, source="webhook")

        await in_database(write)

    async def until_on_waha(self, status: str) -> None:
        session = self.waha.sessions.known("s1")
        assert await session.until(lambda: session.status.value == status, 500), session.status

    async def told(self) -> list[str]:
        """What is to be said to people, in order."""
        return [
            text for (text,) in await self.rows("SELECT payload->>'text' FROM slack_posts ORDER BY created_at, seq")
        ]


@asynccontextmanager
async def rig_of(
    rows: Rows,
    *,
    is_paired: bool = True,
    engine: Literal["GOWS", "NOWEB", "WEBJS"] = "GOWS",
    config: dict[str, Any] | None = None,
) -> AsyncIterator[Rig]:
    """A session that works, or with `is_paired` false one that waits for its code."""
    async with SandboxWaha(WhatsApp(), pace=0.01, engine=engine) as waha, _client(waha) as client:
        server = Server("main", client, OURS, "key")
        tenant_id, session_id = await in_database(_a_session, engine, is_paired=is_paired)
        now = datetime.now(UTC)
        worker = ActionWorker({"main": server}, RING, Wakeup(), operators=(OLGA.key,), clock=lambda: rig.now)
        rig = Rig(waha, rows, server, worker, tenant_id, session_id, now)
        session = waha.sessions.create("s1", with_ours({}, session_id, server) if config is None else config)
        session.start()
        if is_paired:
            await waha.pair("s1", waha.whatsapp.phone(SHOP, name="Acme"))
            await rig.until_on_waha("WORKING")
        yield rig


def _client(waha: SandboxWaha) -> WahaClient:
    return WahaClient(waha.url, waha.api_key, timeouts=Timeouts())


def _a_session(engine: str, *, is_paired: bool) -> tuple[UUID, UUID]:
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name="Acme")
        session = WahaSession.create(
            tenant_id=tenant_id,
            name="sales",
            external_session_id="s1",
            server="main",
            engine=Engine(engine),
            desired_state=DesiredState.RUNNING,
            status=SessionStatus.WORKING if is_paired else SessionStatus.SCAN_QR,
            metadata={"me_id": "4930901820@c.us"} if is_paired else {},
        )
        _enrol(tenant_id, ANA)
    return tenant_id, session.id


def _enrol(tenant_id: UUID, person: Person) -> None:
    user = User.create(tenant_id=tenant_id, email=f"{person.user_id.lower()}@example.org", role=UserRole.MANAGER)
    SlackIdentity.create(
        tenant_id=tenant_id, user_id=user.id, slack_team_id=person.team_id, slack_user_id=person.user_id
    )
