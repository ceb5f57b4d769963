"""Whoever carries out orders does so for each server by itself."""

from __future__ import annotations

import asyncio

from daemon.asked import ActionWorker
from daemon.servers import Server
from database import in_database, tenant_transaction
from database.notifications import Wakeup
from models import ActionKind, WahaSession, uuid7
from operations import sessions
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import Rows, becomes
from tests.daemon.orders import ANA, OURS, RING, Rig, rig_of
from waha.client import Timeouts, WahaClient

RESTARTS_BEGUN = "SELECT count(*) FROM waha_actions WHERE kind = 'restart' AND payload ? 'began'"
CODE = "SELECT lease_token IS NULL AND payload ? 'progress' FROM waha_actions WHERE kind = 'qr'"


def order_restarts(rig: Rig, server: str, *, many: int) -> None:
    with tenant_transaction(rig.tenant_id):
        for number in range(many):
            name = f"{server}-{number}"
            session = WahaSession.create(tenant_id=rig.tenant_id, name=name, external_session_id=name, server=server)
            sessions.order(session, ActionKind.RESTART, action_id=uuid7(), asker=ANA)


async def test_a_server_that_hangs_keeps_no_code_of_another_waiting(rows: Rows) -> None:
    async with (
        rig_of(rows, is_paired=False) as rig,
        SandboxWaha(WhatsApp()) as hung,
        WahaClient(hung.url, hung.api_key, timeouts=Timeouts()) as client,
    ):
        await rig.until_on_waha("SCAN_QR_CODE")
        hang = hung.faults.hang()
        worker = ActionWorker({"hung": Server("hung", client, OURS, "key"), "main": rig.server}, RING, Wakeup())
        await in_database(order_restarts, rig, "hung", many=6)
        await worker.step()
        await becomes(rows, RESTARTS_BEGUN, [(4,)])

        await rig.order(ActionKind.QR)
        await worker.step()

        await becomes(rows, CODE, [(True,)])
        assert await rows(RESTARTS_BEGUN) == [(4,)]
        hang.heal()
        async with asyncio.timeout(10):
            await worker.crew.finish()
