"""Names of colleagues in what is sent are looked up together, in a few seconds, and not for who gave up waiting."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from bot.call import Call
from bot.commands import Installation
from bot.work import TOO_LATE, work_of
from operations.errors import Refused
from operations.standing import Person
from sandbox.slack import SandboxSlack, Wait
from settings import ReportSettings
from slack.client import SlackClient
from tests.bot.conftest import Ask, Rows

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("acme")]

TOLD = Wait(seconds=15, until=lambda answer: bool(answer.messages))


@pytest.fixture(autouse=True)
async def _session(ask: Ask, acme: None) -> None:
    await ask("ana", "session add sales")
    await ask("ana", "channel link #support")


async def test_names_are_looked_up_at_the_same_time(slack: SandboxSlack, rows: Rows) -> None:
    names = [f"colleague{number}" for number in range(8)]
    people = {slack.add_person(name, real_name=f"{name.capitalize()} Doe").id for name in names}
    slack.fail("users.info", latency=1.0, times=None, when=lambda given: given.get("user") in people)
    text = " ".join(f"@{name}" for name in names)

    answer = await slack.command("ana", "support", f"/wa send +4915123456789 {text}", TOLD)

    assert answer.text.startswith("Queued for +4915123456789")
    assert await rows("SELECT body FROM messages") == [(" ".join(f"@{name.capitalize()}" for name in names),)]


async def test_names_that_slack_does_not_say_in_time_end_the_wait(slack: SandboxSlack, rows: Rows) -> None:
    people = {slack.person(name).id for name in ("ben", "olga")}
    slack.fail("users.info", hang=True, times=None, when=lambda given: given.get("user") in people)
    begun = time.monotonic()

    answer = await slack.command("ana", "support", "/wa send +4915123456789 Ask @ben or @olga", TOLD)

    assert answer.text == "Slack did not say what is needed for this, so nothing was changed. Try again."
    assert time.monotonic() - begun < 9  # a single call may take ten
    assert await rows("SELECT count(*) FROM messages") == [(0,)]


async def test_what_became_late_while_names_were_looked_up_is_not_sent(slack: SandboxSlack) -> None:
    ben = slack.person("ben").id
    slack.fail("users.info", latency=1.0, when=lambda given: given.get("user") == ben)
    call = Call(
        event_id=uuid4(),
        slack_team_id=slack.team_id,
        person=Person(slack.team_id, slack.person("ana").id),
        channel_id=slack.channel("support").id,
        response_url="",
        respond_until=time.monotonic() + 0.6,
        typed=f"send +4915123456789 Ask <@{ben}>",
    )

    async with SlackClient(slack.bot_token, slack.api_url) as client:
        with pytest.raises(Refused) as refusal:
            await work_of(call, client, Installation("/wa", (), ("main",), ReportSettings()))

    assert refusal.value.sentence == TOO_LATE
