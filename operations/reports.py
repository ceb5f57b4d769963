"""The health reports of a tenant: queued once for each time of a schedule, or when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import set_tenant, tenant_transaction, transaction
from models import ChannelRoute, PostKind, ReportSchedule, RoutePurpose, now_utc
from operations import report_pictures, report_rows, tenant_settings
from operations.posting import channel_lane, queue_post
from operations.report_facts import Late, Period, ReportFacts
from operations.report_text import written
from operations.routes import channel_for
from operations.sql import changed, locked, rows

PLACES = (RoutePurpose.REPORTS, RoutePurpose.ALERTS, RoutePurpose.CONVERSATIONS)
"""A report goes to the tenant's channel for the first of these that it has."""

GRACE = timedelta(minutes=10)
"""A report that comes later than this says so; before, another daemon was taking over."""

_A_DAY = timedelta(hours=24)
# What happened is kept for about so long, and nobody reads more of it.
_LONGEST = timedelta(days=31)
_HOURS = 4


@dataclass(frozen=True)
class Schedule:
    """When a tenant's report is due: five-field cron in its own time zone, `since` it was made or changed.

    `last_slot` is the newest time that was posted for or passed over, as it was when the schedule was read.
    """

    tenant_id: UUID
    schedule_id: UUID
    cron: str
    time_zone: str
    since: datetime
    # It moves with each report, and makes no other schedule of it.
    last_slot: datetime | None = field(default=None, compare=False)


def schedules() -> list[Schedule]:
    with transaction():
        return rows(Schedule, "SELECT * FROM live_report_schedules()")


def post_scheduled(tenant_id: UUID, schedule_id: UUID, slot: datetime, *, now: datetime | None = None) -> bool:
    """Queue the report of one slot, once however many daemons try; False when it is there or has nowhere to go.

    Nothing is posted for a tenant that was deactivated since the schedules were read.

    A slot that comes before one which was posted or passed over is passed over itself. Without a channel it is so too:
    one that is linked later begins with the next report.
    """
    with tenant_transaction(tenant_id):
        # Whoever comes second waits for the first, and finds the slot taken.
        schedule = locked(ReportSchedule.live().where(ReportSchedule.id == schedule_id)).first()
        if schedule is None or not changed(_TAKE_SLOT, {"slot": slot, "schedule": schedule_id, "tenant": tenant_id}):
            return False
        period = _period_of(schedule, slot, now or now_utc())
        if _queue(tenant_id, period, slot=f"report:{schedule_id}:{slot:%Y-%m-%dT%H:%MZ}") is None:
            return False
        ReportSchedule.update(last_until=period.until).where(ReportSchedule.id == schedule_id).execute()
        return True


_TAKE_SLOT = """
    UPDATE report_schedules SET last_slot = %(slot)s
    WHERE id = %(schedule)s AND tenant_id = %(tenant)s AND deleted_at IS NULL AND NOT is_paused
        AND updated_at <= %(slot)s AND coalesce(last_slot < %(slot)s, true)
        AND EXISTS (SELECT FROM tenants WHERE id = %(tenant)s AND status = 'active' AND deleted_at IS NULL)
"""


def post_now(tenant_id: UUID, *, event_id: UUID) -> ChannelRoute | None:
    """Queue a report of the last 24 hours in the tenant's channel for them; None when it has none."""
    set_tenant(tenant_id)
    return _queue(tenant_id, last_day(tenant_id), slot=f"report:now:{event_id}")


def last_day(tenant_id: UUID, *, now: datetime | None = None) -> Period:
    """What a report is about that no schedule asked for."""
    until = now or now_utc()
    first = (
        ReportSchedule.live().where(ReportSchedule.tenant_id == tenant_id).order_by(ReportSchedule.created_at).first()
    )
    hours = first.unanswered_hours if first is not None else _HOURS
    return Period(until - _A_DAY, until, hours, tenant_settings.settings_of(tenant_id).time_zone)


def _period_of(schedule: ReportSchedule, slot: datetime, now: datetime) -> Period:
    """Since the last report, as far as that is known; to the present, also where that is later than the slot."""
    last: datetime | None = schedule.last_until
    since = max(last, now - _LONGEST) if last is not None else now - _A_DAY
    late = Late(slot, now) if now - slot > GRACE else None
    return Period(since, now, schedule.unanswered_hours, schedule.time_zone, last is not None, late)


def _queue(tenant_id: UUID, period: Period, *, slot: str) -> ChannelRoute | None:
    route = channel_for(tenant_id, *PLACES)
    if route is None:
        return None
    facts = report_rows.facts(tenant_id, period)
    said = written(facts)
    queued = queue_post(
        channel_lane(route.slack_team_id, route.slack_channel_id),
        PostKind.POST,
        {"text": said.text, "blocks": list(said.blocks or ()), "names_commands": True, "below": _pictures(facts)},
        team_id=route.slack_team_id,
        channel_id=route.slack_channel_id,
        tenant_id=tenant_id,
        slot=slot,
    )
    return route if queued else None


def _pictures(facts: ReportFacts) -> list[dict[str, Any]]:
    """For the thread of the report, which is told first: a picture that fails takes nothing from it."""
    return [
        {
            "text": "",
            "file": "",
            "drawing": picture.figures,
            "filename": picture.filename,
            "alt_text": picture.alt_text,
        }
        for picture in report_pictures.pictures(facts)
    ]
