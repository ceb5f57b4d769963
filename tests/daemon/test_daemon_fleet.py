"""Sessions over time: what is done, and said, when one starts for ever, fails or is stopped, or all of them at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from daemon.session_setup import our_metadata
from models import SessionStatus
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.daemon.conftest import Rows
from tests.daemon.fleet import START, Fleet, fleet_of
from tests.operations.builders import OPERATOR

POLL = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
MIDNIGHT = (START + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def early_on_a_day(fleet: Fleet) -> None:
    """So early that no midnight comes between."""
    fleet.now = MIDNIGHT + MINUTE


@pytest.mark.timeline("status/started")
async def test_a_session_that_somebody_asked_for_is_created_and_nobody_is_told(rows: Rows) -> None:
    new: dict[str, Any] = {"metadata": {}, "status_changed_at": None, "status_observed_at": None}
    # Long enough that nobody has to scan within this test.
    async with fleet_of(rows, on_waha=None, pace=0.2, status=SessionStatus.STOPPED, **new) as fleet:
        created = await fleet.look()
        await fleet.becomes("SCAN_QR_CODE")
        later = [await fleet.look(after=POLL), await fleet.look(after=POLL)]

        assert (created, later) == (["create"], [[], []])
        assert await fleet.statuses() == ["scan_qr"]
        assert await fleet.told() == []


@pytest.mark.timeline("status/start-fails")
async def test_a_start_that_fails_is_tried_again_and_said(rows: Rows) -> None:
    async with fleet_of(rows, status=SessionStatus.STOPPED, on_waha="STOPPED") as fleet:
        early_on_a_day(fleet)
        fleet.waha.starts.fail(session="s1")
        started = await fleet.look()
        await fleet.becomes("FAILED")
        again = await fleet.look(after=POLL)
        await fleet.becomes("FAILED")
        waits = await fleet.look(after=POLL), await fleet.look(after=POLL)
        second = await fleet.look(after=5 * MINUTE)
        await fleet.becomes("FAILED")
        await fleet.look(after=POLL)

        assert (started, again, waits, second) == (["start s1"], ["restart s1"], ([], []), ["restart s1"])
        assert "Restarted by itself, 2 of 3 today." in await fleet.done("failed")
        assert any("*Session `s1` failed.*" in text for text in await fleet.told())


@pytest.mark.timeline("status/recovers-itself")
async def test_an_engine_that_recovers_by_itself_is_given_the_time_for_it(rows: Rows) -> None:
    async with fleet_of(rows, "s1", "s2", engine="WEBJS") as fleet:
        early_on_a_day(fleet)
        fleet.waha.set_status(["s1", "s2"], "FAILED")
        quiet = [await fleet.look(), await fleet.look(after=POLL)]
        fleet.waha.set_status(["s1"], "STARTING")
        quiet.append(await fleet.look(after=POLL))
        fleet.waha.set_status(["s1"], "WORKING")
        late = await fleet.look(after=3 * POLL)

        assert (quiet, late) == ([[], [], []], ["restart s2"])
        assert await fleet.statuses() == ["working", "failed"]


@pytest.mark.timeline("status/stays-failed")
async def test_a_session_that_stays_failed_is_restarted_three_times_a_day_and_then_left_to_a_person(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        fleet.waha.starts.fail(session="s1")
        fleet.waha.fail("s1")
        restarted = []
        for _ in range(8 * 60):
            if await fleet.look(after=MINUTE):
                restarted.append(fleet.now - MIDNIGHT)
                await fleet.becomes("FAILED")
        fleet.now = MIDNIGHT + timedelta(days=1, minutes=1)
        next_day = await fleet.look()

        first = restarted[0]
        assert [since - first for since in restarted] == [timedelta(0), 5 * MINUTE, 20 * MINUTE]
        assert next_day == ["restart s1"]
        done = await fleet.done("failed")
        assert [text[-13:] for text in done if "of 3 today" in text] == [
            "2 of 3 today.",
            "3 of 3 today.",
            "1 of 3 today.",
        ]
        [given_up] = [text for text in done if "did not help" in text]
        assert "`session restart s1`" in given_up
        assert any("3 restarts today did not help" in text for text in await fleet.told())


@pytest.mark.timeline("complaint/1")
async def test_a_session_that_starts_for_ever_is_restarted_and_said(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        fleet.waha.set_status(["s1"], "STARTING")
        waits = [await fleet.look(), await fleet.look(after=119 * MINUTE / 60)]
        restarted = await fleet.look(after=MINUTE / 60)
        await fleet.becomes("WORKING")
        await fleet.look(after=POLL)

        assert (waits, restarted) == ([[], []], ["restart s1"])
        assert await fleet.done("stuck") == ["Restarted by itself, 1 of 3 today."]
        told = await fleet.told()
        assert "It has been starting for more than 2 minutes." in told[0]
        assert await rows("SELECT count(*) FROM incidents WHERE ended_at IS NULL") == [(0,)]


@pytest.mark.timeline("complaint/1")
async def test_a_session_that_works_and_starts_in_turns_is_restarted_and_said(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        called = []
        for _ in range(7):
            fleet.waha.set_status(["s1"], "STARTING")
            called += await fleet.look(after=POLL)
            fleet.waha.set_status(["s1"], "WORKING")
            called += await fleet.look(after=POLL)

        assert called == ["restart s1"]
        [text] = [text for text in await fleet.told() if "connected 6 times in 10 minutes" in text]
        assert "s1" in text


@pytest.mark.timeline("complaint/3", "status/server-restarts")
async def test_after_a_restart_of_the_server_what_shall_run_is_started_again(rows: Rows) -> None:
    names = [f"s{number:02}" for number in range(25)]
    async with fleet_of(rows, *names) as fleet:
        await fleet.look()
        await fleet.waha.go_down()
        away = await fleet.look(after=POLL)
        while_away = await fleet.statuses()
        # A WAHA that forgot which sessions it ran, as one that was made anew.
        fleet.waha.set_status(names, "STOPPED", told=False)
        await fleet.waha.come_back()
        rounds = [sorted(await fleet.look(after=POLL)) for _ in range(3)]
        await fleet.becomes("WORKING", *names)
        quiet = await fleet.look(after=POLL)

        assert (away, quiet) == ([], [])
        assert set(while_away) == {"working"}
        assert [len(one) for one in rounds] == [10, 10, 5]
        assert sorted(call for one in rounds for call in one) == [f"start {name}" for name in names]
        assert set(await fleet.statuses()) == {"working"}
        assert await rows("SELECT max(restarts) FROM waha_sessions") == [(0,)]


@pytest.mark.timeline("status/told-again")
async def test_what_no_event_told_is_found_by_the_poll_and_what_is_told_again_is_no_news(rows: Rows) -> None:
    async with fleet_of(rows, status=SessionStatus.STARTING) as fleet:
        await fleet.look()
        checks = "SELECT status, source FROM session_checks"
        found = await fleet.statuses(), await rows(checks)
        account = fleet.waha.sessions.known("s1").account
        assert account is not None
        account.name = "Acme GmbH"
        await fleet.look(after=POLL)

        assert found == (["working"], [("working", "poll")])
        assert await rows(checks) == [("working", "poll")]
        assert await fleet.told() == []


@pytest.mark.timeline("complaint/4")
async def test_a_session_that_is_busy_is_seen_to_at_a_later_poll_and_loses_no_try(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        fleet.waha.fail("s1")
        fleet.waha.faults.lock(times=1, carried_out=False)
        busy = await fleet.look()
        counted = await rows("SELECT control_attempts, restarts, error_message FROM waha_sessions")
        soon = await fleet.look(after=timedelta(seconds=9))
        later = await fleet.look(after=timedelta(seconds=6))
        await fleet.becomes("WORKING")
        await fleet.look(after=POLL)

        assert (busy, soon, later) == (["restart s1"], [], ["restart s1"])
        assert counted == [(0, 0, None)]
        assert await fleet.statuses() == ["working"]


@pytest.mark.timeline("complaint/4")
async def test_a_restart_that_was_done_without_an_answer_is_not_done_twice(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        fleet.waha.fail("s1")
        fleet.waha.faults.lose_answer("/api/sessions/*", times=1, session="s1")
        lost = await fleet.look()
        await fleet.becomes("WORKING")
        later = [await fleet.look(after=POLL), await fleet.look(after=MINUTE)]

        assert (lost, later) == (["restart s1"], [[], []])
        assert await fleet.statuses() == ["working"]


async def test_restarts_without_an_answer_are_paced_and_counted_too(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        fleet.waha.starts.fail(session="s1")
        fleet.waha.fail("s1")
        fleet.waha.faults.lose_answer("/api/sessions/*", times=1000, session="s1")
        restarted = []
        for _ in range(4 * 60):
            if await fleet.look(after=MINUTE):
                restarted.append(fleet.now)
                await fleet.becomes("FAILED")

        assert [at - restarted[0] for at in restarted] == [timedelta(0), 5 * MINUTE, 20 * MINUTE]
        assert await rows("SELECT restarts FROM waha_sessions") == [(3,)]
        assert "Restarted by itself, 3 of 3 today. WAHA did not answer." in await fleet.done("failed")


async def test_a_restart_for_which_waha_was_too_busy_to_answer_counts_when_the_session_moved(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        early_on_a_day(fleet)
        fleet.waha.faults.lock("/api/sessions/*", times=1000, session="s1", carried_out=True)
        calls = []
        for _ in range(30):
            fleet.waha.fail("s1")
            calls += await fleet.look(after=MINUTE)
            fleet.waha.set_status(["s1"], "STARTING")
            await fleet.look(after=MINUTE / 60)

        assert 0 < calls.count("restart s1") <= 3
        assert await rows("SELECT restarts FROM waha_sessions") == [(calls.count("restart s1"),)]


@pytest.mark.timeline("complaint/18")
async def test_a_server_behind_a_bad_gateway_is_no_trouble_of_its_sessions(rows: Rows) -> None:
    async with fleet_of(rows, "s1", "s2", "s3") as fleet:
        await fleet.look()
        fleet.waha.answer("*", status=502, body="<html>Bad Gateway</html>")
        away = [await fleet.look(after=POLL) for _ in range(4)]
        during = await fleet.told()
        kinds = await rows("SELECT kind FROM incidents WHERE tenant_id IS NOT NULL")
        fleet.waha.heal()
        back = await fleet.look(after=POLL)

        assert (away, back) == ([[], [], [], []], [])
        assert set(await fleet.statuses()) == {"working"}
        assert kinds == [("server_away",)]
        assert len(during) == 1


async def test_sessions_that_fail_together_are_tried_out_a_few_at_a_time(rows: Rows) -> None:
    names = [f"s{number:03}" for number in range(200)]
    async with fleet_of(rows, *names) as fleet:
        early_on_a_day(fleet)
        fleet.waha.starts.fail()
        fleet.waha.set_status(names, "FAILED")
        restarts = [await fleet.look(after=POLL) for _ in range(20)]

        assert sum(map(len, restarts)) == 10
        assert max(map(len, restarts)) == 1
        told = {restart for one in restarts for restart in one}
        assert len(told) == 10


async def test_what_helps_the_first_is_done_for_all(rows: Rows) -> None:
    names = [f"s{number}" for number in range(8)]
    async with fleet_of(rows, *names) as fleet:
        early_on_a_day(fleet)
        fleet.waha.set_status(names[:5], "FAILED")
        restarted = [await fleet.look(after=POLL) for _ in range(8)]
        await fleet.becomes("WORKING", *names)
        await fleet.look(after=POLL)

        assert sorted(call for one in restarted for call in one) == [f"restart {name}" for name in names[:5]]
        assert set(await fleet.statuses()) == {"working"}


async def test_browsers_are_started_one_after_another(rows: Rows) -> None:
    names = [f"s{number}" for number in range(4)]
    async with fleet_of(rows, *names, engine="WEBJS", on_waha="STOPPED", status=SessionStatus.STOPPED) as fleet:
        started = [await fleet.look(after=timedelta(seconds=seconds)) for seconds in (0, 4, 1, 5, 5)]

        assert [len(one) for one in started] == [1, 0, 1, 1, 1]


async def test_a_slow_call_stops_neither_the_poll_nor_the_others(rows: Rows) -> None:
    async with fleet_of(rows, "slow", "other") as fleet:
        fleet.waha.fail("slow")
        hang = fleet.waha.faults.hang("/api/sessions/slow/restart", carried_out=False)
        await fleet.reconciler.look(fleet.now)
        fleet.waha.set_status(["other"], "STARTING")
        await fleet.reconciler.look(fleet.now + POLL)

        statuses = await fleet.statuses()
        hang.heal()
        await fleet.reconciler.crew.finish()
        assert statuses == ["starting", "failed"]
        assert fleet.calls() == ["restart slow"]


async def test_a_session_is_called_by_one_of_two_daemons(rows: Rows) -> None:
    async with fleet_of(rows) as fleet:
        fleet.waha.fail("s1")
        await fleet.look()
        await fleet.reconciler.hand_over()
        await rows("UPDATE waha_sessions SET next_control_at = %s", START + timedelta(seconds=60))

        assert await fleet.look(after=timedelta(seconds=1)) == []


async def test_what_another_waha_on_the_same_database_runs_is_neither_believed_nor_started(rows: Rows) -> None:
    """It is listed as STOPPED there, whatever it is."""
    async with fleet_of(rows, "s1", "s2", on_waha=None) as fleet, SandboxWaha(WhatsApp(), worker_id="waha2") as other:
        other.share_database_with(fleet.waha)
        other.add_idle_sessions(["s1"])
        fleet.waha.add_idle_sessions(["s2"], status="STOPPED")
        called = [*await fleet.look(), *await fleet.look(after=POLL)]

        assert called == ["start s2"]
        assert await rows("SELECT status FROM waha_sessions WHERE name = 's1'") == [("working",)]
        said = await rows("SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s", OPERATOR.user_id)
        [text] = [text for (text,) in said if "`waha2` runs it" in text]
        assert "It is not started on `main`" in text


@pytest.mark.parametrize("metadata", [{}, our_metadata(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))])
async def test_another_session_of_the_same_name_on_another_server_is_nobodys_business(
    rows: Rows, metadata: dict[str, str]
) -> None:
    """One that was taken over is called as whoever made it called it: `default`, say."""
    async with fleet_of(rows, "default", on_waha=None, server="second") as fleet:
        fleet.waha.add_idle_sessions({"default": {"metadata": metadata}})
        await fleet.look()

        said = await rows("SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s", OPERATOR.user_id)
        assert [text for (text,) in said if "belongs to server" in text] == []


async def test_a_session_that_runs_on_another_server_than_its_own_is_said_once_and_not_stopped(rows: Rows) -> None:
    async with fleet_of(rows, "s1", on_waha=None, server="second") as fleet:
        [(session_id,)] = await rows("SELECT id FROM waha_sessions")
        fleet.waha.add_idle_sessions({"nobodys": None, "s1": {"metadata": our_metadata(session_id)}})
        called = [*await fleet.look(), *await fleet.look(after=POLL)]

        assert called == []
        said = await rows("SELECT payload->>'text' FROM slack_posts WHERE slack_channel_id = %s", OPERATOR.user_id)
        [text] = [text for (text,) in said if "belongs to server" in text]
        assert text.startswith("🔴 WAHA server `main` runs session `s1`, which belongs to server `second`.")
