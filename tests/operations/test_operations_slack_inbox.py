from __future__ import annotations

from functools import partial

import pytest

from bot.incoming import incoming
from operations import slack_inbox
from operations.slack_inbox import NewSlackEvent
from tests.operations.builders import LEASE, SUPPORT, TEAM, World, together

pytestmark = pytest.mark.database_role("switchboard_bot")


def a_command(key: str = "command:1") -> NewSlackEvent:
    row = incoming({"command": "/wa", "trigger_id": key, "team_id": TEAM, "user_id": "UANA", "channel_id": SUPPORT})
    assert row is not None
    return row


def test_a_command_is_carried_out_once_and_its_answer_kept(world: World) -> None:
    row = a_command()
    done: list[int] = []

    def work() -> slack_inbox.Answer:
        done.append(1)
        return slack_inbox.Answer("Done.")

    slack_inbox.store(row)
    answers = together(*[partial(slack_inbox.answer, row.id, work)] * 3)

    assert {one.text for one in answers} == {"Done."}
    assert done == [1]


def test_what_a_refused_command_changed_is_taken_back_and_the_refusal_is_its_answer(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)

    def work() -> slack_inbox.Answer:
        world.sql("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'Acme')")
        raise LookupError

    with pytest.raises(LookupError):
        slack_inbox.answer(row.id, work)
    slack_inbox.refuse(row.id, slack_inbox.Answer("No."))
    slack_inbox.refuse(row.id, slack_inbox.Answer("Something else."))

    assert world.value("SELECT count(*) FROM tenants") == 0
    assert slack_inbox.answer(row.id, work).text == "No."


def test_a_refusal_after_a_committed_answer_tells_that_answer(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)
    slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Queued."))

    told = slack_inbox.refuse(row.id, slack_inbox.Answer("Nothing was changed. Try again."))

    assert told.text == "Queued."


def test_what_was_not_answered_is_found_until_it_is(world: World) -> None:
    row = a_command()

    stored = (slack_inbox.store(row), slack_inbox.store(row))
    before = slack_inbox.unanswered(LEASE)
    slack_inbox.answered(row.id)

    assert stored == (True, False)
    assert [one.id for one in before] == [row.id]
    assert slack_inbox.unanswered(LEASE) == []
