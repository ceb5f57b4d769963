"""What is done about a session, and what a poll writes: decided without a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from daemon.deadlines import Plan, observations, pause_after, plan
from models import IncidentKind
from operations.observing import Wanted
from waha.payloads import SessionInfo

NAME = "sales_1a2b"
STATUSES = [
    "STARTING",
    "SCAN_QR_CODE",
    "PASSKEY_REQUIRED",
    "PASSKEY_CONFIRMATION_REQUIRED",
    "WORKING",
    "FAILED",
    "STOPPED",
    "A_WORD_OF_TOMORROW",
]
VERB_OF = {(None, "running"): "create", ("STOPPED", "running"): "start", ("FAILED", "running"): "restart"}


def wanted(**fields: Any) -> Wanted:
    known: dict[str, Any] = {
        "tenant_id": uuid4(),
        "session_id": uuid4(),
        "external_session_id": NAME,
        "status": "working",
        "desired_state": "running",
        "engine": "GOWS",
        "me_id": "1@c.us",
        "raw_status": None,
        "status_for": timedelta(0),
        "control_attempts": 0,
        "is_control_due": True,
        "restarts_today": 0,
        "has_given_up": False,
        "is_unsettled": False,
        "is_stuck": False,
        "is_deleted": False,
    }
    return Wanted(**known | fields)


def seen(waha_status: str | None, account: str | None = None) -> dict[str, SessionInfo]:
    if waha_status is None:
        return {}
    me = {"id": account, "pushName": "Acme"} if account else None
    info = SessionInfo.parse({"name": NAME, "status": waha_status, "me": me})
    assert info is not None
    return {NAME: info}


@pytest.mark.parametrize("desired", ["running", "stopped"])
@pytest.mark.parametrize("waha_status", [None, *STATUSES])
def test_each_state_has_one_step_at_most(waha_status: str | None, desired: str) -> None:
    stops = {(status, "stopped"): "stop" for status in STATUSES if status != "STOPPED"}

    steps = plan([wanted(desired_state=desired)], seen(waha_status)).steps

    verb = (VERB_OF | stops).get((waha_status, desired))
    assert [step.verb for step in steps] == ([verb] if verb else [])


@pytest.mark.parametrize("desired", ["running", "stopped"])
@pytest.mark.parametrize("waha_status", [None, *STATUSES])
def test_no_state_leads_to_a_logout_or_a_deletion(waha_status: str | None, desired: str) -> None:
    steps = plan([wanted(desired_state=desired)], seen(waha_status)).steps

    assert {step.verb for step in steps} <= {"create", "start", "restart", "stop"}


def test_a_session_that_was_just_seen_to_is_left_alone() -> None:
    assert plan([wanted(is_control_due=False)], seen("FAILED")).steps == []


def test_a_session_of_somebody_else_on_the_server_is_left_alone() -> None:
    assert plan([], seen("FAILED")) == Plan()


@pytest.mark.parametrize(
    ("waha_status", "status"),
    [
        ("WORKING", "working"),
        ("STOPPED", "stopped"),
        ("PASSKEY_REQUIRED", "scan_qr"),
        ("A_WORD_OF_TOMORROW", "working"),
    ],
)
def test_a_quiet_poll_writes_nothing(waha_status: str, status: str) -> None:
    assert observations([wanted(status=status)], seen(waha_status)) == []


def test_a_changed_status_is_written() -> None:
    [one] = observations([wanted(status="working")], seen("FAILED"))

    assert one.waha_status == "FAILED"


def test_another_word_of_waha_for_the_same_state_is_written() -> None:
    """A passkey is not a code: what the person has to do differs."""
    [one] = observations([wanted(status="scan_qr", raw_status="SCAN_QR_CODE")], seen("PASSKEY_REQUIRED"))

    assert one.waha_status == "PASSKEY_REQUIRED"


def test_another_account_is_written_although_the_status_is_the_same() -> None:
    [one] = observations([wanted(me_id="1@c.us")], seen("WORKING", "2@c.us"))

    assert (one.me_chat_id, one.me_name) == ("2@c.us", "Acme")


def test_a_session_that_waha_does_not_list_is_not_observed() -> None:
    assert observations([wanted()], {}) == []


def test_a_deleted_session_that_waha_does_not_know_is_stopped_and_looked_for_no_more() -> None:
    [one] = observations([wanted(is_deleted=True)], {})

    assert one.waha_status == "STOPPED"


def test_pauses_between_tries_grow_to_a_quarter_of_an_hour_and_no_further() -> None:
    pauses = [pause_after("start", attempts) for attempts in range(1_000)]

    assert pauses[:3] == [timedelta(seconds=seconds) for seconds in (5, 10, 20)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[-1] == timedelta(minutes=15)


def test_pauses_between_restarts_are_longer() -> None:
    pauses = [pause_after("restart", attempts) for attempts in range(5)]

    assert pauses == [timedelta(minutes=minutes) for minutes in (5, 15, 60, 60, 60)]


@pytest.mark.parametrize(
    ("more", "verb"),
    [
        ({"status_for": timedelta(seconds=119)}, None),
        ({"status_for": timedelta(minutes=2)}, "restart"),
        ({"status_for": timedelta(minutes=2), "restarts_today": 3}, None),
        ({"status_for": timedelta(minutes=2), "me_id": None}, None),
        ({"status_for": timedelta(minutes=2), "is_control_due": False}, None),
    ],
    ids=["it is starting", "it hangs", "no restart is left", "it was never linked", "it was restarted just now"],
)
def test_a_session_that_starts_for_too_long_is_restarted(more: dict[str, Any], verb: str | None) -> None:
    made = plan([wanted(status="starting", **more)], seen("STARTING"))

    assert [step.verb for step in made.steps] == ([verb] if verb else [])


@pytest.mark.parametrize(
    ("more", "verb"),
    [
        ({}, "restart"),
        ({"engine": "WEBJS", "status_for": timedelta(seconds=59)}, None),
        ({"engine": "WEBJS", "status_for": timedelta(seconds=60)}, "restart"),
        ({"me_id": None}, None),
        ({"restarts_today": 3}, None),
    ],
    ids=["at once", "an engine that recovers", "which did not", "it was never linked", "no restart is left"],
)
def test_a_session_that_failed_is_restarted(more: dict[str, Any], verb: str | None) -> None:
    made = plan([wanted(status="failed", **more)], seen("FAILED"))

    assert [step.verb for step in made.steps] == ([verb] if verb else [])


def test_that_no_restart_is_left_is_said_once_a_day() -> None:
    session = wanted(status="failed", restarts_today=3)

    assert plan([session], seen("FAILED")).given_up == [(session, IncidentKind.FAILED)]
    assert plan([replace(session, has_given_up=True)], seen("FAILED")).given_up == []


@pytest.mark.parametrize("waha_status", ["STARTING", "WORKING"])
def test_a_session_that_connects_again_and_again_hangs_too(waha_status: str) -> None:
    session = wanted(status="working")

    made = plan([session], seen(waha_status), {session.session_id: 7})

    assert [step.kind for step in made.steps] == [IncidentKind.STUCK]
    assert made.stuck == [(session, "It connected 7 times in 10 minutes, and lost the connection each time.")]


@pytest.mark.parametrize(
    ("waha_status", "more", "is_freed"),
    [
        ("WORKING", {}, True),
        ("SCAN_QR_CODE", {"status": "scan_qr"}, True),
        ("FAILED", {"status": "failed"}, True),
        ("STOPPED", {"status": "stopped"}, False),
        ("STARTING", {"status": "starting"}, False),
        ("STOPPED", {"status": "stopped", "desired_state": "stopped"}, True),
    ],
)
def test_a_session_hangs_until_it_is_in_another_state(
    waha_status: str, more: dict[str, Any], *, is_freed: bool
) -> None:
    session = wanted(is_stuck=True, **more)

    assert plan([session], seen(waha_status)).freed == ([session] if is_freed else [])


@pytest.mark.parametrize(
    ("waha_status", "more", "is_settled"),
    [
        ("WORKING", {"status_for": timedelta(minutes=2)}, True),
        ("WORKING", {"status_for": timedelta(seconds=30)}, False),
        ("FAILED", {"status": "failed"}, False),
        ("STOPPED", {"status": "stopped", "desired_state": "stopped"}, True),
    ],
)
def test_tries_are_counted_anew_once_a_session_has_been_as_wanted_for_a_while(
    waha_status: str, more: dict[str, Any], *, is_settled: bool
) -> None:
    session = wanted(is_unsettled=True, **more)

    assert plan([session], seen(waha_status)).settled == ([session] if is_settled else [])


@pytest.mark.parametrize(
    ("failed", "working", "together"), [(2, 0, False), (3, 7, False), (3, 6, True), (200, 0, True)]
)
def test_many_that_fail_are_failing_together(failed: int, working: int, *, together: bool) -> None:
    names = [f"s{number}" for number in range(failed + working)]
    sessions = [wanted(external_session_id=name) for name in names]
    told = {}
    for number, name in enumerate(names):
        [info] = seen("FAILED" if number < failed else "WORKING").values()
        told[name] = info

    assert plan(sessions, told).failing_together is together


def test_what_was_tried_least_is_tried_first_and_stops_before_all() -> None:
    often, never = wanted(control_attempts=2), wanted()
    unwanted = wanted(desired_state="stopped")

    steps = plan([often, never, unwanted], seen("FAILED")).steps

    assert [step.wanted for step in steps] == [unwanted, never, often]
