from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from database import tenant_transaction
from models import ServerState, Tenant, WahaSession, now_utc
from operations import observing
from operations.observing import Seen, observe_status, record_poll
from operations.sending import lease, record_held
from operations.webhook_inbox import NewWebhook, due_lanes, process, store
from tests.operations.builders import HOUSE, LEASE, World, lease_one, take, together, webhook

NOW = now_utc()
EARLIER, LATER = NOW - timedelta(minutes=5), NOW - timedelta(minutes=1)


def observe(session: WahaSession, waha_status: str, at: datetime) -> bool:
    with tenant_transaction(session.tenant_id):
        return observe_status(WahaSession.get_by_id(session.id), waha_status, at=at, source="poll")


def status(world: World) -> str:
    return str(world.value("SELECT status FROM waha_sessions"))


def test_a_later_observation_wins_whatever_the_order_of_arrival(world: World, session: WahaSession) -> None:
    written = (
        observe(session, "FAILED", LATER),
        observe(session, "STOPPED", EARLIER),
        observe(session, "STOPPED", LATER),
        observe(session, "FAILED", NOW),
        observe(session, "WORKING", NOW),
    )

    assert written == (True, False, False, False, True)
    assert status(world) == "working"
    checks = world.sql("SELECT status, raw_status, source FROM session_checks ORDER BY observed_at")
    assert checks == [("failed", "FAILED", "poll"), ("working", "WORKING", "poll")]


def told(session: WahaSession, waha_status: str, at: datetime) -> NewWebhook:
    return webhook(session, "session.status", {"status": waha_status}, timestamp=int(at.timestamp() * 1000))


def test_of_two_statuses_in_one_turn_the_later_one_stands(world: World, session: WahaSession) -> None:
    store([told(session, "STARTING", EARLIER), told(session, "WORKING", LATER)])

    [lane] = due_lanes(10)
    process(lane, house=HOUSE)

    assert status(world) == "working"


def test_a_status_that_comes_late_does_not_win_over_the_same_one_told_again(world: World, session: WahaSession) -> None:
    observe(session, "STARTING", EARLIER - timedelta(days=2))
    observe(session, "WORKING", EARLIER - timedelta(days=1))

    take(told(session, "WORKING", LATER), told(session, "FAILED", EARLIER))

    assert status(world) == "working"


def test_two_observations_at_once_leave_the_later_one(world: World, session: WahaSession) -> None:
    together(partial(observe, session, "FAILED", LATER), partial(observe, session, "STOPPED", EARLIER))

    assert status(world) == "failed"


def test_an_unknown_word_leaves_the_status_and_stands_in_the_metadata(world: World, session: WahaSession) -> None:
    assert not observe(session, "HIBERNATING", NOW)

    assert status(world) == "working"
    assert world.value("SELECT metadata->>'raw_status' FROM waha_sessions") == "HIBERNATING"


def test_a_passkey_is_waited_for_as_for_a_code(world: World, session: WahaSession) -> None:
    observe(session, "PASSKEY_REQUIRED", NOW)

    assert status(world) == "scan_qr"
    assert world.value("SELECT metadata->>'raw_status' FROM waha_sessions") == "PASSKEY_REQUIRED"


def test_an_observation_forgets_nothing_that_was_learned_meanwhile(world: World, session: WahaSession) -> None:
    with tenant_transaction(session.tenant_id):
        read_before = WahaSession.get_by_id(session.id)
        world.sql('UPDATE waha_sessions SET metadata = metadata || \'{"me_name": "Acme"}\'')
        observe_status(read_before, "FAILED", at=NOW, source="webhook")

    assert world.sql("SELECT metadata->>'me_name', metadata->>'me_id' FROM waha_sessions") == [
        ("Acme", "4930901820@c.us")
    ]


def test_a_webhook_from_a_clock_that_is_ahead_does_not_hide_the_polls_after_it(
    world: World, session: WahaSession
) -> None:
    tomorrow = int((now_utc() + timedelta(days=1)).timestamp() * 1000)
    take(webhook(session, "session.status", {"status": "FAILED"}, timestamp=tomorrow))

    assert observe(session, "WORKING", now_utc())


