"""`/wa session health` and `/wa session limits`, as they are typed and read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database import connection, in_database
from models import WahaSession, now_utc
from tests.bot.conftest import Ask, Rows
from tests.conftest import MigratedDatabase
from tests.operations.builders import World

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]


@pytest.fixture
async def world(migrated_database: MigratedDatabase, ask: Ask, rows: Rows) -> World:
    await ask("ana", "session add sales")
    await rows("UPDATE waha_sessions SET status = 'working' RETURNING 1")
    return World(migrated_database)


async def begin_chats(world: World, rows: Rows, number: int) -> None:
    """So many people were written to two days ago, and nobody answered."""
    [(tenant_id, session_id)] = await rows("SELECT tenant_id, id FROM waha_sessions")

    def arrange() -> None:
        with connection():
            session = WahaSession(id=session_id, tenant_id=tenant_id)
            for _ in range(number):
                world.conversation(session)
            world.sql("UPDATE conversations SET begun_at = %s", now_utc() - timedelta(days=2))

    await in_database(arrange)


async def test_a_number_of_which_nothing_is_known_says_so(world: World, ask: Ask) -> None:
    text = await ask("ana", "session health sales")

    assert "⚪ nothing known yet" in text
    assert "New chats today: 0 of 50" in text
    assert "too few to say, 0 of at least 10" in text
    assert "`/wa session limits sales`" in text


async def test_a_number_that_nobody_answers_says_why_and_what_to_do(world: World, ask: Ask, rows: Rows) -> None:
    await begin_chats(world, rows, 12)

    text = await ask("ana", "session health sales")

    assert "🟠 sends slower" in text
    assert "Never answered: 100 % of 12 people" in text
    assert "*What to do:* Write to nobody new for some days" in text
    assert "2 times as long" in text


async def test_a_session_that_stands_still_says_that_too(world: World, ask: Ask, rows: Rows) -> None:
    await rows("UPDATE waha_sessions SET status = 'scan_qr' RETURNING 1")

    assert "It is scan qr, so nothing leaves" in await ask("ana", "session health sales")


async def test_without_a_name_all_are_shown_the_gravest_first(world: World, ask: Ask, rows: Rows) -> None:
    await ask("ana", "session add other")
    await rows(
        "INSERT INTO number_healths (id, tenant_id, session_id, level, reasons) "
        """SELECT id, tenant_id, id, 'slow', '["Few answer."]' FROM waha_sessions WHERE name = 'sales' RETURNING 1"""
    )

    lines = (await ask("ana", "session health")).splitlines()

    assert lines[1] == "• `sales` 🟠 sends slower: Few answer."
    assert lines[2] == "• `other` ⚪ nothing known yet"


async def test_limits_are_shown_set_and_taken_back(world: World, ask: Ask, rows: Rows) -> None:
    shown = await ask("ana", "session limits sales --canary off")
    assert "Nothing was changed" in shown
    assert "New contacts a day: 50 (the default)" in shown
    assert "Quiet hours: none" in shown

    text = await ask("ana", "session limits sales --new-contacts 20 --quiet 22:00-07:00 --human off --canary 30")

    assert "Changed" in text
    assert "New contacts a day: 20\n" in text
    assert "22:00 to 07:00, UTC" in text
    assert "as a person would: no\n" in text
    assert "every 30 minutes" in text
    assert "New chats today: 0 of 20" in await ask("ana", "session health sales")
    assert await ask("ana", "session limits sales") == text.partition("\n")[2]


async def test_hours_that_are_none_are_refused_with_some_that_are(world: World, ask: Ask) -> None:
    text = await ask("ana", "session limits sales --quiet midnight")

    assert "`midnight` are no quiet hours" in text
    assert "--quiet 22:00-07:00" in text


async def test_who_may_not_control_sessions_sets_no_limits(world: World, ask: Ask, rows: Rows) -> None:
    await ask("ana", "user add @ben AUDITOR")

    text = await ask("ben", "session limits sales --human off")

    assert "New contacts a day" not in text
    assert await rows("SELECT limits FROM waha_sessions") == [({},)]
