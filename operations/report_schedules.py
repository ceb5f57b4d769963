"""When a tenant's health reports are posted, as its people decide it. The daemon's clock reads it from the rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from database import set_tenant
from models import ReportSchedule, now_utc
from operations import audit, tenant_settings
from operations.errors import BadInput, Conflict, NotFound
from operations.schedule_times import Schedule, following
from operations.schedule_words import Words, understood
from operations.sql import changed, database_now, lock
from slack.mrkdwn import escape

MOST = 20
"""More in one tenant are nobody's wish."""

SHOWN_TIMES = 3
_MOST_HOURS = 24 * 14
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Planned:
    """A schedule and when it comes next; a paused one does not."""

    schedule: ReportSchedule
    next_times: tuple[datetime, ...]

    @property
    def said(self) -> str:
        """As it was typed, or its five fields."""
        return self.schedule.said_as or self.schedule.cron

    @property
    def local_times(self) -> tuple[str, ...]:
        """`Tue 24 Nov 09:00`, by the clock of the schedule."""
        zone = ZoneInfo(self.schedule.time_zone)
        return tuple(f"{time.astimezone(zone):%a %-d %b %H:%M}" for time in self.next_times)


@dataclass(frozen=True)
class Wish:
    """What was typed; `time_zone` and `unanswered` are None where they were not."""

    when: str
    name: str | None = None
    time_zone: str | None = None
    unanswered: str | None = None


def schedule(
    tenant_id: UUID, wish: Wish, *, schedule_id: UUID, actor: str, now: datetime | None = None
) -> tuple[Planned, bool]:
    """A new schedule, or another time for the one of that name; the second value says whether it is new.

    Raises:
        BadInput: with what is not understood, and what would be right.
        Conflict: another one comes at just these times, or there are too many.
    """
    words = understood(wish.when)
    time_zone = zone_of(wish.time_zone or tenant_settings.settings_of(tenant_id).time_zone)
    _refuse_never(words, time_zone)
    set_tenant(tenant_id)
    lock(f"report schedules:{tenant_id}")
    mine = {one.name: one for one in _live(tenant_id)}
    name = name_of(wish.name) if wish.name is not None else _free_name(mine)
    fields: dict[str, Any] = {"cron": words.cron, "said_as": words.said, "time_zone": time_zone}
    if wish.unanswered is not None:
        fields["unanswered_hours"] = hours_of(wish.unanswered)
    if (known := mine.get(name)) is not None:
        return planned(_changed(known, fields, actor=actor), now=now), False
    _refuse_twin(mine.values(), words, time_zone)
    if len(mine) >= MOST:
        raise Conflict(f"This tenant has {MOST} schedules already; take one away first: `report remove NAME`.")
    made = ReportSchedule.create(id=schedule_id, tenant_id=tenant_id, name=name, **fields)
    audit.record(actor, "report.schedule", made, tenant_id=tenant_id, after=_facts(made))
    return planned(made, now=now), True


def list_all(tenant_id: UUID, *, now: datetime | None = None) -> list[Planned]:
    set_tenant(tenant_id)
    return [planned(one, now=now) for one in _live(tenant_id)]


def named(tenant_id: UUID, typed: str, *, now: datetime | None = None) -> Planned:
    """The tenant's schedule of that name.

    Raises:
        NotFound: it has none of that name.
    """
    set_tenant(tenant_id)
    mine = {one.name: one for one in _live(tenant_id)}
    if (found := mine.get(typed.strip().lower())) is not None:
        return planned(found, now=now)
    near = difflib.get_close_matches(typed.strip().lower(), list(mine), n=1)
    hint = (
        f"Did you mean `{near[0]}`?"
        if near
        else "See `report list`."
        if mine
        else 'Make one: `report schedule "every weekday 09:00"`.'
    )
    raise NotFound(f"There is no schedule called `{escape(typed)}`. {hint}")


def pause(tenant_id: UUID, typed: str, *, actor: str) -> tuple[ReportSchedule, bool]:
    """The schedule, and whether that is new."""
    found = named(tenant_id, typed).schedule
    return found, _turn(found, is_paused=True, action="report.pause", actor=actor)


def resume(tenant_id: UUID, typed: str, *, actor: str) -> tuple[Planned, bool]:
    """The schedule, and whether that is new. What came due meanwhile is passed over."""
    found = named(tenant_id, typed).schedule
    is_new = _turn(found, is_paused=False, action="report.resume", actor=actor)
    return named(tenant_id, found.name), is_new


