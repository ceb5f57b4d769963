"""Whose turn it is to read what was missed, and from when on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models import WahaSession, uuid7
from operations import catching_up
from tests.operations.builders import World
from tests.operations.session_catch_ups import complete, lease, lease_one

pytestmark = pytest.mark.usefixtures("server")

WAITS = "SELECT extract(epoch FROM next_attempt_at - now())::float FROM catch_ups"


def end_pauses(world: World) -> None:
    world.sql("UPDATE catch_ups SET next_attempt_at = now() - interval '1 s'")


@pytest.mark.usefixtures("session")
def test_one_daemon_at_a_time_reads_a_session() -> None:
    first = lease()

    assert (len(first), lease()) == (1, [])


@pytest.mark.usefixtures("session")
def test_a_lease_that_was_lost_has_no_last_word(world: World) -> None:
    lost = lease_one()
    world.sql("UPDATE catch_ups SET lease_expires_at = now() - interval '1 s'")
    lease_one()

    assert not complete(lost)
    assert not catching_up.renew(lost)
    assert world.value("SELECT caught_up_to FROM waha_sessions") is None


@pytest.mark.usefixtures("session")
def test_a_session_that_was_caught_up_with_rests_until_there_is_a_gap(world: World) -> None:
    complete(lease_one())
    earlier = "requested_at = requested_at - interval '11 s', caught_up_to = caught_up_to - interval '11 s'"
    world.sql(f"UPDATE catch_ups SET {earlier}")  # noqa: S608 - the pause
    end_pauses(world)
    complete(lease_one())
    end_pauses(world)

    assert lease() == []


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("gap", "cause"),
    [
        ("UPDATE waha_servers SET start_timestamp = 2", "waha"),
        ("UPDATE waha_servers SET state_changed_at = now()", "waha"),
        ("UPDATE waha_sessions SET status_changed_at = now()", "waha"),
        ("UPDATE catch_ups SET requested_at = now(), requested_for = 'switchboard'", "switchboard"),
        ("UPDATE catch_ups SET caught_up_to = now() - interval '11 minutes'", "quiet"),
    ],
)
def test_every_kind_of_gap_is_a_reason_to_read_again(world: World, gap: str, cause: str) -> None:
    complete(lease_one())
    world.sql("UPDATE catch_ups SET requested_at = NULL")
    end_pauses(world)
    assert lease() == []

    world.sql(gap)

    assert lease_one().cause == cause


@pytest.mark.usefixtures("session")
def test_after_a_gap_its_edge_is_read_once_more(world: World) -> None:
    first = lease_one()
    complete(first)
    assert lease() == []
    end_pauses(world)

    edge = lease_one()

    assert edge.cause == "waha"
    assert edge.until > first.until


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    "away",
    [
        "UPDATE waha_sessions SET status = 'starting'",
        "UPDATE waha_sessions SET deleted_at = now()",
        "UPDATE waha_servers SET state = 'down'",
        "UPDATE tenants SET deleted_at = now()",
    ],
)
def test_what_cannot_be_read_is_not_tried(world: World, away: str) -> None:
    world.sql(away)

    assert lease() == []


def test_the_history_before_the_pairing_is_nobodys_gap(world: World, session: WahaSession) -> None:
    paired = datetime.now(UTC) - timedelta(minutes=1)
    world.sql(
        "INSERT INTO session_checks (id, tenant_id, session_id, status, raw_status, source, observed_at) "
        "VALUES (%s, %s, %s, 'working', 'WORKING', 'poll', %s)",
        *(uuid7(), session.tenant_id, session.id, paired),
    )

    first = lease_one()
    complete(first, "4930901820@c.us")
    world.sql("UPDATE catch_ups SET next_attempt_at = now(), requested_at = now(), requested_for = 'switchboard'")
    second = lease_one()

    assert first.since_of("4930901820@c.us") == paired
    assert second.since_of("4930901820@c.us") == paired


def test_another_account_begins_anew(world: World, session: WahaSession) -> None:
    complete(lease_one(), "4930901820@c.us")
    world.sql("UPDATE waha_sessions SET status_changed_at = now()")
    end_pauses(world)

    again = lease_one()

    assert again.since_of("4930901820@c.us") < again.working_since
    assert again.since_of("4940555@c.us") == again.working_since


@pytest.mark.usefixtures("session")
def test_reading_begins_five_minutes_before_the_end_of_the_last(world: World) -> None:
    first = lease_one()
    complete(first)
    world.sql("UPDATE catch_ups SET begins_at = now() - interval '1 day'")
    end_pauses(world)

    assert lease_one().since == first.until - timedelta(minutes=5)


@pytest.mark.usefixtures("session")
def test_a_session_that_cannot_be_read_waits_longer_each_time(world: World) -> None:
    catching_up.postpone(lease_one(), "WAHA does not answer.")

    waits = "SELECT round(extract(epoch FROM next_attempt_at - now())) FROM catch_ups"
    assert (lease(), world.value(waits)) == ([], 5)
    end_pauses(world)
    catching_up.postpone(lease_one(), "WAHA does not answer.")

    assert world.value(waits) == 10


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(("minutes", "reads_again"), [(5, True), (20, False)])
def test_a_gap_soon_after_another_is_read_from_where_that_began(
    world: World, minutes: int, *, reads_again: bool
) -> None:
    complete(lease_one())
    hours_ago = datetime.now(UTC) - timedelta(hours=2)
    world.sql(
        "UPDATE catch_ups SET gap_since = %s, gap_read_at = now() - %s, begins_at = now() - interval '1 day', "
        "caught_up_to = now() - interval '2 min', requested_at = NULL",
        *(hours_ago, timedelta(minutes=minutes)),
    )

    world.sql("UPDATE waha_servers SET start_timestamp = 2")
    leased = lease_one()

    assert (leased.since == hours_ago) is reads_again
    complete(leased)
    assert (world.value("SELECT gap_since FROM catch_ups") == hours_ago) is reads_again


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("is_asked", "least", "most"), [(False, 0, 3), (True, 200, 300)], ids=["ours ends", "Slack's stays"]
)
def test_a_gap_ends_a_pause_that_nobody_asked_for(world: World, *, is_asked: bool, least: int, most: int) -> None:
    leased = lease_one()
    world.sql("UPDATE catch_ups SET attempts = 6")
    catching_up.postpone(leased, "WAHA hangs.", pause=timedelta(minutes=5), is_asked=is_asked)

    catching_up.request(servers=["main"])

    assert least < world.value(WAITS) < most
    assert world.value("SELECT attempts FROM catch_ups") == 0


@pytest.mark.usefixtures("session")
def test_a_server_that_was_restarted_is_read_without_waiting_for_the_pause_before(world: World) -> None:
    catching_up.postpone(lease_one(), "WAHA hangs.", pause=timedelta(minutes=5))
    assert lease() == []

    world.sql("UPDATE waha_servers SET start_timestamp = 2")

    catching_up.postpone(lease_one(), "WAHA hangs.", pause=timedelta(minutes=5))
    assert lease() == []


@pytest.mark.usefixtures("session")
def test_a_daemon_that_starts_asks_for_its_servers_sessions(world: World) -> None:
    complete(lease_one())

    catching_up.request(servers=["main"])

    assert world.value("SELECT requested_at > caught_up_to FROM catch_ups")
