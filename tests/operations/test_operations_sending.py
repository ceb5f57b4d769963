from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, WahaSession
from operations import sending
from operations.hold_reasons import UNKNOWN
from operations.sending import hold_for, pause_after
from tests.operations.builders import CALL, LEASE, World, beside, ids, lease_one

WEEK = timedelta(days=7)


def test_whoever_lost_the_lease_may_not_begin_nor_record(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    lost = lease_one()
    sending.begin(lost, CALL)
    world.end_leases()
    mine = lease_one()

    recorded = (
        sending.begin(lost, CALL),
        sending.record_sent(lost, waha_message_id=lost.waha_message_id),
        sending.record_not_sent(lost, "no", give_up_after=WEEK, blocks_for=WEEK),
        sending.record_held(lost, "no", pause=timedelta(0), give_up_after=timedelta(weeks=1)),
        sending.record_postponed(lost, "no", pause=timedelta(0), blocks_for=WEEK),
        sending.record_refused(lost, "no"),
        sending.record_unknowable(lost),
    )

    assert recorded == (False,) * 7
    assert world.reload(message).status is MessageStatus.QUEUED
    assert world.texts() == []
    assert sending.lease(10, LEASE) == [], "the conversation is still the other's"
    assert sending.record_sent(mine, waha_message_id=mine.waha_message_id)


def test_a_call_that_does_not_fit_into_what_is_left_of_the_lease_is_not_begun(
    world: World, conversation: Conversation
) -> None:
    message = world.message(conversation)
    leased = lease_one()

    assert not sending.begin(leased, LEASE + timedelta(seconds=1))
    assert world.reload(message).send_started_at is None


def test_what_was_sent_is_recorded_once_and_shown(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    leased = lease_one()

    first = sending.record_sent(leased, waha_message_id=leased.waha_message_id, is_pending=True)
    again = sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    sent = world.reload(message)
    assert (first, again) == (True, False)
    assert (sent.status, sent.awaits_ack_since is not None) == (MessageStatus.SENT, True)
    assert sent.sent_at is not None
    assert world.receipt(message) == "sent"


def test_an_answer_with_another_id_is_kept_and_the_sessions_ids_are_trusted_no_more(
    world: World, conversation: Conversation
) -> None:
    message = world.message(conversation)
    world.message(conversation, "next")
    leased = lease_one()

    sending.record_sent(leased, waha_message_id="WEBJS1")

    assert world.reload(message).waha_message_id == "WEBJS1"
    assert lease_one().ids_refused


def test_an_id_that_another_message_has_already_is_not_taken_twice(world: World, conversation: Conversation) -> None:
    world.message(conversation, "earlier", status=MessageStatus.SENT, waha_message_id="WEBJS1")
    message = world.message(conversation)
    leased = lease_one()

    assert sending.record_sent(leased, waha_message_id="WEBJS1")
    assert world.reload(message).waha_message_id == leased.waha_message_id


def test_what_did_not_leave_is_tried_again_later(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    leased = lease_one()
    sending.begin(leased, CALL)

    sending.record_not_sent(leased, "WAHA cannot be reached.", give_up_after=WEEK, blocks_for=WEEK)

    assert sending.lease(10, LEASE) == []
    world.make_all_due()
    again = lease_one()
    assert again.attempts == 1
    assert again.send_started_at is None
    assert world.reload(message).error_message == "WAHA cannot be reached."


def test_what_is_too_old_is_given_up_and_said_in_the_thread(world: World, conversation: Conversation) -> None:
    message = world.message(conversation, "Are you there?")
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours'")
    leased = lease_one()

    sending.record_not_sent(leased, "WAHA cannot be reached.", give_up_after=timedelta(hours=72), blocks_for=WEEK)

    assert world.reload(message).status is MessageStatus.FAILED
    [said] = world.texts()
    assert "Are you there?" in said
    assert "Given up after 72 hours. WAHA cannot be reached." in said


def test_a_head_that_fails_for_too_long_is_set_aside_and_the_later_ones_go_on(
    world: World, conversation: Conversation
) -> None:
    stuck, later = world.message(conversation, "Stuck"), world.message(conversation, "Later")
    sending.record_not_sent(lease_one(), "WhatsApp refused it.", give_up_after=WEEK, blocks_for=timedelta(minutes=15))
    world.sql("UPDATE messages SET blocks_since = now() - interval '16 minutes' WHERE blocks_since IS NOT NULL")
    world.make_all_due()

    sending.record_not_sent(lease_one(), "WhatsApp refused it.", give_up_after=WEEK, blocks_for=timedelta(minutes=15))

    aside = world.reload(stuck)
    assert (aside.status, aside.parked_at is not None) == (MessageStatus.QUEUED, True)
    [said] = world.texts()
    assert "Stuck" in said
    assert "set aside" in said
    assert lease_one().message_id == later.id


def test_what_a_session_holds_for_too_long_is_given_up(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours'")

    sending.record_held(lease_one(), "WAHA is away.", pause=timedelta(0), give_up_after=timedelta(hours=72))

    assert world.reload(message).status is MessageStatus.FAILED


def test_what_waited_too_long_is_set_aside_with_its_age(world: World, conversation: Conversation) -> None:
    message = world.message(conversation, "Are you still there?")
    world.sql("UPDATE messages SET created_at = now() - interval '45 minutes'")
    leased = lease_one()

    sending.record_stale(leased)

    assert timedelta(minutes=45) <= leased.age < timedelta(minutes=46)
    assert world.reload(message).parked_at is not None
    [said] = world.texts()
    assert "waited 45 minutes" in said


def test_a_session_that_cannot_send_holds_its_queue_and_uses_no_attempt(world: World, session: WahaSession) -> None:
    message, other = world.message(world.conversation(session)), world.message(world.conversation(session))
    leased = next(one for one in sending.lease(10, LEASE) if one.message_id == message.id)
    sending.begin(leased, CALL)

    sending.record_held(
        leased, "The session is STARTING.", pause=timedelta(minutes=1), give_up_after=timedelta(weeks=1)
    )

    held = world.reload(message)
    assert (held.attempts, held.hold_reason) == (0, "The session is STARTING.")
    assert held.send_started_at is None
    world.end_leases()
    assert sending.lease(10, LEASE) == []
    world.make_all_due()
    assert set(ids(sending.lease(10, LEASE))) == {message.id, other.id}


def test_a_refused_message_has_failed_and_the_thread_says_why(world: World, conversation: Conversation) -> None:
    message, later = world.message(conversation, "*Hi*"), world.message(conversation, "2")

    sending.record_refused(lease_one(), "There is no such chat.")

    assert world.reload(message).status is MessageStatus.FAILED
    assert world.receipt(message) == "failed"
    [said] = world.texts()
    assert "There is no such chat." in said
    assert lease_one().message_id == later.id


def test_a_failed_look_up_is_looked_up_again_and_nothing_is_sent_meanwhile(
    world: World, conversation: Conversation
) -> None:
    world.message(conversation)
    sending.begin(lease_one(), CALL)
    world.end_leases()

    sending.record_postponed(lease_one(), "WAHA was busy.", pause=timedelta(seconds=5), blocks_for=WEEK)

    assert sending.lease(10, LEASE) == []
    world.make_all_due()
    assert lease_one().send_started_at is not None


def begun(world: World, conversation: Conversation, body: str) -> Message:
    """A message whose call was interrupted, and that can be looked up."""
    message = world.message(conversation, body)
    sending.begin(lease_one(), CALL)
    world.end_leases()
    return message


@pytest.mark.timeline("complaint/15")
def test_a_look_up_that_fails_for_too_long_is_put_to_people_and_later_ones_go_on(
    world: World, conversation: Conversation
) -> None:
    stuck = begun(world, conversation, "Stuck")
    later = world.message(conversation, "Later")
    quarter = timedelta(minutes=15)
    sending.record_postponed(lease_one(), "WAHA was busy.", pause=timedelta(0), blocks_for=quarter)
    world.sql("UPDATE messages SET blocks_since = now() - interval '16 minutes' WHERE blocks_since IS NOT NULL")

    sending.record_postponed(lease_one(), "WAHA was busy.", pause=timedelta(0), blocks_for=quarter)

    assert world.reload(stuck).hold_reason == UNKNOWN
    [said] = world.texts()
    assert "It is not known whether “Stuck” was sent" in said
    assert lease_one().message_id == later.id


def test_a_look_up_waits_with_its_session_and_is_put_to_people_at_last(
    world: World, conversation: Conversation
) -> None:
    message = begun(world, conversation, "Hm")
    sending.record_held(lease_one(), "WAHA is away.", pause=timedelta(minutes=1), give_up_after=WEEK)
    assert sending.lease(10, LEASE) == []
    world.make_all_due()
    assert world.reload(message).send_started_at is not None

    sending.record_held(lease_one(), "WAHA is away.", pause=timedelta(0), give_up_after=timedelta(0))

    assert (world.reload(message).status, world.reload(message).hold_reason) == (MessageStatus.QUEUED, UNKNOWN)


def test_a_shorter_pause_does_not_end_a_longer_one(world: World, session: WahaSession) -> None:
    for _ in range(2):
        world.message(world.conversation(session))
    first, second = sending.lease(10, LEASE)

    sending.record_held(first, "Slow down.", pause=timedelta(minutes=10), give_up_after=WEEK)
    sending.record_held(second, "WAHA is away.", pause=timedelta(seconds=5), give_up_after=WEEK)

    assert world.value("SELECT hold_until > now() + interval '9 minutes' FROM waha_sessions")


@pytest.mark.timeline("complaint/15")
def test_an_outcome_that_nobody_can_know_is_put_to_people_once_and_later_ones_go_on(
    world: World, conversation: Conversation
) -> None:
    message, later = world.message(conversation, "Hm"), world.message(conversation, "2")
    leased = lease_one()

    parked = (sending.record_unknowable(leased), sending.record_unknowable(leased))

    assert parked == (True, False)
    assert world.reload(message).parked_at is not None
    [said] = world.texts()
    assert "It is not known whether “Hm” was sent" in said
    assert lease_one().message_id == later.id


@given(st.integers(0, 10_000))
def test_pauses_grow_to_ten_minutes_and_differ(attempts: int) -> None:
    pause = pause_after(attempts)

    longest = min(timedelta(seconds=2) * 2 ** min(attempts, 20), timedelta(minutes=10))
    assert longest * 0.75 <= pause <= longest


def test_a_record_waits_in_no_circle_with_who_holds_the_conversation(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.message(conversation)
    leased = lease_one()

    with tenant_transaction(session.tenant_id):
        Conversation.update(title="held").where(Conversation.id == conversation.id).execute()
        recorded = beside(partial(sending.record_sent, leased, waha_message_id=leased.waha_message_id))
        Message.update(error_message="held").where(Message.id == leased.message_id).execute()

    assert recorded.result(20)


@given(st.integers())
def test_retries_fill_three_days_with_pauses_that_keep_their_bounds(seed: int) -> None:
    """As many as a message has that is never set aside: some hundred, and none more often than every second."""
    random, age, attempts = Random(seed), timedelta(0), 0  # noqa: S311 - a repeatable test
    while age < timedelta(hours=72):
        pause = pause_after(attempts, random)
        assert timedelta(seconds=1.5) <= pause <= timedelta(minutes=10)
        age, attempts = age + pause, attempts + 1

    assert 432 <= attempts <= 600


@given(st.timedeltas(timedelta(0), timedelta(hours=72)))
def test_a_session_that_cannot_send_is_asked_at_least_twice_a_minute(age: timedelta) -> None:
    assert timedelta(seconds=3.75) <= hold_for(age) <= timedelta(seconds=30)
