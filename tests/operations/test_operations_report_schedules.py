"""When reports are posted, as a tenant's people decide it; and that a time that came is posted for once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from daemon.scheduler import due_slot
from database import tenant_transaction
from models import ReportSchedule, RoutePurpose, Tenant, uuid7
from operations import deactivation, report_schedules, reports
from operations.errors import BadInput, Conflict, NotFound
from operations.report_schedules import Planned, Wish
from tests.operations.builders import ANA, REPORTS, World, together

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENTRIES = "SELECT action, before->>'when', after->>'when' FROM audit_entries ORDER BY created_at, id"


def schedule(tenant: Tenant, when: str = "every weekday 09:00", **more: str) -> tuple[Planned, bool]:
    with tenant_transaction(tenant.id):
        wish = Wish(when, **more)
        return report_schedules.schedule(tenant.id, wish, schedule_id=uuid7(), actor=ANA.key, now=MONDAY)


def aged(world: World) -> None:
    """As if every schedule had been made long ago."""
    world.sql("UPDATE report_schedules SET updated_at = '2026-01-01'")


@pytest.mark.database_role("switchboard_bot")
def test_a_report_is_scheduled_by_the_clock_of_its_tenant(world: World, tenant: Tenant) -> None:
    world.sql("UPDATE tenants SET settings = jsonb_build_object('time_zone', 'Europe/Berlin')")

    planned, is_new = schedule(tenant)

    assert is_new
    assert planned.next_times == tuple(datetime(2026, 11, day, 8, tzinfo=UTC) for day in (24, 25, 26))
    assert planned.local_times == ("Tue 24 Nov 09:00", "Wed 25 Nov 09:00", "Thu 26 Nov 09:00")
    assert (planned.schedule.name, planned.said) == ("report-1", "every weekday 09:00")
    assert world.sql(ENTRIES) == [("report.schedule", None, "every weekday 09:00")]


@pytest.mark.database_role("switchboard_bot")
def test_the_same_name_again_changes_the_time(world: World, tenant: Tenant) -> None:
    first, _ = schedule(tenant, name="daily", unanswered="6")
    again, is_new = schedule(tenant, "0 8 * * *", name="Daily", time_zone="europe/berlin")

    assert not is_new
    assert again.schedule.id == first.schedule.id
    assert (again.schedule.cron, again.schedule.time_zone, again.schedule.unanswered_hours) == (
        "0 8 * * *",
        "Europe/Berlin",
        6,
    )
    assert world.sql(ENTRIES)[1:] == [("report.schedule", "every weekday 09:00", "0 8 * * *")]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"time_zone": "berlin"}, "Did you mean `Europe/Berlin`?"),
        ({"time_zone": "Europe/Berln"}, "Did you mean `Europe/Berlin`?"),
        ({"unanswered": "0"}, "with `4` the report names"),
        ({"unanswered": "many"}, "with `4` the report names"),
        ({"name": "every day"}, "such as `daily`"),
        ({"when": "0 9 31 2 *"}, "never comes"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_what_could(
    world: World, tenant: Tenant, more: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadInput) as refused:
        schedule(tenant, **more)

    assert sentence in refused.value.sentence
    assert world.sql("SELECT * FROM report_schedules") == []


def test_there_is_an_end_to_the_number_of_schedules(tenant: Tenant) -> None:
    times = [f"every day {hour:02}:00" for hour in range(report_schedules.MOST + 1)]
    names = [schedule(tenant, time)[0].schedule.name for time in times[:-1]]

    assert names == [f"report-{number}" for number in range(1, report_schedules.MOST + 1)]
    with pytest.raises(Conflict, match="report remove NAME"):
        schedule(tenant, times[-1])


@pytest.mark.parametrize(
    ("again", "is_refused"),
    [
        ({"when": "0 9 * * mon-fri"}, True),
        ({"name": "daily"}, True),
        ({"time_zone": "Europe/Berlin"}, False),
        ({"when": "every day 09:00"}, False),
    ],
)
def test_two_reports_do_not_come_at_the_same_times(tenant: Tenant, again: dict[str, str], *, is_refused: bool) -> None:
    schedule(tenant, name="health")

    if is_refused:
        with pytest.raises(Conflict, match="`health` does that already"):
            schedule(tenant, **again)
    else:
        assert schedule(tenant, **again)[1]


@pytest.mark.database_role("switchboard_bot")
def test_a_schedule_is_paused_resumed_and_removed_once(world: World, tenant: Tenant) -> None:
    schedule(tenant, name="daily")
    with tenant_transaction(tenant.id):
        paused = [report_schedules.pause(tenant.id, "daily", actor=ANA.key)[1] for _ in range(2)]
        times = report_schedules.named(tenant.id, "daily").next_times
        resumed = [report_schedules.resume(tenant.id, "daily", actor=ANA.key)[1] for _ in range(2)]
        report_schedules.remove(tenant.id, "daily", actor=ANA.key)
        left = report_schedules.list_all(tenant.id)

    assert (paused, times, resumed, left) == ([True, False], (), [True, False], [])
    actions = [action for action, *_ in world.sql(ENTRIES)]
    assert actions == ["report.schedule", "report.pause", "report.resume", "report.remove"]


def test_an_unknown_name_is_answered_with_the_nearest(tenant: Tenant) -> None:
    schedule(tenant, name="daily")

    with tenant_transaction(tenant.id), pytest.raises(NotFound, match="Did you mean `daily`"):
        report_schedules.named(tenant.id, "dialy")


def test_another_tenants_schedule_is_none(world: World, tenant: Tenant) -> None:
    schedule(world.tenant("Globex"), name="theirs")

    with tenant_transaction(tenant.id), pytest.raises(NotFound, match="Make one"):
        report_schedules.named(tenant.id, "theirs")
    assert schedule(tenant)[1]


def slot_of(world: World, now: datetime) -> datetime | None:
    [found] = reports.schedules()
    return due_slot(found, now)


def test_a_time_that_was_missed_is_due_until_it_is_posted_for(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    planned, _ = schedule(tenant, "every day 09:00")
    aged(world)
    nine = MONDAY.replace(hour=9)

    due = [slot_of(world, now) for now in (nine, nine + timedelta(hours=23))]
    posted = [reports.post_scheduled(tenant.id, planned.schedule.id, nine) for _ in range(2)]

    assert due == [nine, nine]
    assert posted == [True, False]
    assert slot_of(world, nine + timedelta(hours=23)) is None
    assert slot_of(world, nine + timedelta(days=3)) == nine + timedelta(days=3)


def test_of_many_missed_times_only_the_newest_is_posted_for(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    planned, _ = schedule(tenant, "every hour")
    aged(world)

    newest = reports.post_scheduled(tenant.id, planned.schedule.id, MONDAY)
    older = reports.post_scheduled(tenant.id, planned.schedule.id, MONDAY - timedelta(hours=1))

    assert (newest, older) == (True, False)
    assert len(world.texts(REPORTS)) == 1


@pytest.mark.parametrize("change", ["pause", "change", "deactivate"])
def test_what_was_not_to_be_posted_is_not_posted_late(world: World, tenant: Tenant, change: str) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    planned, _ = schedule(tenant, "every day 09:00", name="daily")
    aged(world)
    with tenant_transaction(tenant.id):
        if change == "pause":
            report_schedules.pause(tenant.id, "daily", actor=ANA.key)
            report_schedules.resume(tenant.id, "daily", actor=ANA.key)
        elif change == "deactivate":
            deactivation.deactivate(tenant.id, event_id=uuid7(), operators=(), actor=ANA.key)
            deactivation.activate(tenant.id, event_id=uuid7(), operators=(), actor=ANA.key)
    if change == "change":
        schedule(tenant, "every day 08:00", name="daily")
    now = world.value("SELECT now()")

    assert slot_of(world, now) is None
    assert not reports.post_scheduled(tenant.id, planned.schedule.id, now - timedelta(days=1))


def test_without_a_channel_a_time_is_passed_over(world: World, tenant: Tenant) -> None:
    planned, _ = schedule(tenant, "every day 09:00")
    aged(world)

    posted = reports.post_scheduled(tenant.id, planned.schedule.id, MONDAY.replace(hour=9))

    assert not posted
    assert slot_of(world, MONDAY) is None


def test_the_hour_that_comes_twice_is_posted_for_once(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    planned, _ = schedule(tenant, "every day 02:30", time_zone="Europe/Berlin")
    aged(world)
    evening = datetime(2026, 10, 24, 20, tzinfo=UTC)
    looks = [evening + timedelta(minutes=10 * number) for number in range(72)]

    slots = [slot for look in looks if (slot := slot_of(world, look)) is not None]
    posted = [reports.post_scheduled(tenant.id, planned.schedule.id, slot) for slot in slots]

    # The evening's is of the night before.
    assert sorted(set(slots)) == [datetime(2026, 10, 24, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    assert posted.count(True) == 2


def test_whoever_tries_at_the_same_moment_posts_once(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    planned, _ = schedule(tenant, "every day 09:00")
    aged(world)

    posted = together(*[partial(reports.post_scheduled, tenant.id, planned.schedule.id, MONDAY)] * 4)

    assert sorted(posted) == [False, False, False, True]
    assert len(world.texts(REPORTS)) == 1


def test_a_row_that_came_from_the_settings_is_shown_by_its_fields(world: World, tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        ReportSchedule.create(tenant_id=tenant.id, name="health", cron="0 9 * * 1-5", time_zone="UTC")
        [planned] = report_schedules.list_all(tenant.id, now=MONDAY)

    assert planned.said == "0 9 * * 1-5"
    assert planned.local_times[0] == "Tue 24 Nov 09:00"
