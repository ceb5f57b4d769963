from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from database import tenant_transaction
from models import Direction, MessageStatus, ReportSchedule, RoutePurpose, Tenant, WahaSession, uuid7
from operations import reports
from tests.operations.builders import ALERTS, REPORTS, SUPPORT, World, take, together, webhook

SLOT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def report(tenant: Tenant) -> list[str]:
    with tenant_transaction(tenant.id):
        return reports.build(tenant.id).splitlines()


def schedule(tenant: Tenant, **more: object) -> ReportSchedule:
    fields = {"name": "health", "cron": "0 9 * * *", "time_zone": "Europe/Berlin"} | more
    with tenant_transaction(tenant.id):
        return ReportSchedule.create(tenant_id=tenant.id, updated_at=CHANGED - timedelta(days=30), **fields)


def server(world: World, state: str) -> None:
    world.sql("INSERT INTO waha_servers (id, name, state) VALUES (gen_random_uuid(), 'main', %s)", state)


def test_a_tenant_without_sessions_gets_a_report_that_says_so(tenant: Tenant) -> None:
    head, *lines = report(tenant)

    assert head.startswith("*Health report for Acme* · <!date^")
    assert lines == ["No sessions yet.", "", "Nothing needs to be done."]


@pytest.mark.parametrize(
    ("status", "line", "step"),
    [
        ("working", "🟢 `sales` working", None),
        ("starting", "🟡 `sales` starting", None),
        ("scan_qr", "🟠 `sales` waits for its QR code to be scanned", "Link the phone of `sales`: `session qr sales`."),
        ("failed", "🔴 `sales` failed", "Look after `sales`: `session show sales`."),
        ("stopped", "⚪ `sales` stopped", "Look after `sales`: `session show sales`."),
    ],
)
def test_each_state_of_a_session_has_its_line_and_its_step(
    world: World, tenant: Tenant, session: WahaSession, status: str, line: str, step: str | None
) -> None:
    world.sql("UPDATE waha_sessions SET status = %s, status_changed_at = %s", status, CHANGED)

    _, shown, counts, _, *to_do = report(tenant)

    assert shown == f"{line} since <!date^1795336200^{{date_short_pretty}} {{time}}|2026-11-22 08:30 UTC>"
    assert counts == "      no messages in 24 h · queue empty"
    assert to_do == (["*To do now*", f"• {step}"] if step else ["Nothing needs to be done."])


def test_a_session_that_shall_be_stopped_asks_for_nothing(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.sql("UPDATE waha_sessions SET status = 'stopped', desired_state = 'stopped'")

    assert report(tenant)[-1] == "Nothing needs to be done."


@pytest.mark.parametrize(
    ("state", "words", "step"),
    [
        (
            "down",
            " · server `main` is away",
            "• Bring WAHA server `main` back; messages wait in the queue until then.",
        ),
        (
            "key_refused",
            " · server `main` refuses our key",
            "• Set the API key of server `main`: WAHA refuses ours.",
        ),
        ("up", "working", "Nothing needs to be done."),
        ("unknown", "working", "Nothing needs to be done."),
    ],
)
def test_a_servers_trouble_stands_at_its_sessions(
    world: World, tenant: Tenant, session: WahaSession, state: str, words: str, step: str
) -> None:
    server(world, state)

    lines = report(tenant)

    assert lines[1].endswith(words)
    assert lines[-1] == step


def test_the_last_24_hours_and_the_queue_are_counted(world: World, tenant: Tenant, session: WahaSession) -> None:
    conversation = world.conversation(session)
    counted = {MessageStatus.SENT: 1, MessageStatus.DELIVERED: 2, MessageStatus.FAILED: 3, MessageStatus.QUEUED: 4}
    for status, count in counted.items():
        for _ in range(count):
            world.message(conversation, status=status)
    for _ in range(5):
        world.message(conversation, direction=Direction.INBOUND, status=MessageStatus.DELIVERED)
    world.sql("UPDATE messages SET created_at = now() - interval '25 hours' WHERE seq = 2")
    world.sql("UPDATE messages SET created_at = now() - interval '3 days' WHERE seq = 10")

    lines = report(tenant)

    assert lines[2].startswith("      24 h: 5 received, 2 sent, 1 delivered, 3 failed · queue 4, oldest from <!date^")
    assert lines[-1] == "• See what failed in `sales`: `message list --status failed`."


def test_messages_that_wait_for_a_channel_are_counted(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(*[webhook(session, "message.any", {"id": f"false_1555@c.us_3A{number}", "body": "Hi"}) for number in range(3)])

    assert "📭 3 messages wait for a channel: run `channel link` where they should appear." in report(tenant)


def test_another_tenants_matters_are_not_in_the_report(world: World, tenant: Tenant) -> None:
    other = world.session(world.tenant("Globex"), "theirs")
    world.message(world.conversation(other))

    assert report(tenant)[1:] == ["No sessions yet.", "", "Nothing needs to be done."]


def test_names_cannot_forge_a_report(world: World) -> None:
    tenant = world.tenant("<!channel>")

    assert report(tenant)[0].startswith("*Health report for &lt;!channel&gt;*")


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


@pytest.mark.database_role("switchboard_bot")
def test_a_report_that_was_asked_for_is_queued_once_for_its_command(world: World, tenant: Tenant) -> None:
    world.route(tenant, REPORTS, RoutePurpose.REPORTS)
    event_id = uuid7()

    with tenant_transaction(tenant.id):
        route = reports.post_now(tenant.id, event_id=event_id)
        reports.post_now(tenant.id, event_id=event_id)

    assert route is not None
    assert route.slack_channel_id == REPORTS
    assert len(world.texts(REPORTS)) == 1


def test_schedules_of_living_tenants_are_read(world: World, tenant: Tenant) -> None:
    due = schedule(tenant)
    schedule(tenant, name="paused", is_paused=True)
    schedule(world.tenant("Globex"))
    world.sql("UPDATE tenants SET status = 'inactive' WHERE name = 'Globex'")
    schedule(world.tenant("Initech"))
    world.sql("UPDATE tenants SET deleted_at = now() WHERE name = 'Initech'")

    [found] = reports.schedules()

    assert (found.schedule_id, found.cron, found.time_zone) == (due.id, "0 9 * * *", "Europe/Berlin")