def test_a_hold_is_over_when_the_session_works_again(world: World, session: WahaSession) -> None:
    world.message(world.conversation(session))
    record_held(lease_one(), "The session is STARTING.", pause=timedelta(hours=1), give_up_after=timedelta(weeks=1))
    observe(session, "STARTING", LATER)

    while_starting = lease(10, LEASE)
    observe(session, "WORKING", NOW)

    assert while_starting == []
    assert len(lease(10, LEASE)) == 1


def test_a_poll_writes_the_status_and_whose_account_it_is(world: World, session: WahaSession) -> None:
    gone = world.session(world.tenant("Globex"), "gone")
    world.sql("UPDATE waha_sessions SET deleted_at = now() WHERE id = %s", gone.id)
    seen = [
        Seen(session.tenant_id, session.id, "FAILED", NOW, me_chat_id="4930000000@c.us", me_name="Acme"),
        Seen(gone.tenant_id, gone.id, "STOPPED", NOW),
    ]

    written = (record_poll(seen), record_poll(seen))

    assert written == (2, 0)
    assert world.sql("SELECT status, metadata->>'me_id' FROM waha_sessions WHERE id = %s", session.id) == [
        ("failed", "4930000000@c.us")
    ]
    assert world.value("SELECT status FROM waha_sessions WHERE id = %s", gone.id) == "stopped"


def test_the_sessions_of_a_server_are_those_that_live_and_deleted_ones_that_have_yet_to_stop(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.session(tenant, "elsewhere", server="other")
    for name, gone in (("old", "waha_sessions"), ("theirs", "tenants")):
        of = tenant if gone == "waha_sessions" else world.tenant("Globex")
        row = world.session(of, name)
        world.sql(
            f"UPDATE {gone} SET deleted_at = now() WHERE id = %s",  # noqa: S608 - names of ours
            row.id if gone == "waha_sessions" else of.id,
        )

    wanted, *dead = sorted(observing.sessions_of("main"), key=lambda one: one.is_deleted)

    assert (wanted.name, wanted.status, wanted.is_control_due) == ("sales", "working", True)
    assert (wanted.desired_state, wanted.is_deleted) == ("running", False)
    assert {(other.name, other.desired_state, other.is_deleted) for other in dead} == {
        ("old", "stopped", True),
        ("theirs", "stopped", True),
    }


def test_one_daemon_looks_after_a_server(world: World) -> None:
    one, other = uuid4(), uuid4()

    taken = observing.lease_server("main", token=one, lease=LEASE)
    refused = observing.lease_server("main", token=other, lease=LEASE)
    renewed = observing.lease_server("main", token=one, lease=LEASE)
    world.sql("UPDATE waha_servers SET poll_lease_expires_at = now() - interval '1 second'")

    assert taken is not None
    assert refused is None
    assert renewed is not None
    assert observing.lease_server("main", token=other, lease=LEASE) is not None


def test_only_one_of_many_daemons_gets_the_server(world: World) -> None:
    taken = together(*[partial(observing.lease_server, "main", token=uuid4(), lease=LEASE) for _ in range(4)])

    assert len([one for one in taken if one is not None]) == 1


def test_a_servers_state_and_its_restarts_are_told(world: World) -> None:
    observing.lease_server("main", token=uuid4(), lease=LEASE)

    first = observing.record_server("main", ServerState.UP, version="2026.7.1", engine="GOWS", start_timestamp=1)
    quiet = observing.record_server("main", ServerState.UP, version="2026.7.1", engine="GOWS", start_timestamp=1)
    away = observing.record_server("main", ServerState.DOWN, error_message="It does not answer.")
    back = observing.record_server("main", ServerState.UP, start_timestamp=2)

    assert [first, quiet, away, back] == [
        (ServerState.UNKNOWN, False),
        (ServerState.UP, False),
        (ServerState.UP, False),
        (ServerState.DOWN, True),
    ]
    assert world.sql("SELECT state, error_message, version FROM waha_servers") == [("up", None, "2026.7.1")]


def test_control_waits_after_a_try_and_begins_anew_when_settled(world: World, session: WahaSession) -> None:
    observing.control_tried(session.tenant_id, session.id, pause=timedelta(minutes=1), error="WAHA is busy.")
    [tried] = observing.sessions_of("main")
    observing.control_settled(session.tenant_id, session.id)
    [settled] = observing.sessions_of("main")

    assert (tried.control_attempts, tried.is_control_due, tried.error_message) == (1, False, "WAHA is busy.")
    assert (settled.control_attempts, settled.error_message) == (0, None)
