"""The daemon's clock, with its own threads and a real database: what it posts besides what APScheduler fires for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from daemon.scheduler import Scheduler
from database import in_database, tenant_transaction
from models import ChannelRoute, ReportSchedule, RoutePurpose, Tenant, now_utc, uuid7
from tests.daemon.conftest import Rows, becomes

AN_HOUR = timedelta(hours=1)


def yearly(name: str) -> UUID:
    """The schedule of a new tenant that is not due before next year, and was posted for just now."""
    tenant_id, today = uuid7(), now_utc()
    with tenant_transaction(tenant_id):
        Tenant.create(id=tenant_id, name=name)
        ChannelRoute.create(
            tenant_id=tenant_id, slack_team_id="T1", slack_channel_id=f"C{name}", purpose=RoutePurpose.REPORTS
        )
        past = today - AN_HOUR
        made = ReportSchedule.create(
            tenant_id=tenant_id,
            name="health",
            cron=f"{past.minute} {past.hour} {past.day} {past.month} *",
            updated_at=today - timedelta(days=2),
            last_slot=today,
        )
        schedule_id: UUID = made.id
        return schedule_id


@asynccontextmanager
async def running(scheduler: Scheduler, stopping: asyncio.Event) -> AsyncIterator[None]:
    clock = asyncio.create_task(scheduler.run())
    try:
        yield
    finally:
        stopping.set()
        await clock


async def test_a_time_for_which_nothing_fired_is_posted_at_the_next_reading(rows: Rows) -> None:
    """As in a night in which the clock is put forward at midnight, when APScheduler skips the day."""
    stopping = asyncio.Event()
    first, second = await in_database(yearly, "Acme"), await in_database(yearly, "Globex")

    async with running(Scheduler(stopping, keep=timedelta(days=1), read_every_seconds=0.05), stopping):
        # It has planned both once the first is posted for.
        for due, posts in ((first, 1), (second, 2)):
            await rows("UPDATE report_schedules SET last_slot = %s WHERE id = %s", now_utc() - 2 * AN_HOUR, due)
            await becomes(rows, "SELECT count(*) FROM slack_posts", [(posts,)])
