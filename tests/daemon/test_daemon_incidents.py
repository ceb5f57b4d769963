"""Incidents as Slack gets them: by the worker and the relay, to a simulated Slack on a socket."""

from __future__ import annotations

import asyncio
from functools import partial

from daemon.incidents import Incidents
from database import connection, in_database
from database.notifications import Wakeup
from models import RoutePurpose, Tenant, now_utc
from sandbox.slack import SandboxSlack
from slack.pacing import Pacing
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import Rows, becomes
from tests.daemon.relays import a_relay_with
from tests.operations.builders import World

MANY = 200
WAITING = "SELECT kind, slack_channel_id, error FROM slack_posts WHERE posted_at IS NULL"


async def test_two_hundred_sessions_that_fail_together_are_one_call_for_each_alerts_channel(
    migrated_database: MigratedDatabase, rows: Rows
) -> None:
    def arrange(slack: SandboxSlack) -> None:
        with connection():
            world = World(migrated_database)
            for name, channel in (("Acme", "alerts"), ("Globex", "support")):
                tenant = world.tenant(name)
                _alerts_in(world, tenant, slack.team_id, slack.channel(channel).id)
                for number in range(MANY // 2):
                    world.session(tenant, f"{name.lower()}-{number:03}")

    async def all_are(status: str) -> None:
        await rows("UPDATE waha_sessions SET status = %s, status_changed_at = now() - interval '11 s'", status)

    async with SandboxSlack(pace=0.005) as slack, a_relay_with(slack, Pacing(switched_on=False)):
        workers = [Incidents(Wakeup(), operators=()) for _ in range(2)]
        await in_database(partial(arrange, slack))
        await all_are("failed")
        for _ in range(3):
            await asyncio.gather(*(worker.step() for worker in workers))
        await becomes(rows, WAITING, [])
        posted = len(slack.calls("chat.postMessage"))

        await all_are("working")
        await rows("UPDATE incidents SET told_at = %s WHERE told_at IS NOT NULL", now_utc().replace(year=2020))
        for _ in range(3):
            await asyncio.gather(*(worker.step() for worker in workers))
        await becomes(rows, WAITING, [])
        calls = {method: len(slack.calls(method)) for method in ("chat.postMessage", "chat.update")}
        shown = [slack.messages(channel) for channel in ("alerts", "support")]

    print(f"\n{MANY} sessions of 2 tenants failed together: {calls}")  # noqa: T201 - what this shows
    assert posted == 2
    assert calls == {"chat.postMessage": 2, "chat.update": 2}
    for [message] in shown:
        assert message.earlier[0].startswith("🔴 *100 sessions fail together.*")
        assert "all of the 100 sessions that failed together work again" in message.text


def _alerts_in(world: World, tenant: Tenant, team_id: str, channel_id: str) -> None:
    world.route(tenant, channel_id, RoutePurpose.ALERTS)
    world.sql("UPDATE channel_routes SET slack_team_id = %s WHERE tenant_id = %s", team_id, tenant.id)
