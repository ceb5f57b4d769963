from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from database import transaction
from operations import slack_inbox
from operations.slack_events import incoming
from operations.slack_inbox import NewSlackEvent, Teller
from tests.operations.builders import LEASE, SUPPORT, TEAM, World, beside, together

pytestmark = pytest.mark.database_role("switchboard_bot")


TELLING = timedelta(seconds=15)


def teller() -> Teller:
    return Teller(uuid4(), TELLING)


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
    outcomes = together(*[partial(slack_inbox.answer, row.id, work, teller()) for _ in range(3)])

    assert {one.answer.text for one in outcomes} == {"Done."}
    assert sorted(one.is_ours for one in outcomes) == [False, False, True]
    assert done == [1]


def test_what_a_refused_command_changed_is_taken_back_and_the_refusal_is_its_answer(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)

    def work() -> slack_inbox.Answer:
        world.sql("INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'Acme')")
        raise LookupError

    with pytest.raises(LookupError):
        slack_inbox.answer(row.id, work, teller())
    slack_inbox.refuse(row.id, slack_inbox.Answer("No."), teller())
    slack_inbox.refuse(row.id, slack_inbox.Answer("Something else."), teller())

    assert world.value("SELECT count(*) FROM tenants") == 0
    assert slack_inbox.answer(row.id, work, teller()).answer.text == "No."


def test_a_refusal_after_a_committed_answer_tells_that_answer(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)
    mine = teller()
    slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Queued."), mine)

    told = slack_inbox.refuse(row.id, slack_inbox.Answer("Nothing was changed. Try again."), mine)

    assert told == slack_inbox.Outcome(slack_inbox.Answer("Queued."), is_ours=True)


def test_what_was_not_answered_is_found_until_it_is(world: World) -> None:
    row = a_command()

    stored = (slack_inbox.store(row), slack_inbox.store(row))
    before = slack_inbox.unanswered(LEASE)
    slack_inbox.answered(row.id)

    assert stored == (True, False)
    assert [one.id for one in before] == [row.id]
    assert slack_inbox.unanswered(LEASE) == []


def test_an_answer_is_told_by_one_bot_and_by_another_only_when_that_one_took_too_long(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)
    slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Done."), teller())

    during = slack_inbox.take_over(row.id, teller()).is_ours, slack_inbox.unanswered(LEASE)
    world.sql("UPDATE slack_events SET lease_expires_at = now()")
    left = slack_inbox.unanswered(LEASE)
    afterwards = together(*[partial(slack_inbox.take_over, row.id, teller()) for _ in range(3)])

    assert during == (False, [])
    assert [one.id for one in left] == [row.id]
    assert sorted(one.is_ours for one in afterwards) == [False, False, True]


def test_an_answer_that_was_told_is_nobodys_to_tell(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)
    slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Done."), teller())
    slack_inbox.answered(row.id)
    world.sql("UPDATE slack_events SET lease_expires_at = now()")

    assert not slack_inbox.take_over(row.id, teller()).is_ours


def test_a_bot_whose_commit_was_not_answered_tells_the_answer_all_the_same(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)
    mine = teller()
    slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Done."), mine)

    again = slack_inbox.answer(row.id, lambda: slack_inbox.Answer("Done twice."), mine)

    assert again == slack_inbox.Outcome(slack_inbox.Answer("Done."), is_ours=True)


def test_what_is_most_likely_being_answered_is_left_alone(world: World) -> None:
    row = a_command()
    slack_inbox.store(row)

    assert slack_inbox.unanswered(LEASE, timedelta(minutes=1)) == []
    assert [one.id for one in slack_inbox.unanswered(LEASE)] == [row.id]


def test_events_of_a_thread_take_their_places_in_the_order_of_their_commits(world: World) -> None:
    first, second = (a_reply(ts) for ts in ("1700000001.000100", "1700000002.000100"))

    with transaction():
        slack_inbox.store(first)
        waiting = beside(partial(slack_inbox.store, second))
        committed_meanwhile = waiting.done()

    assert not committed_meanwhile
    assert waiting.result(10)
    assert [one[0] for one in world.sql("SELECT id FROM slack_events ORDER BY position")] == [first.id, second.id]


def a_reply(ts: str) -> NewSlackEvent:
    event = {"type": "message", "ts": ts, "thread_ts": "1700000000.000100", "channel": SUPPORT, "user": "UANA"}
    row = incoming({"team_id": TEAM, "event_id": f"Ev{ts}", "event": event | {"text": "It leaves today."}})
    assert row is not None
    return row
