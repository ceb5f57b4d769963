"""Log-outs and removals that a person asked for: done once, said once, and looked up where the answer was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from database import in_database, tenant_transaction
from models import ActionKind, Conversation, Direction, Message, uuid7
from operations import session_ends
from tests.daemon.conftest import Rows
from tests.daemon.orders import ANA, Rig, rig_of

LOGOUT = "/api/sessions/s1/logout"
SESSION = "/api/sessions/s1"
GONE = (
    "⚪ Session `sales` is logged out: its phone is linked no more, and it is stopped. "
    "Link a phone again: `session qr sales`."
)


@pytest.fixture
async def rig(rows: Rows) -> AsyncIterator[Rig]:
    async with rig_of(rows) as rig:
        yield rig


async def removal(rig: Rig) -> None:
    def ask() -> None:
        with tenant_transaction(rig.tenant_id):
            session_ends.ask_removal(rig.tenant_id, "sales", action_id=uuid7(), asker=ANA, actor=ANA.key)

    await in_database(ask)


async def test_a_phone_is_logged_out_and_nothing_runs_before_somebody_asks_for_a_code(rig: Rig) -> None:
    await rig.order(ActionKind.LOGOUT)

    await rig.turn()

    assert rig.waha.sessions.known("s1").device is None
    assert await rig.told() == [GONE]
    assert await rig.rows("SELECT desired_state, metadata FROM waha_sessions") == [("stopped", {})]


async def test_a_log_out_whose_answer_was_lost_is_looked_up_and_not_repeated(rig: Rig) -> None:
    rig.waha.faults.lose_answer(LOGOUT, times=1)
    await rig.order(ActionKind.LOGOUT)

    await rig.turn()
    await rig.turn(after=timedelta(seconds=5))

    assert len(rig.waha.journal.requests_to(LOGOUT)) == 1
    told, done = await rig.told()
    assert told.startswith("WAHA server `main` did not do it yet: ")
    assert told.endswith("Session `sales` is logged out as soon as it is back.")
    assert done == GONE


async def test_a_log_out_is_not_made_up_for_hours_later(rig: Rig) -> None:
    await rig.order(ActionKind.LOGOUT)

    await rig.turn(after=timedelta(hours=1, seconds=1))

    assert rig.waha.journal.requests_to(LOGOUT) == []
    assert rig.waha.sessions.known("s1").device is not None
    assert (await rig.told())[-1].startswith("Session `sales` was not logged out: WAHA server `main`")


async def test_of_a_log_out_whose_outcome_nobody_heard_for_an_hour_neither_is_said(rig: Rig) -> None:
    rig.waha.faults.lose_answer(LOGOUT)
    await rig.order(ActionKind.LOGOUT)
    await rig.turn()

    await rig.turn(after=timedelta(hours=1, seconds=1))

    assert rig.waha.sessions.known("s1").device is None
    told = (await rig.told())[-1]
    assert told.startswith("Whether session `sales` was logged out is not known: WAHA server `main` was told to,")
    assert told.endswith("Or ask again: `session logout sales`.")


async def test_a_removed_session_is_forgotten_by_waha_and_what_waited_fails_in_its_thread(rig: Rig) -> None:
    await in_database(queue_message, rig)
    await removal(rig)

    await rig.turn()
    await rig.turn()

    assert rig.waha.sessions.get("s1") is None
    assert len(rig.waha.journal.requests_to(SESSION)) == 1
    [told] = [text for text in await rig.told() if text and "forgotten" in text]
    assert told.startswith("WAHA server `main` has forgotten session `sales`.")
    assert await rig.rows("SELECT status, error_message FROM messages") == [("failed", session_ends.REMOVED)]
    assert await rig.rows("SELECT status, deleted_at IS NOT NULL FROM waha_sessions") == [("stopped", True)]


async def test_a_session_is_removed_while_its_server_is_away_and_forgotten_when_it_is_back(rig: Rig) -> None:
    await rig.waha.go_down()
    await removal(rig)

    await rig.turn()
    await rig.turn(after=timedelta(minutes=5))
    assert len(await rig.told()) == 1
    await rig.waha.come_back()
    await rig.turn(after=timedelta(days=3))

    assert rig.waha.sessions.get("s1") is None
    delayed, done = await rig.told()
    assert delayed.endswith("It forgets session `sales` as soon as it is back; you need do nothing.")
    assert "has forgotten session `sales`" in done


def queue_message(rig: Rig) -> None:
    with tenant_transaction(rig.tenant_id):
        conversation = Conversation.create(tenant_id=rig.tenant_id, session_id=rig.session_id, title="Carla")
        Message.create(
            tenant_id=rig.tenant_id,
            session_id=rig.session_id,
            conversation_id=conversation.id,
            direction=Direction.OUTBOUND,
            chat_id="4915123456789@c.us",
            body="Hello",
            seq=1,
        )
