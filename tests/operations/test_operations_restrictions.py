from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, WahaSession, now_utc
from operations import outdated, restrictions, sending
from operations.hold_reasons import NO_NEW_CHATS, UNKNOWN
from tests.operations.builders import CALL, LEASE, World, acked, beside, ids, lease_one, take, webhook

HOURS_72 = timedelta(hours=72)


def restrict(world: World, conversation: Conversation, *, hours: float | None = None) -> None:
    """A message of this conversation meets error 463."""
    leased = next(one for one in sending.lease(10, LEASE) if one.conversation_id == conversation.id)
    sending.begin(leased, CALL)
    until = world.value("SELECT now() + %s * interval '1 hour'", hours) if hours is not None else None
    assert sending.record_restricted(leased, until=until, give_up_after=HOURS_72)
    world.sql("UPDATE conversations SET send_lease_token = NULL")


def has_written(world: World, conversation: Conversation) -> None:
    world.sql("UPDATE conversations SET last_inbound_at = now() WHERE id = %s", conversation.id)


def test_new_contacts_wait_and_replies_to_people_who_wrote_go_on(world: World, session: WahaSession) -> None:
    new, other, known = (world.conversation(session) for _ in range(3))
    has_written(world, known)
    message, waiting = world.message(new, "Hello stranger"), world.message(other)
    restrict(world, new)
    reply = world.message(known)

    assert ids(sending.lease(10, LEASE)) == [reply.id]
    held = world.reload(message)
    assert (held.status, held.attempts, held.hold_reason) == (MessageStatus.QUEUED, 0, NO_NEW_CHATS)
    assert world.reload(waiting).status is MessageStatus.QUEUED


@pytest.mark.parametrize(("told", "ends"), [(2.0, 2), (-1.0, 24), (None, 24)])
def test_the_pause_ends_when_whatsapp_says_or_after_a_day(
    world: World, conversation: Conversation, told: float | None, ends: int
) -> None:
    world.message(conversation)

    restrict(world, conversation, hours=told)

    left = world.value("SELECT restricted_until - now() FROM waha_sessions")
    assert timedelta(hours=ends - 0.1) < left <= timedelta(hours=ends)


def test_each_thread_is_told_once_and_later_messages_wait_without_a_word(world: World, session: WahaSession) -> None:
    first, second = world.conversation(session), world.conversation(session)
    world.message(first, "one")
    restrict(world, first)
    world.message(second, "two")

    restrictions.tell_held()
    world.message(second, "three")
    restrictions.tell_held()

    # Two threads, of which either may be told first.
    assert sorted(text.partition("“")[2].partition("”")[0] for text in world.texts()) == ["one", "two"]
    assert world.value("SELECT count(*) FROM messages WHERE hold_reason = %s", NO_NEW_CHATS) == 3
    assert restrictions.tell_held() == 0


def test_what_waited_for_whatsapp_leaves_by_itself_when_the_pause_is_over(
    world: World, conversation: Conversation
) -> None:
    message = world.message(conversation)
    restrict(world, conversation)

    world.sql("UPDATE waha_sessions SET restricted_until = now() - interval '1 s'")

    world.sql("UPDATE messages SET created_at = now() - interval '9 hours'")
    leased = lease_one()
    assert leased.message_id == message.id
    assert leased.age < timedelta(minutes=1)


def test_what_waited_for_whatsapp_and_could_not_leave_then_is_as_old_as_that(
    world: World, conversation: Conversation
) -> None:
    world.message(conversation)
    restrict(world, conversation)

    world.sql("UPDATE messages SET created_at = now() - interval '15 hours'")
    world.sql("UPDATE waha_sessions SET restricted_until = now() - interval '11 hours'")

    leased = lease_one()
    assert timedelta(hours=11) <= leased.age < timedelta(hours=11, minutes=1)
    assert not leased.is_confirmed


