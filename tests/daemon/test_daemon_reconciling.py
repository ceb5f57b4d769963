"""What is done about a session, and what a poll writes: decided without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from daemon.reconciler import observations, pause_after, plan
from operations.observing import Wanted
from waha.payloads import SessionInfo

NAME = "sales_1a2b"
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
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
        "name": "sales",
        "status": "working",
        "desired_state": "running",
        "engine": "GOWS",
        "metadata": {},
        "config": {},
        "error_message": None,
        "status_observed_at": None,
        "status_changed_at": None,
        "announced_status": None,
        "control_attempts": 0,
        "is_control_due": True,
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

    steps = plan([wanted(desired_state=desired)], seen(waha_status))

    verb = (VERB_OF | stops).get((waha_status, desired))
    assert [step.verb for step in steps] == ([verb] if verb else [])


@pytest.mark.parametrize("desired", ["running", "stopped"])
@pytest.mark.parametrize("waha_status", [None, *STATUSES])
def test_no_state_leads_to_a_logout_or_a_deletion(waha_status: str | None, desired: str) -> None:
    steps = plan([wanted(desired_state=desired)], seen(waha_status))

    assert {step.verb for step in steps} <= {"create", "start", "restart", "stop"}


def test_a_session_that_was_just_seen_to_is_left_alone() -> None:
    assert plan([wanted(is_control_due=False)], seen("FAILED")) == []


def test_a_session_of_somebody_else_on_the_server_is_left_alone() -> None:
    assert plan([], seen("FAILED")) == []


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
    assert observations([wanted(status=status)], seen(waha_status), AT) == []


def test_a_changed_status_is_written_with_the_time_of_the_question() -> None:
    [one] = observations([wanted(status="working")], seen("FAILED"), AT)

    assert (one.waha_status, one.at) == ("FAILED", AT)


def test_another_account_is_written_although_the_status_is_the_same() -> None:
    [one] = observations([wanted(metadata={"me_id": "1@c.us"})], seen("WORKING", "2@c.us"), AT)

    assert (one.me_chat_id, one.me_name) == ("2@c.us", "Acme")


def test_a_session_that_waha_does_not_list_is_not_observed() -> None:
    assert observations([wanted()], {}, AT) == []


def test_a_deleted_session_that_waha_does_not_know_is_stopped_and_looked_for_no_more() -> None:
    [one] = observations([wanted(is_deleted=True)], {}, AT)

    assert (one.waha_status, one.at) == ("STOPPED", AT)


def test_pauses_between_tries_grow_to_a_quarter_of_an_hour_and_no_further() -> None:
    pauses = [pause_after(attempts) for attempts in range(1_000)]

    assert pauses[:3] == [timedelta(seconds=seconds) for seconds in (5, 10, 20)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[-1] == timedelta(minutes=15)
