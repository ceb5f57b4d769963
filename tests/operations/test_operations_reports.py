"""That a report and its pictures are queued, where and how often; what is in it: `test_operations_report_rows`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from database import tenant_transaction
from models import Direction, MessageStatus, ReportSchedule, RoutePurpose, Tenant, WahaSession, uuid7
from operations import relaying, reports
from tests.operations.builders import ALERTS, REPORTS, SUPPORT, World, together

SLOT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)


def schedule(tenant: Tenant, **more: object) -> ReportSchedule:
    fields = {"name": "health", "cron": "0 9 * * *", "time_zone": "Europe/Berlin"} | more
    with tenant_transaction(tenant.id):
        return ReportSchedule.create(tenant_id=tenant.id, updated_at=SLOT - timedelta(days=30), **fields)


def payloads(world: World) -> list[dict[str, Any]]:
    return [payload for (payload,) in world.sql("SELECT payload FROM slack_posts ORDER BY created_at, seq")]


def test_a_report_is_queued_once_for_its_slot_whoever_tries(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    due = schedule(tenant)

    queued = together(*[partial(reports.post_scheduled, tenant.id, due.id, SLOT)] * 4)
    later = reports.post_scheduled(tenant.id, due.id, SLOT + timedelta(days=1))

    assert sorted(queued) == [False, False, False, True]
    assert later
    assert len(world.texts(REPORTS)) == 2


@pytest.mark.parametrize(
    ("purposes", "expected"),
    [
        ((RoutePurpose.REPORTS, RoutePurpose.ALERTS, RoutePurpose.CONVERSATIONS), REPORTS),
        ((RoutePurpose.ALERTS, RoutePurpose.CONVERSATIONS), ALERTS),
        ((RoutePurpose.CONVERSATIONS,), SUPPORT),
        ((), None),
    ],
)
def test_a_report_goes_to_the_channel_for_reports_else_alerts_else_conversations(
    world: World, tenant: Tenant, purposes: tuple[RoutePurpose, ...], expected: str | None
) -> None:
    channels = {RoutePurpose.REPORTS: REPORTS, RoutePurpose.ALERTS: ALERTS, RoutePurpose.CONVERSATIONS: SUPPORT}
    for purpose in purposes:
        world.route(tenant, channels[purpose], purpose)

    queued = reports.post_scheduled(tenant.id, schedule(tenant).id, SLOT)

    assert queued == (expected is not None)
    assert world.value("SELECT slack_channel_id FROM slack_posts") == expected


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(seconds=5), ""),
        (timedelta(minutes=9), ""),
        (timedelta(minutes=140), "⏰ Due Sun 22 Nov 10:00, posted Sun 22 Nov 12:20: it could not be made then."),
    ],
)
def test_a_report_that_comes_late_says_so(world: World, tenant: Tenant, after: timedelta, said: str) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)

    reports.post_scheduled(tenant.id, schedule(tenant).id, SLOT, now=SLOT + after)

    [text] = world.texts(REPORTS)
    assert said in text
    assert ("⏰" in text) == bool(said)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (None, "_The last 24 h_"),
        (SLOT - timedelta(hours=3), "_Since the last report (Sun 22 Nov 07:00): 3 h_"),
        (SLOT - timedelta(days=90), "_Since the last report (Thu 22 Oct 11:00): 31 days 0 h_"),
    ],
)
def test_a_report_is_about_the_time_since_the_last(
    world: World, tenant: Tenant, last: datetime | None, said: str
) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    due = schedule(tenant, last_until=last)

    reports.post_scheduled(tenant.id, due.id, SLOT, now=SLOT)

    assert said in world.texts(REPORTS)[0]


def test_what_a_late_report_told_is_not_told_again(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    due = schedule(tenant)

    for slot, late in ((SLOT, timedelta(hours=6)), (SLOT + timedelta(days=1), timedelta(0))):
        reports.post_scheduled(tenant.id, due.id, slot, now=slot + late)

    assert "_Since the last report (Sun 22 Nov 16:00): 18 h_" in world.texts(REPORTS)[1]


def test_a_time_without_a_channel_is_told_by_the_next_report(world: World, tenant: Tenant) -> None:
    due = schedule(tenant, last_until=SLOT - timedelta(days=1))

    passed_over = reports.post_scheduled(tenant.id, due.id, SLOT, now=SLOT)
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    reports.post_scheduled(tenant.id, due.id, SLOT + timedelta(days=1), now=SLOT + timedelta(days=1))

    assert not passed_over
    assert "_Since the last report (Sat 21 Nov 10:00): 2 days 0 h_" in world.texts(REPORTS)[0]


@pytest.mark.parametrize("change", ["status = 'inactive'", "deleted_at = now()"])
def test_nothing_is_posted_for_a_tenant_that_was_deactivated_since_schedules_were_read(
    world: World, tenant: Tenant, change: str
) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    due = schedule(tenant)
    world.sql(f"UPDATE tenants SET {change}")  # noqa: S608 - words of ours

    queued = reports.post_scheduled(tenant.id, due.id, SLOT)

    assert not queued
    assert world.sql("SELECT count(*) FROM slack_posts") == [(0,)]


@pytest.mark.database_role("switchboard_bot")
def test_a_report_that_was_asked_for_is_queued_once_for_its_command(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    event_id = uuid7()

    with tenant_transaction(tenant.id):
        route = reports.post_now(tenant.id, event_id=event_id)
        reports.post_now(tenant.id, event_id=event_id)

    assert route is not None
    assert route.slack_channel_id == REPORTS
    [text] = world.texts(REPORTS)
    assert "_The last 24 h_" in text


def test_pictures_are_queued_for_the_thread_of_the_report_once_it_stands(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    conversation = world.conversation(session)
    world.sql("UPDATE waha_sessions SET status_changed_at = now() - interval '2 days'")
    for direction in (Direction.INBOUND, Direction.OUTBOUND):
        world.message(conversation, direction=direction, status=MessageStatus.DELIVERED)
    with tenant_transaction(tenant.id):
        reports.post_now(tenant.id, event_id=uuid7())

    [report] = relaying.lease(10, LEASE, LEASE)
    assert relaying.record_posted(report, "1700000000.000100")
    [picture] = relaying.lease(10, LEASE, LEASE)

    text, *pictures = payloads(world)
    assert "*Health report for Acme*" in text["text"]
    assert [one["drawing"]["kind"] for one in pictures] == ["timeline", "volume", "answers"]
    assert all(one["alt_text"] for one in pictures)
    assert picture.payload["drawing"]["kind"] == "timeline"
    assert world.sql("SELECT DISTINCT thread_ts FROM slack_posts WHERE payload ? 'drawing'") == [("1700000000.000100",)]
    assert not relaying.record_posted(report, "1700000000.000100")
    assert len(payloads(world)) == 4


def test_schedules_of_living_tenants_are_read(world: World, tenant: Tenant) -> None:
    due = schedule(tenant, last_slot=SLOT)
    schedule(tenant, name="paused", is_paused=True)
    schedule(world.tenant("Globex"))
    world.sql("UPDATE tenants SET status = 'inactive' WHERE name = 'Globex'")
    schedule(world.tenant("Initech"))
    world.sql("UPDATE tenants SET deleted_at = now() WHERE name = 'Initech'")

    [found] = reports.schedules()

    assert (found.schedule_id, found.cron, found.time_zone, found.last_slot) == (
        due.id,
        "0 9 * * *",
        "Europe/Berlin",
        SLOT,
    )
