"""What people do about a session, and what they read before it is done."""

from __future__ import annotations

import pytest

from sandbox.slack import SandboxSlack, Wait
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]


async def click(slack: SandboxSlack, label: str) -> str:
    """Answer the newest question to ana."""
    shown = slack.ephemerals("ana")[-1]
    answer = await slack.click("ana", shown, label, wait=Wait(until=lambda answer: bool(answer.messages)))
    return slack.read(answer.messages[-1])


async def test_a_log_out_is_asked_back_with_what_is_lost(ask: Ask, slack: SandboxSlack, rows: Rows) -> None:
    await ask("ana", "session add sales")

    question = await ask("ana", "session logout sales")
    asked = await rows("SELECT count(*) FROM waha_actions")
    done = await click(slack, "Log out")

    assert question.startswith("Log session `sales` out of its phone? Its pairing is lost:")
    assert "`/wa session restart sales` is enough." in question
    assert asked == [(0,)]
    assert done.startswith("Session `sales` is being logged out of its phone.")
    assert await rows("SELECT kind, slack_user_id FROM waha_actions") == [("logout", slack.person("ana").id)]


async def test_a_removal_is_asked_back_and_frees_the_name_and_the_channel(
    ask: Ask, slack: SandboxSlack, rows: Rows
) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support --session sales")

    question = await ask("ana", "session remove sales")
    done = await click(slack, "Remove")
    again = await ask("ana", "session add sales")

    assert question.startswith("Remove session `sales`? Its pairing is lost and WAHA forgets it;")
    assert "`/wa session stop sales` is enough." in question
    assert done.startswith("Session `sales` was removed. WAHA is told to forget it;")
    assert again.startswith("Session `sales` was added")
    assert await rows("SELECT deleted_at IS NULL, desired_state FROM waha_sessions ORDER BY created_at") == [
        (False, "stopped"),
        (True, "running"),
    ]
    assert await rows("SELECT count(*) FROM channel_routes WHERE deleted_at IS NULL") == [(0,)]
    assert await rows("SELECT kind FROM waha_actions") == [("remove",)]