def test_a_customer_who_writes_meanwhile_is_answered_at_once(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    restrict(world, conversation)

    has_written(world, conversation)

    assert lease_one().message_id == message.id


def test_a_group_is_no_new_contact(world: World, session: WahaSession) -> None:
    stranger, group = world.conversation(session), world.conversation(session, "120363001@g.us")
    world.message(stranger)
    restrict(world, stranger)
    message = world.message(group)

    assert ids(sending.lease(10, LEASE)) == [message.id]


def test_a_known_chat_that_is_refused_all_the_same_waits_alone(world: World, session: WahaSession) -> None:
    refused, other = world.conversation(session), world.conversation(session)
    has_written(world, refused)
    has_written(world, other)
    message = world.message(refused)
    restrict(world, refused)
    reply = world.message(other)

    assert ids(sending.lease(10, LEASE)) == [reply.id]
    assert len(world.texts()) == 1
    assert world.value("SELECT next_attempt_at > now() FROM messages WHERE id = %s", message.id)


def test_noweb_says_it_afterwards_and_a_new_message_waits_in_the_place_of_the_refused_one(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, "Hello stranger")
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_sent(leased, waha_message_id=leased.waha_message_id, is_pending=True)
    message = world.reload(message)
    refusal = acked(message, -1, error={"code": "463", "blocked": True, "until": "2099-01-01T00:00:00Z"})

    take(webhook(session, "message.ack", refusal), webhook(session, "message.ack", refusal))
    restrictions.tell_held()

    [(again, status, slack_ts)] = world.sql(
        "SELECT id, status, slack_ts FROM messages WHERE replay_of = %s", message.id
    )
    assert (status, slack_ts) == ("queued", message.slack_ts)
    assert world.reload(message).status is MessageStatus.FAILED
    assert world.value("SELECT restricted_until = '2099-01-01T00:00:00Z' FROM waha_sessions")
    [said] = world.texts()
    assert "Not sent yet: “Hello stranger”" in said
    assert sending.lease(10, LEASE) == []
    assert world.value("SELECT payload->>'receipt' FROM slack_posts WHERE slot = %s", f"receipt:{again}") == "queued"


def test_noweb_refusing_a_known_chat_is_a_failure_that_a_person_decides(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    has_written(world, conversation)
    message = world.message(conversation, status=MessageStatus.SENT, waha_message_id="3EB0AA")

    take(webhook(session, "message.ack", acked(message, -1, error={"code": "463"})))

    assert world.reload(message).status is MessageStatus.FAILED
    assert world.value("SELECT count(*) FROM messages WHERE replay_of IS NOT NULL") == 0
    assert len(world.texts()) == 1


@pytest.mark.parametrize("why", ["restricted_until = now() + interval '9 days'", "status = 'stopped'"])
def test_what_nobody_could_send_for_three_days_is_given_up_with_its_reason(
    world: World, conversation: Conversation, why: str
) -> None:
    old, young = world.message(conversation, "old"), world.message(conversation, "young")
    world.sql(f"UPDATE waha_sessions SET {why}")  # noqa: S608 - words of this file
    restrictions.tell_held()
    told = len(world.texts())
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours' WHERE id = %s", old.id)
    world.sql("UPDATE messages SET next_attempt_at = now() - interval '73 hours'")

    assert (outdated.give_up(HOURS_72), outdated.give_up(HOURS_72)) == (1, 0)

    assert world.reload(old).status is MessageStatus.FAILED
    assert world.reload(young).status is MessageStatus.QUEUED
    assert "Given up after 72 hours." in world.texts()[told]


def test_what_may_have_left_is_never_given_up_unseen(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    sending.begin(lease_one(), CALL)
    world.end_leases()
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours', next_attempt_at = now() - interval '73 h'")

    assert outdated.give_up(HOURS_72) == 0
    assert world.reload(message).status is MessageStatus.QUEUED


def test_what_may_have_left_is_put_to_people_where_its_session_works_no_more(
    world: World, conversation: Conversation
) -> None:
    message, later = world.message(conversation, "Hm"), world.message(conversation, "Later")
    sending.begin(lease_one(), CALL)
    world.end_leases()
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours', next_attempt_at = now() - interval '73 h'")
    world.sql("UPDATE waha_sessions SET status = 'stopped'")

    assert (outdated.give_up(HOURS_72), outdated.give_up(HOURS_72)) == (2, 0)

    assert (world.reload(message).status, world.reload(message).hold_reason) == (MessageStatus.QUEUED, UNKNOWN)
    assert world.reload(later).status is MessageStatus.FAILED
    assert "It is not known whether “Hm” was sent" in world.texts()[0]


def test_what_a_person_wants_sent_meanwhile_is_not_given_up(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation)
    world.sql("UPDATE messages SET created_at = now() - interval '73 hours', next_attempt_at = now() - interval '73 h'")

    with tenant_transaction(session.tenant_id):
        Message.update(confirmed_at=now_utc()).where(Message.id == message.id).execute()
        Conversation.update(title="held").where(Conversation.id == conversation.id).execute()
        given_up = beside(partial(outdated.give_up, HOURS_72))

    given_up.result(20)
    assert world.reload(message).status is MessageStatus.QUEUED


def test_what_may_have_left_is_looked_up_and_not_called_unsent(world: World, session: WahaSession) -> None:
    interrupted, refused = world.conversation(session), world.conversation(session)
    message = world.message(interrupted, "It may have left")
    sending.begin(lease_one(), CALL)
    world.message(refused, "Not sent")
    restrict(world, refused)
    world.end_leases()

    restrictions.tell_held()

    [said] = world.texts()
    assert "Not sent yet: “Not sent”" in said
    assert world.reload(message).hold_reason is None
    assert ids(sending.lease(10, LEASE)) == [message.id]
