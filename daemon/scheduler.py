"""Queues what is due at a time: the health reports. APScheduler runs where the lock is held; the slot is the fence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.cron import BadSchedule, trigger
from daemon.loops import until
from database import in_database
from database.leadership import Leadership
from operations import audit, cleaning, reports, retention
from operations.errors import BadInput
from operations.reports import Schedule
from operations.retention import Keeping
from operations.schedule_times import latest
from settings.logs import get_logger

log = get_logger(__name__)

READ_EVERY_SECONDS = 30.0
# Not on the hour, when reports are due.
_CLEAN_UP_AT = trigger("17 3 * * *", "UTC")
_DELETE_AT = trigger(f"{retention.AT.minute} {retention.AT.hour} * * *", "UTC")


class Scheduler:
    """The clock of the installation."""

    def __init__(
        self, stopping: asyncio.Event, *, keep: timedelta, read_every_seconds: float = READ_EVERY_SECONDS
    ) -> None:
        self._stopping = stopping
        self._keep = keep
        self._read_every_seconds = read_every_seconds
        self._known: dict[str, Schedule] = {}

    async def run(self) -> None:
        """Stand for leadership, and keep APScheduler in step with the schedules while leading."""
        async with Leadership("scheduler") as leadership:
            while not self._stopping.is_set():
                if not leadership.is_leading:
                    await until(self._stopping, 0.5)
                    continue
                await self._lead(leadership)

    async def _lead(self, leadership: Leadership) -> None:
        clock = AsyncIOScheduler(timezone=UTC)
        clock.add_job(self._clean_up, _CLEAN_UP_AT, misfire_grace_time=None, coalesce=True)
        clock.add_job(delete_by_age, _DELETE_AT, misfire_grace_time=None, coalesce=True)
        clock.start()
        self._known = {}
        try:
            while leadership.is_leading and not self._stopping.is_set():
                await self._read_schedules(clock)
                await until(self._stopping, self._read_every_seconds)
        finally:
            clock.shutdown(wait=False)

    async def _read_schedules(self, clock: AsyncIOScheduler) -> None:
        try:
            schedules = {str(one.schedule_id): one for one in await in_database(reports.schedules)}
        except Exception:  # the edge: the schedules that are known go on
            log.exception("schedules not read, trying again")
            return
        for job_id in self._known.keys() - schedules.keys():
            self._known.pop(job_id)
            if clock.get_job(job_id) is not None:
                clock.remove_job(job_id)
        for job_id, schedule in schedules.items():
            if self._known.get(job_id) != schedule:
                self._known[job_id] = schedule
                self._plan(clock, job_id, schedule)
            if clock.get_job(job_id) is not None:
                # What came due while nobody led, and what APScheduler skips in a night in which the clock is moved.
                await self._run_report(schedule)

    def _plan(self, clock: AsyncIOScheduler, job_id: str, schedule: Schedule) -> None:
        try:
            fires = trigger(schedule.cron, schedule.time_zone)
        except BadSchedule as error:
            log.error("schedule not understood", schedule_id=job_id, reason=str(error))  # noqa: TRY400
            return
        clock.add_job(
            self._run_report,
            fires,
            args=(schedule,),
            id=job_id,
            replace_existing=True,
            coalesce=True,
            misfire_grace_time=None,
        )

    async def _run_report(self, schedule: Schedule) -> None:
        try:
            await self._queue_report(schedule)
        except Exception:  # the edge of a job: it is tried again when the schedules are read
            log.exception("report not queued, trying again", schedule_id=schedule.schedule_id)

    async def _queue_report(self, schedule: Schedule) -> None:
        slot = due_slot(schedule, datetime.now(UTC))
        if slot is None:
            return
        queued = await in_database(reports.post_scheduled, schedule.tenant_id, schedule.schedule_id, slot)
        if queued:
            log.info("report queued", schedule_id=schedule.schedule_id, slot=slot.isoformat())

    async def _clean_up(self) -> None:
        for table in cleaning.TABLES:
            gone = 0
            try:
                while deleted := await in_database(cleaning.clean_up, table, self._keep):
                    gone += deleted
            except Exception:  # the edge of a job: what is left is found the next day
                log.exception("clean-up ended early", table=table)
            if gone:
                log.info("old rows deleted", table=table, rows=gone)


def due_slot(schedule: Schedule, now: datetime) -> datetime | None:
    """The newest time up to `now` that was neither posted for nor passed over, however long ago; None without one."""
    try:
        slot = latest(schedule.cron, schedule.time_zone, now)
    except BadInput as error:
        raise BadSchedule(error.sentence) from error
    if slot is None or slot < schedule.since:
        return None
    return slot if schedule.last_slot is None or slot > schedule.last_slot else None


async def delete_by_age() -> None:
    """What each tenant keeps no longer, a batch at a time; what is left over is found the next day."""
    with audit.coming_from("job:retention"):
        for keeping in await in_database(retention.all_keeping):
            try:
                await _delete_of(keeping)
            except Exception:  # the edge of a job: the other tenants' rows go all the same
                log.exception("retention ended early", tenant_id=keeping.tenant_id)


async def _delete_of(keeping: Keeping) -> None:
    for step in retention.steps(keeping):
        gone = 0
        while deleted := await in_database(retention.delete_some, keeping, step):
            gone += deleted
        if gone:
            log.info("rows deleted by age", tenant_id=keeping.tenant_id, table=step, rows=gone)