def remove(tenant_id: UUID, typed: str, *, actor: str) -> ReportSchedule:
    found = named(tenant_id, typed).schedule
    ReportSchedule.update(deleted_at=now_utc(), updated_at=now_utc()).where(ReportSchedule.id == found.id).execute()
    audit.record(actor, "report.remove", found, tenant_id=tenant_id, before=_facts(found))
    return found


def pass_over(tenant_id: UUID) -> None:
    """What came due while nothing was to be posted is not posted late."""
    changed(
        "UPDATE report_schedules SET last_slot = greatest(last_slot, clock_timestamp()) WHERE tenant_id = %s",
        (tenant_id,),
    )


def planned(schedule: ReportSchedule, *, now: datetime | None = None) -> Planned:
    if schedule.is_paused:
        return Planned(schedule, ())
    times = following(schedule.cron, schedule.time_zone, now or database_now())
    return Planned(schedule, tuple(islice(times, SHOWN_TIMES)))


def zone_of(typed: str) -> str:
    """The time zone as it is written.

    Raises:
        BadInput: there is none of that name.
    """
    zones = {zone.lower(): zone for zone in available_timezones()}
    if (found := zones.get(typed.strip().lower().replace(" ", "_"))) is not None:
        return found
    near = difflib.get_close_matches(typed.strip().lower(), list(zones), n=1, cutoff=0.4)
    ends = [zone for lowered, zone in zones.items() if lowered.endswith(f"/{typed.strip().lower().replace(' ', '_')}")]
    meant = ends[0] if ends else zones[near[0]] if near else "Europe/Berlin"
    raise BadInput(f"`{escape(typed)}` is no time zone. Did you mean `{meant}`?")


def _live(tenant_id: UUID) -> list[ReportSchedule]:
    return list(ReportSchedule.live().where(ReportSchedule.tenant_id == tenant_id).order_by(ReportSchedule.name))


def _changed(known: ReportSchedule, fields: dict[str, Any], *, actor: str) -> ReportSchedule:
    before = _facts(known)
    # The time of the change: what came due before it by the new words was never meant.
    ReportSchedule.update(fields | {"updated_at": database_now()}).where(ReportSchedule.id == known.id).execute()
    after = ReportSchedule.get_by_id(known.id)
    audit.record(actor, "report.schedule", after, tenant_id=known.tenant_id, before=before, after=_facts(after))
    return after


def _turn(found: ReportSchedule, *, is_paused: bool, action: str, actor: str) -> bool:
    if found.is_paused == is_paused:
        return False
    ReportSchedule.update(is_paused=is_paused, updated_at=database_now()).where(ReportSchedule.id == found.id).execute()
    audit.record(actor, action, found, tenant_id=found.tenant_id)
    return True


def _facts(schedule: ReportSchedule) -> dict[str, Any]:
    return {
        "when": schedule.said_as or schedule.cron,
        "time_zone": schedule.time_zone,
        "unanswered_hours": schedule.unanswered_hours,
    }


def name_of(typed: str) -> str:
    """`Daily` -> `daily`.

    Raises:
        BadInput: it is no name for a schedule.
    """
    name = typed.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"`{escape(typed)}` is no name for a schedule: use up to 40 small letters, digits, `-` and `_`, such as "
            "`daily`."
        )
    return name


def _free_name(taken: dict[str, ReportSchedule]) -> str:
    return next(name for number in range(1, MOST + 2) if (name := f"report-{number}") not in taken)


def _refuse_twin(mine: Iterable[ReportSchedule], words: Words, time_zone: str) -> None:
    """Two reports in one minute would say the same: every tenant begins with one, which few know."""
    for one in mine:
        if one.time_zone == time_zone and Schedule.of(one.cron) == Schedule.of(words.cron):
            going_on = f"It is paused: go on with `report resume {one.name}`." if one.is_paused else "Nothing was done."
            raise Conflict(
                f"`{one.name}` does that already, at `{escape(one.said_as or one.cron)}` ({one.time_zone}). {going_on} "
                f"Change it with `--name {one.name}`, or choose another time."
            )


def hours_of(typed: str) -> int:
    """`4`, `4h` or `4 hours`.

    Raises:
        BadInput: it is no number of hours, or one without sense.
    """
    found = re.fullmatch(r"(\d{1,3})\s*h?(?:ours?)?", typed.strip().lower())
    if found is None or not 1 <= int(found[1]) <= _MOST_HOURS:
        raise BadInput(
            f"`{escape(typed)}` is no number of hours from 1 to {_MOST_HOURS}: with `4` the report names "
            "conversations that nobody answered for four hours."
        )
    return int(found[1])


def _refuse_never(words: Words, time_zone: str) -> None:
    if next(following(words.cron, time_zone, database_now()), None) is None:
        raise BadInput(f"`{escape(words.said)}` never comes: no such month has such a day.")
