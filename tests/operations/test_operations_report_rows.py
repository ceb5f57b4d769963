"""Each figure of a health report, against rows that were made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import tenant_transaction
from models import (
    Conversation,
    Direction,
    HealthLevel,
    Incident,
    IncidentKind,
    Message,
    MessageStatus,
    NumberHealth,
    SessionCheck,
    Tenant,
    WahaSession,
)
from operations import report_rows
from operations.report_facts import DeadLetters, IncidentFacts, NumberFacts, Period, Queue, ReportFacts, Traffic
from tests.operations.builders import SUPPORT, World, take, webhook

UNTIL = datetime(2026, 11, 23, 8, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=24)
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
# The weaker of the two who make reports.
pytestmark = pytest.mark.database_role("switchboard_bot")


def read(tenant: Tenant, **more: Any) -> ReportFacts:
    with tenant_transaction(tenant.id):
        return report_rows.facts(tenant.id, Period(SINCE, UNTIL, 4, **more))


def at(hours: float) -> datetime:
    """So many hours after the report's time begins."""
    return SINCE + timedelta(hours=hours)


def wrote(world: World, conversation: Conversation, hours: float, direction: Direction, **more: Any) -> Message:
    status = {"status": MessageStatus.DELIVERED} | more
    message = world.message(conversation, direction=direction, **status)
    world.sql("UPDATE messages SET created_at = %s WHERE id = %s", at(hours), message.id)
    if direction is IN:
        world.sql("UPDATE conversations SET last_inbound_at = %s WHERE id = %s", at(hours), conversation.id)
    return message


def checked(session: WahaSession, hours: float, status: str) -> None:
    with tenant_transaction(session.tenant_id):
        SessionCheck.create(
            tenant_id=session.tenant_id,
            session_id=session.id,
            status=status,
            raw_status=status.upper(),
            source="poll",
            observed_at=at(hours),
        )


def test_uptime_is_the_share_of_the_time_in_which_it_worked(world: World, tenant: Tenant, session: WahaSession) -> None:
    for hours, status in ((-30, "failed"), (-5, "working"), (6, "failed"), (12, "working"), (25, "failed")):
        with world.migrated.owner():
            checked(session, hours, status)

    [found] = read(tenant).sessions

    assert found.uptime == 0.75
    assert [span.status for span in found.spans] == ["working", "failed", "working"]


