"""A restart that was asked for: made once, and its end said once to whoever asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from database import in_database, tenant_transaction
from models import ActionKind, DesiredState, uuid7
from operations import sessions
from operations.errors import Conflict
from tests.daemon.conftest import Rows
from tests.daemon.orders import ANA, Rig, rig_of

RESTART = "/api/sessions/s1/restart"
WORKS = "🟢 Session `sales` was restarted and works. See `session show sales`."


@pytest.fixture
async def rig(rows: Rows) -> AsyncIterator[Rig]:
    async with rig_of(rows) as rig:
        yield rig


def restarts(rig: Rig) -> int:
    return len(rig.waha.journal.requests_to(RESTART))


async def test_a_restart_is_made_once_and_its_end_is_said_once(rig: Rig) -> None:
    await rig.order(ActionKind.RESTART)

    await rig.turn()
    await rig.until_on_waha("WORKING")
    await rig.turn(after=timedelta(seconds=2))
    await rig.turn(after=timedelta(seconds=2))

    assert restarts(rig) == 1
    assert await rig.told() == [WORKS]


async def test_a_restart_that_nobody_asked_for_is_told_to_nobody(rig: Rig) -> None:
    await rig.order(ActionKind.RESTART, None)

    await rig.turn()
    await rig.until_on_waha("WORKING")
    await rig.turn(after=timedelta(seconds=2))

    assert restarts(rig) == 1
    assert await rig.told() == []
    assert await rig.rows("SELECT done_at IS NOT NULL FROM waha_actions") == [(True,)]


async def test_a_restart_whose_answer_nobody_heard_is_not_made_again(rig: Rig) -> None:
    action_id = await rig.order(ActionKind.RESTART)
    began = f'{{"began": "{rig.now.isoformat()}"}}'
    await rig.rows("UPDATE waha_actions SET payload = payload || %s WHERE id = %s", began, action_id)
    rig.now += timedelta(seconds=1)
    await rig.see("STARTING")

    await rig.turn()

    assert restarts(rig) == 0
    assert await rig.told() == [WORKS]


async def test_a_server_that_does_not_take_it_is_asked_again_for_two_minutes(rig: Rig) -> None:
    rig.waha.faults.lock(RESTART)
    await rig.order(ActionKind.RESTART)

    await rig.turn()
    await rig.turn(after=timedelta(seconds=100))
    assert await rig.told() == []
    await rig.turn(after=timedelta(seconds=30))

    assert restarts(rig) == 2
    [told] = await rig.told()
    assert told.startswith("Session `sales` could not be restarted within two minutes. WAHA says: ")
    assert told.endswith("See `session show sales`.")


async def test_its_two_minutes_begin_with_the_first_try(rig: Rig) -> None:
    await rig.order(ActionKind.RESTART)

    await rig.turn(after=timedelta(minutes=5))
    await rig.until_on_waha("WORKING")
    await rig.turn(after=timedelta(seconds=2))

    assert restarts(rig) == 1
    assert await rig.told() == [WORKS]


@pytest.mark.parametrize("change", ["desired_state = 'stopped'", "deleted_at = now(), desired_state = 'stopped'"])
async def test_what_was_stopped_or_removed_meanwhile_is_not_restarted(rig: Rig, change: str) -> None:
    rig.waha.faults.lock(RESTART)
    await rig.order(ActionKind.RESTART)
    await rig.turn()
    await rig.rows(f"UPDATE waha_sessions SET {change}")  # noqa: S608 - words of ours
    rig.waha.faults.heal()

    await rig.turn(after=timedelta(seconds=5))

    assert restarts(rig) == 1
    [told] = await rig.told()
    assert told.startswith("Session `sales` was not restarted: by now it should be stopped, or was removed. ")


async def test_one_restart_at_a_time(rig: Rig) -> None:
    def ask(*, is_person: bool) -> bool:
        with tenant_transaction(rig.tenant_id):
            return sessions.ask_restart(
                rig.tenant_id,
                rig.session_id,
                action_id=uuid7(),
                asker=ANA if is_person else None,
                actor="test",
                reason="silent",
            )

    assert await in_database(ask, is_person=False) is True
    assert await in_database(ask, is_person=False) is False
    with pytest.raises(Conflict, match="is being restarted already"):
        await in_database(ask, is_person=True)
    assert await rig.rows("SELECT count(*) FROM waha_actions") == [(1,)]
    [(action, after)] = await rig.rows("SELECT action, after FROM audit_entries")
    assert (action, after) == ("session.restart", {"reason": "silent"})


async def test_what_should_be_stopped_is_not_restarted(rig: Rig) -> None:
    await rig.rows("UPDATE waha_sessions SET desired_state = %s", DesiredState.STOPPED.value)

    def ask() -> bool:
        with tenant_transaction(rig.tenant_id):
            return sessions.ask_restart(
                rig.tenant_id, "sales", action_id=uuid7(), asker=ANA, actor=ANA.key, reason="asked for"
            )

    with pytest.raises(Conflict, match="`session start sales`"):
        await in_database(ask)
