from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from database import tenant_transaction
from models import ActionKind, IncidentKind, ServerState, Tenant, WahaAction, WahaSession, now_utc
from operations import controlling, incidents, observing
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
    seen = [Seen(session.id, "FAILED", me_chat_id="4930000000@c.us", me_name="Acme"), Seen(gone.id, "STOPPED")]

    moved, again = (record_poll("main", seen, at=NOW) for _ in range(2))

    assert {(one.session_id, one.was, one.status) for one in moved} == {
        (session.id, "working", "failed"),
        (gone.id, "working", "stopped"),
    }
    assert again == []
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

    assert (wanted.session_id, wanted.status, wanted.is_control_due) == (session.id, "working", True)
    assert (wanted.desired_state, wanted.is_deleted) == ("running", False)
    assert {(other.external_session_id[:3], other.desired_state, other.is_deleted) for other in dead} == {
        ("old", "stopped", True),
        ("the", "stopped", True),
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
    [before] = observing.sessions_of("main")
    controlling.tried(before, pause=timedelta(minutes=1), error="WAHA refused it.")
    [tried] = observing.sessions_of("main")
    said = world.value("SELECT error_message FROM waha_sessions")
    settled = (controlling.settle("main", [session.id]), controlling.settle("main", [session.id]))
    [anew] = observing.sessions_of("main")

    assert (tried.control_attempts, tried.is_control_due, tried.is_unsettled, said) == (
        1,
        False,
        True,
        "WAHA refused it.",
    )
    assert settled == (1, 0)
    assert (anew.control_attempts, anew.is_unsettled) == (0, False)


def test_a_call_that_found_the_session_busy_is_no_try(world: World, session: WahaSession) -> None:
    [before] = observing.sessions_of("main")

    controlling.tried(before, pause=timedelta(seconds=10), counts=False)

    [after] = observing.sessions_of("main")
    assert (after.control_attempts, after.is_control_due) == (0, False)


def test_what_people_want_meanwhile_need_not_wait_for_the_pause(world: World, session: WahaSession) -> None:
    [before] = observing.sessions_of("main")
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped'")

    controlling.tried(before, pause=timedelta(hours=1))

    assert observing.sessions_of("main")[0].is_control_due


def test_a_session_is_claimed_by_one_daemon_and_is_free_again_afterwards(world: World, session: WahaSession) -> None:
    claim = partial(controlling.claim, "main", [session.id], lease=timedelta(minutes=1))

    claimed = together(claim, claim)
    later = claim(now=now_utc() + timedelta(minutes=2))

    assert sorted(map(len, claimed)) == [0, 1]
    assert later == {session.id}


def test_a_poll_of_one_server_does_not_touch_the_sessions_of_another(world: World, session: WahaSession) -> None:
    moved = record_poll("other", [Seen(session.id, "FAILED")], at=NOW)

    assert moved == []
    assert status(world) == "working"
    assert controlling.claim("other", [session.id], lease=LEASE) == set()


def test_a_poll_that_is_older_than_a_webhook_writes_nothing(world: World, session: WahaSession) -> None:
    observe(session, "STOPPED", LATER)

    moved = record_poll("main", [Seen(session.id, "FAILED", me_chat_id="4930000000@c.us")], at=EARLIER)

    assert moved == []
    assert world.sql("SELECT status, metadata->>'me_id', metadata->>'raw_status' FROM waha_sessions") == [
        ("stopped", "4930901820@c.us", "STOPPED")
    ]


def test_a_poll_and_a_webhook_at_once_leave_the_later_one(world: World, session: WahaSession) -> None:
    together(
        partial(observe, session, "FAILED", LATER),
        partial(record_poll, "main", [Seen(session.id, "STOPPED")], at=EARLIER),
    )

    assert status(world) == "failed"


def test_a_session_that_connects_again_and_again_is_found(world: World, tenant: Tenant, session: WahaSession) -> None:
    calm = world.session(tenant, "calm")
    go_through(session, ["WORKING", *["STARTING", "WORKING"] * 6])
    observe(calm, "STARTING", EARLIER)

    assert observing.restless("main", since=EARLIER, times=6) == {session.id: 6}
    assert observing.restless("main", since=EARLIER + timedelta(seconds=1), times=6) == {}
    assert observing.restless("other", since=EARLIER, times=1) == {}


def go_through(session: WahaSession, words: Sequence[str], began: datetime = EARLIER) -> None:
    """One word a second of a session that was stopped before."""
    for number, word in enumerate(["STOPPED", *words]):
        observe(session, word, began + timedelta(seconds=number - 1))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["STOPPED", "STARTING", "SCAN_QR_CODE", "STARTING", "WORKING"], id="a first pairing"),
        pytest.param(["WORKING", "STOPPED", "STARTING", "WORKING"], id="a restart of WAHA, or by a person"),
        pytest.param(["WORKING", "FAILED", "STARTING", "WORKING"], id="a failure, which is told by itself"),
    ],
)
def test_starts_after_which_nothing_was_lost_are_not_counted(
    words: list[str], world: World, session: WahaSession
) -> None:
    go_through(session, words * 3)

    assert observing.restless("main", since=EARLIER - timedelta(seconds=1), times=1) == {}