def test_the_time_before_people_wanted_it_to_run_does_not_count(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    with world.migrated.owner():
        checked(session, -30, "stopped")
        checked(session, 18, "working")
    world.sql("UPDATE waha_sessions SET wanted_since = %s", at(16))

    [found] = read(tenant).sessions

    assert found.uptime == 0.75


def test_an_outage_is_not_forgotten_when_somebody_stops_and_starts_the_session(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    with world.migrated.owner():
        for hours, status in ((-30, "working"), (2, "failed"), (14, "stopped"), (14.2, "working")):
            checked(session, hours, status)
    world.sql("UPDATE waha_sessions SET wanted_since = %s", at(14.2))

    [found] = read(tenant).sessions

    assert [span.status for span in found.spans] == ["working", "failed", "working"]
    assert found.uptime is not None
    assert found.uptime < 0.5


def test_whether_a_phone_is_linked_is_told(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.sql("UPDATE waha_sessions SET metadata = metadata - 'me_id'")
    [never] = read(tenant).sessions
    world.sql("""UPDATE waha_sessions SET metadata = '{"me_id": "15550001@c.us"}'""")
    [since] = read(tenant).sessions

    assert (never.is_linked, since.is_linked) == (False, True)


def test_the_time_of_a_server_that_was_away_counts_as_not_working(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    columns = "id, name, state, state_changed_at"
    world.sql(
        f"INSERT INTO waha_servers ({columns}) VALUES (gen_random_uuid(), 'main', 'down', %s)",  # noqa: S608
        at(21),
    )
    world.sql("UPDATE waha_sessions SET status_changed_at = %s", at(-100))
    with world.migrated.owner():
        for begin, end, server in ((2, 5, "main"), (1, 20, "other")):
            Incident.create(
                server=server, kind=IncidentKind.SERVER_AWAY, began_at=at(begin), ended_at=at(end), tenant_id=None
            )

    [found] = read(tenant).sessions

    assert found.uptime == 0.75
    assert found.server_state == "down"


def test_messages_of_the_time_are_counted_by_session_and_by_hour(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    conversation = world.conversation(session)
    other = world.conversation(world.session(tenant, "other"))
    wrote(world, conversation, -1, OUT)
    for hours in (0, 0.5, 3):
        wrote(world, conversation, hours, IN)
    wrote(world, conversation, 3.2, OUT, status=MessageStatus.SENT)
    wrote(world, conversation, 3.3, OUT)
    wrote(world, conversation, 3.4, OUT, read_at=at(4))
    wrote(world, conversation, 3.5, OUT, status=MessageStatus.FAILED)
    wrote(world, other, 23.9, OUT)
    wrote(world, other, 24, OUT)

    found = read(tenant)

    by_name = {one.name: one.traffic for one in found.sessions}
    assert by_name == {"sales": Traffic(3, 3, 2, 1, 1), "other": Traffic(0, 1, 1, 0, 0)}
    assert found.traffic == Traffic(3, 4, 3, 1, 1)
    assert found.volume.received == (2, 0, 0, 1, *[0] * 20)
    assert found.volume.sent == (0, 0, 0, 3, *[0] * 19, 1)
    assert found.volume.begins[3] == at(3)


def test_what_waits_is_counted_however_old(world: World, tenant: Tenant, session: WahaSession) -> None:
    conversation = world.conversation(session)
    for hours in (-100, 1):
        wrote(world, conversation, hours, OUT, status=MessageStatus.QUEUED)

    [found] = read(tenant).sessions

    assert found.queue == Queue(2, at(-100))


def test_dead_letters_are_counted_and_those_that_may_go_again_named(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    conversation = world.conversation(session)
    failed = wrote(world, conversation, 1, OUT, status=MessageStatus.FAILED)
    wrote(world, conversation, 2, OUT, status=MessageStatus.FAILED, awaits_ack_since=at(2))

    assert read(tenant).letters == DeadLetters(2, (failed.id,))


def test_who_waits_for_longer_than_asked_is_named_by_their_thread(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    answered, waiting, patient, closed, lost = (
        world.conversation(session, thread_ts=f"1700000000.00000{number}") for number in range(5)
    )
    wrote(world, answered, 1, IN)
    wrote(world, answered, 2, OUT)
    wrote(world, waiting, 1, IN)
    wrote(world, waiting, 2, OUT)
    wrote(world, waiting, 3, IN)
    wrote(world, waiting, 19, IN)
    wrote(world, patient, 21, IN)
    wrote(world, closed, 1, IN)
    world.sql("UPDATE conversations SET state = 'closed' WHERE id = %s", closed.id)
    wrote(world, lost, 10, IN)
    wrote(world, lost, 11, OUT, status=MessageStatus.FAILED)

    found = read(tenant).unanswered

    assert (found.hours, found.count) == (4, 2)
    assert [one.waited for one in found.longest] == [timedelta(hours=21), timedelta(hours=14)]
    assert found.longest[0].thread == f"https://slack.com/archives/{SUPPORT}/p1700000000000001"


def test_first_answers_are_from_a_customers_first_word_to_ours(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    one, other = world.conversation(session), world.conversation(session)
    for hours, direction in ((-1, OUT), (1, IN), (2, IN), (4, OUT), (5, OUT), (6, IN), (6.5, OUT), (7, IN)):
        wrote(world, one, hours, direction)
    for hours, direction, status in ((1, IN, "delivered"), (2, OUT, "failed"), (11, OUT, "queued")):
        wrote(world, other, hours, direction, status=MessageStatus(status))

    found = read(tenant).responses

    assert sorted(found.seconds) == [1800, 3 * 3600, 10 * 3600]
    assert [one.waited for one in found.slowest] == [timedelta(hours=hours) for hours in (10, 3, 0.5)]
    assert (found.median, found.ninetieth) == (timedelta(hours=3), timedelta(hours=10))


def test_incidents_are_those_that_people_were_told_of(world: World, tenant: Tenant, session: WahaSession) -> None:
    with world.migrated.owner():
        mine = {"tenant_id": tenant.id}
        together = Incident.create(**mine, server="main", kind=IncidentKind.SEVERAL_SESSIONS, began_at=at(9))
        of_session = mine | {"session_id": session.id}
        Incident.create(**of_session, kind=IncidentKind.FAILED, began_at=at(3), ended_at=at(4), cause="It crashed.")
        Incident.create(**of_session, kind=IncidentKind.FAILED, began_at=at(9), part_of=together.id)
        Incident.create(**of_session, kind=IncidentKind.STOPPED, began_at=at(-9), ended_at=at(-8))

        of_operators = Incident.create(server="main", kind=IncidentKind.SERVER_AWAY, began_at=at(10))
        Incident.create(**mine, server="main", kind=IncidentKind.SERVER_AWAY, began_at=at(10), part_of=of_operators.id)

    assert read(tenant).incidents == (
        IncidentFacts("server_away", "", at(10), server="main"),
        IncidentFacts("several_sessions", "", at(9), server="main"),
        IncidentFacts("failed", "sales", at(3), at(4), "It crashed."),
    )


def test_the_health_of_a_number_is_told_with_its_first_reason(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    with world.migrated.owner():
        level = {"level": HealthLevel.SLOW, "reasons": ["Few answer.", "Many fail."]}
        NumberHealth.create(tenant_id=tenant.id, session_id=session.id, **level)

    [found] = read(tenant).sessions

    assert found.number == NumberFacts("slow", "Few answer.")


def test_another_tenants_matters_are_not_in_the_report(world: World, tenant: Tenant) -> None:
    other = world.session(world.tenant("Globex"), "theirs")
    conversation = world.conversation(other)
    wrote(world, conversation, 1, IN)
    wrote(world, conversation, 2, OUT, status=MessageStatus.FAILED)
    wrote(world, conversation, 3, OUT)
    wrote(world, conversation, 4, IN)

    found = read(tenant)

    assert found == ReportFacts("Acme", SINCE, UNTIL, volume=found.volume)
    assert not any(found.volume.received + found.volume.sent)


def test_a_longer_time_is_counted_by_day(world: World, tenant: Tenant, session: WahaSession) -> None:
    wrote(world, world.conversation(session), -24 * 6 + 1, IN)
    with tenant_transaction(tenant.id):
        found = report_rows.facts(tenant.id, Period(UNTIL - timedelta(days=7), UNTIL, 4))

    assert found.volume.step == timedelta(days=1)
    assert found.volume.received == (1, 0, 0, 0, 0, 0, 0)


@pytest.mark.database_role("switchboard_daemon")
def test_messages_that_wait_for_a_channel_are_counted(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(*[webhook(session, "message.any", {"id": f"false_1555@c.us_3A{number}", "body": "Hi"}) for number in range(3)])

    assert read(tenant).held == 3
