"""Incidents as Slack gets them: by the worker and the relay, to a simulated Slack on a socket."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import UUID

from daemon.incidents import Incidents, Looks
from database import connection, in_database
from database.notifications import Wakeup
from models import RoutePurpose, Tenant, now_utc
from operations import telling
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


async def test_an_open_incident_is_looked_at_again_only_when_something_changed_or_after_a_while(
    migrated_database: MigratedDatabase, rows: Rows
) -> None:
    def arrange() -> None:
        with connection():
            world = World(migrated_database)
            for name in ("Acme", "Globex"):
                tenant = world.tenant(name)
                _alerts_in(world, tenant, "T1", f"C{name.upper()}")
                world.session(tenant, name.lower())

    def take(seconds: float) -> list[UUID]:
        found = looks.to_look_at(telling.due(), seconds)
        for tenant_id in found:
            telling.look_after(tenant_id, operators=())
        return found

    async def age() -> None:
        """What was told was told a while ago."""
        await rows("UPDATE incidents SET told_at = now() - interval '5 min' WHERE told_at IS NOT NULL")

    looks = Looks()
    await in_database(arrange)
    await rows("UPDATE waha_sessions SET status = 'scan_qr', status_changed_at = now() - interval '5 min'")
    first = await in_database(take, 1)
    young = await in_database(take, 3)
    await age()
    changed = await in_database(take, 5)
    rested = [await in_database(take, seconds) for seconds in (7, 20, 34)]
    after_a_while = await in_database(take, 36)
    await rows(
        "UPDATE waha_sessions SET status = 'working', status_changed_at = now() - interval '11 s' WHERE name = 'acme'"
    )
    works = await in_database(take, 38)

    assert [len(found) for found in (first, young, changed)] == [2, 2, 2]
    assert rested == [[], [], []]
    assert len(after_a_while) == 2
    assert await rows("SELECT name FROM tenants WHERE id = ANY (%s)", works) == [("Acme",)]
    assert await rows("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == [(1,)]


async def test_trouble_with_what_operators_are_told_keeps_no_tenant_from_being_told(
    migrated_database: MigratedDatabase, rows: Rows
) -> None:
    def arrange() -> None:
        with connection():
            world = World(migrated_database)
            tenant = world.tenant("Acme")
            _alerts_in(world, tenant, "T1", "CACME")
            world.session(tenant, "sales")

    await in_database(arrange)
    await rows("UPDATE waha_sessions SET status = 'failed', status_changed_at = now() - interval '5 min'")
    await rows(
        "INSERT INTO incidents (id, kind, server, began_at, post_id, details) "
        "VALUES (gen_random_uuid(), 'server_away', 'other', now(), gen_random_uuid(), '{\"places\": 5}')"
    )
    worker = Incidents(Wakeup(), operators=("T1/UOLGA",))

    for _ in range(2):
        await worker.step()

    assert await rows("SELECT slack_channel_id FROM slack_posts") == [("CACME",)]


def _alerts_in(world: World, tenant: Tenant, team_id: str, channel_id: str) -> None:
    world.route(tenant, channel_id, RoutePurpose.ALERTS)
    world.sql("UPDATE channel_routes SET slack_team_id = %s WHERE tenant_id = %s", team_id, tenant.id)
