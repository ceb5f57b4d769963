"""Sessions of a tenant on a simulated WAHA, whoever looks after them, and what is told; the time is handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from daemon.reconciler import Reconciler
from daemon.servers import Server
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import ChannelRoute, Engine, RoutePurpose, SessionStatus, Tenant, WahaSession, now_utc
from operations import telling
from operations.telling_operators import look_after_installation
from sandbox.waha import SandboxWaha
from sandbox.waha.session import Session
from sandbox.whatsapp import WhatsApp
from settings import DaemonSettings
from tests.daemon.conftest import Rows
from tests.operations.builders import ALERTS, OPERATOR, TEAM
from waha.client import Timeouts, WahaClient

START = now_utc()
EngineWord = Literal["GOWS", "NOWEB", "WEBJS"]
# Answers come at once here; what hangs shall not make a test wait.
TIMEOUTS = Timeouts(connect=1.0, listing=5.0, control=0.5)
_CONTROLS = ("/start", "/stop", "/restart")


@dataclass
class Fleet:
    """One server, its sessions, and the reconciler and the teller of incidents at a time that is handed in."""

    waha: SandboxWaha
    rows: Rows
    reconciler: Reconciler
    tenant: Tenant
    now: datetime = START
    _read: int = field(default=0, init=False)

    async def look(self, *, after: timedelta = timedelta(0)) -> list[str]:
        """Poll, let what was begun end, tell what is the matter; the control calls of it, as `restart s1`."""
        self.now += after
        await self.reconciler.look(self.now)
        await self.reconciler.crew.finish()
        await in_database(look_after_installation, operators=(OPERATOR.key,), now=self.now)
        await in_database(telling.look_after, self.tenant.id, operators=(OPERATOR.key,), now=self.now)
        await self._slack_takes_all()
        return self.calls()

    def calls(self) -> list[str]:
        """The control calls since the last time, in the order in which they came."""
        received = list(self.waha.journal.requests)[self._read :]
        self._read += len(received)
        return [
            f"{one.path.rpartition('/')[2]} {one.path.split('/')[3]}" if one.path.endswith(_CONTROLS) else "create"
            for one in received
            if one.method == "POST"
        ]

    async def becomes(self, status: str, *names: str) -> None:
        """Wait until sessions are so on WAHA."""
        for name in names or ("s1",):
            session = self.waha.sessions.known(name)
            assert await session.until(partial(_is, session, status), 500), session.status

    async def told(self) -> list[str]:
        """What the alerts channel shows or is changed to, in order."""
        found = await self.rows(
            "SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s ORDER BY created_at, seq", ALERTS
        )
        return [text for (text,) in found]

    async def done(self, kind: str) -> list[str]:
        """What is noted as done about a trouble."""
        found = await self.rows("SELECT done FROM incidents WHERE kind = %s ORDER BY began_at", kind)
        return [entry["what"] for (done,) in found for entry in done]

    async def statuses(self) -> list[str]:
        return [status for (status,) in await self.rows("SELECT status FROM waha_sessions ORDER BY name")]

    async def _slack_takes_all(self) -> None:
        await self.rows(
            "UPDATE slack_posts SET posted_at = now(), slack_ts = coalesce(slack_ts, payload->>'ts', "
            "'1700000000.' || lpad(seq::text, 6, '0')) WHERE posted_at IS NULL"
        )


def _is(session: Session, status: str) -> bool:
    return session.status.value == status


@asynccontextmanager
async def fleet_of(
    rows: Rows,
    *names: str,
    engine: EngineWord = "GOWS",
    on_waha: str | None = "WORKING",
    worker_id: str = "waha1",
    pace: float = 0.001,
    **fields: Any,
) -> AsyncIterator[Fleet]:
    """These sessions, or `s1`, as they are on WAHA (None: not there), known to work unless `fields` say otherwise."""
    names = names or ("s1",)
    async with (
        SandboxWaha(WhatsApp(), pace=pace, engine=engine, worker_id=worker_id) as waha,
        WahaClient(waha.url, waha.api_key, timeouts=TIMEOUTS) as client,
    ):
        if on_waha is not None:
            waha.add_idle_sessions(names, status=on_waha)
        tenant = await in_database(_tenant_with, names, engine, fields)
        server = Server("main", client, "http://127.0.0.1:1/webhooks/waha/main", "key")
        reconciler = Reconciler(server, DaemonSettings(), Wakeup(), (OPERATOR.key,))
        yield Fleet(waha, rows, reconciler, tenant)
        await reconciler.crew.finish()


def _tenant_with(names: tuple[str, ...], engine: str, fields: dict[str, Any]) -> Tenant:
    tenant = Tenant(name="Acme")
    known = {
        "status": SessionStatus.WORKING,
        "metadata": {"me_id": "4930901820@c.us", "raw_status": "WORKING"},
        "status_observed_at": START - timedelta(hours=1),
        "status_changed_at": START - timedelta(hours=1),
        "next_control_at": START,
        "server": "main",
        "engine": Engine(engine),
        "tenant_id": tenant.id,
    }
    with tenant_transaction(tenant.id):
        tenant.save(force_insert=True)
        ChannelRoute.create(
            tenant_id=tenant.id, slack_team_id=TEAM, slack_channel_id=ALERTS, purpose=RoutePurpose.ALERTS
        )
        for name in names:
            WahaSession.create(name=name, external_session_id=name, **(known | fields))
    return tenant