@pytest.mark.parametrize("kind", [ActionKind.RESTART, ActionKind.CONFIGURE])
def test_what_starts_because_a_person_asked_for_it_is_not_counted(
    kind: ActionKind, world: World, tenant: Tenant, session: WahaSession
) -> None:
    with tenant_transaction(tenant.id):
        WahaAction.create(
            tenant_id=tenant.id,
            session_id=session.id,
            kind=kind,
            created_at=EARLIER,
            done_at=EARLIER + timedelta(seconds=2),
        )
    go_through(session, ["WORKING", "STARTING", "WORKING"])
    for later in (61, 63):
        observe(session, "STARTING", EARLIER + timedelta(seconds=later))
        observe(session, "WORKING", EARLIER + timedelta(seconds=later + 1))

    assert observing.restless("main", since=EARLIER, times=1) == {session.id: 1}


def test_what_starts_because_of_a_call_of_ours_is_not_counted(world: World, session: WahaSession) -> None:
    called = NOW + timedelta(hours=1)
    controlling.claim("main", [session.id], lease=LEASE, now=called)
    go_through(session, ["WORKING", "STARTING", "WORKING"], called)
    observe(session, "STARTING", called + timedelta(seconds=61))

    assert observing.restless("main", since=EARLIER, times=1) == {session.id: 1}


def test_restarts_are_counted_by_day(world: World, session: WahaSession) -> None:
    evening = NOW.replace(hour=23, minute=50)
    [wanted] = observing.sessions_of("main", now=evening)
    begin_failed(session)

    for minutes in (0, 5):
        controlling.restarted(wanted, IncidentKind.FAILED, now=evening + timedelta(minutes=minutes))
    [that_day] = observing.sessions_of("main", now=evening + timedelta(minutes=6))
    [next_day] = observing.sessions_of("main", now=evening + timedelta(minutes=11))

    assert (that_day.restarts_today, next_day.restarts_today) == (2, 0)
    [(done,)] = world.sql("SELECT done FROM incidents")
    assert [entry["what"] for entry in done] == [f"Restarted by itself, {number} of 3 today." for number in (1, 2)]


def begin_failed(session: WahaSession) -> None:
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, IncidentKind.FAILED, at=EARLIER)


def test_that_no_restart_is_left_is_noted_once_a_day(world: World, session: WahaSession) -> None:
    [wanted] = observing.sessions_of("main")
    give_up = partial(controlling.give_up, wanted, IncidentKind.FAILED)

    too_soon = give_up(now=NOW)
    begin_failed(session)
    said = [give_up(now=NOW), give_up(now=NOW), give_up(now=NOW + timedelta(days=1))]

    assert too_soon is False
    assert said == [True, False, True]
    [(done,)] = world.sql("SELECT done FROM incidents")
    assert all("`session restart sales`" in entry["what"] for entry in done)
    assert len(done) == 2
