from __future__ import annotations

import threading

import pytest

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, Tenant, WahaSession, uuid7
from operations import deciding, sending
from operations.buttons import Act
from operations.conversations import Customer, unite
from operations.errors import BadInput, NotFound, Refused
from operations.hold_reasons import ASIDE, STALE, UNKNOWN
from tests.operations.builders import (
    ANA,
    CALL,
    CUSTOMER,
    HIDDEN,
    LEASE,
    World,
    beside,
    lease_one,
    said,
    take,
    together,
    webhook,
)

HERE = {
    "failed": "status = 'failed', error_message = 'WhatsApp refused it.'",
    "unconfirmed": "status = 'failed', awaits_ack_since = now()",
    "withdrawn": f"parked_at = now(), hold_reason = '{UNKNOWN}', send_started_at = now(), "
    'metadata = \'{"dropped_by": "T1/UANA"}\'',
    "aside": f"parked_at = now(), hold_reason = '{ASIDE}', error_message = 'No.'",
    "stale": f"parked_at = now(), hold_reason = '{STALE}'",
    "unknown": f"parked_at = now(), hold_reason = '{UNKNOWN}', send_started_at = now()",
    "waiting": "attempts = 0",
    "in flight": "send_started_at = now()",
    "sent": "status = 'sent'",
    "delivered": "status = 'delivered'",
}
POSSIBLE = {
    (Act.SEND_NOW, "aside"),
    (Act.SEND_NOW, "stale"),
    (Act.RETRY, "aside"),
    (Act.RETRY, "stale"),
    (Act.RETRY, "failed"),
    (Act.DISCARD, "aside"),
    (Act.DISCARD, "stale"),
    (Act.DISCARD, "failed"),
    (Act.DISCARD, "waiting"),
    (Act.WAS_SENT, "unknown"),
    (Act.SEND_AGAIN, "unknown"),
    (Act.SEND_AGAIN, "unconfirmed"),
    (Act.DISCARD, "unconfirmed"),
    (Act.DISCARD, "withdrawn"),
    (Act.WAS_SENT, "withdrawn"),
}


def put(world: World, message: Message, where: str) -> None:
    world.sql(f"UPDATE messages SET {HERE[where]} WHERE id = %s", message.id)  # noqa: S608 - words of this file


def decide(act: Act, message: Message, who: str = ANA.key) -> str:
    with tenant_transaction(message.tenant_id):
        return deciding.decide(act, message.id, user_id=who, new_id=uuid7())


def edit(message: Message, text: str) -> str:
    with tenant_transaction(message.tenant_id):
        return deciding.edit(message.id, text, user_id=ANA.key, new_id=uuid7())


def cancel(message: Message) -> str:
    with tenant_transaction(message.tenant_id):
        return deciding.cancel(message.id, user_id=ANA.key)


def replay_of(world: World, message: Message) -> Message:
    with tenant_transaction(message.tenant_id):
        return Message.get(Message.replay_of == message.id)


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.EDIT])
@pytest.mark.parametrize("where", HERE)
def test_a_button_does_what_it_says_where_that_makes_sense_and_nothing_elsewhere(
    world: World, conversation: Conversation, act: Act, where: str
) -> None:
    message = world.message(conversation)
    put(world, message, where)
    before = world.sql("SELECT * FROM messages")

    if (act, where) in POSSIBLE:
        assert decide(act, message)
        assert world.sql("SELECT * FROM messages") != before
        assert world.sql("SELECT actor, action, subject_id FROM audit_entries") == [(ANA.key, act.value, message.id)]
    else:
        with pytest.raises(Refused, match="Nothing was changed"):
            decide(act, message)
        assert world.sql("SELECT * FROM messages") == before


def test_what_is_sent_now_goes_before_what_waits_and_is_not_asked_again(
    world: World, conversation: Conversation
) -> None:
    stale, later = world.message(conversation, "stale"), world.message(conversation, "later")
    world.sql("UPDATE messages SET created_at = now() - interval '45 minutes' WHERE id = %s", stale.id)
    sending.record_stale(lease_one())

    decide(Act.SEND_NOW, stale)

    leased = lease_one()
    assert (leased.message_id, leased.is_confirmed) == (stale.id, True)
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)
    assert lease_one().message_id == later.id


def test_a_retry_is_a_new_message_at_the_end_whose_receipts_stand_on_the_same_slack_message(
    world: World, conversation: Conversation
) -> None:
    message, later = world.message(conversation, "Hi"), world.message(conversation, "later")
    sending.record_refused(lease_one(), "WhatsApp refused it.")
    world.sql(
        "UPDATE slack_posts SET posted_at = now(), payload = payload || '{\"shown\": \"failed\"}' WHERE kind = 'react'"
    )

    decide(Act.RETRY, message)

    again = replay_of(world, message)
    assert (again.body, again.status, again.slack_ts) == ("Hi", MessageStatus.QUEUED, message.slack_ts)
    assert world.value(
        "SELECT seq > (SELECT seq FROM messages WHERE id = %s) FROM messages WHERE id = %s", later.id, again.id
    )
    assert world.reload(message).status is MessageStatus.FAILED
    [shown] = world.sql(
        "SELECT message_id, payload->>'receipt', payload->>'shown', posted_at FROM slack_posts WHERE kind = 'react'"
    )
    assert shown == (again.id, "queued", "failed", None)


def test_a_retry_happens_once_however_many_click_at_the_same_moment(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    put(world, message, "failed")

    def click() -> bool:
        try:
            decide(Act.RETRY, message)
        except Refused:
            return False
        return True

    assert sorted(together(click, click, click)) == [False, False, True]
    assert world.value("SELECT count(*) FROM messages WHERE replay_of = %s", message.id) == 1


def test_a_replay_that_failed_is_replayed_in_its_turn(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    put(world, message, "failed")
    decide(Act.RETRY, message)
    second = replay_of(world, message)
    put(world, second, "failed")

    decide(Act.RETRY, second)

    with pytest.raises(Refused, match="on its way again"):
        decide(Act.RETRY, message)
    assert replay_of(world, second).slack_ts == message.slack_ts


def test_what_a_person_saw_on_the_phone_counts_as_sent_and_its_echo_still_finds_it(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    message = world.message(conversation, "Was it?")
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    decide(Act.WAS_SENT, message)
    take(webhook(session, "message.any", said("Was it?", "WEBJS1", leased.chat_id, from_me=True, ack=1)))

    assert world.reload(message).status is MessageStatus.SENT
    assert world.receipt(message) == "sent"
    assert world.reload(message).waha_message_id == "WEBJS1"
    assert world.value("SELECT count(*) FROM messages") == 1


def test_what_is_sent_again_is_a_new_message_under_a_new_id(world: World, conversation: Conversation) -> None:
    message = world.message(conversation, "Was it?")
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    decide(Act.SEND_AGAIN, message)

    again = lease_one()
    assert (again.message_id, again.body) == (replay_of(world, message).id, "Was it?")
    assert again.waha_message_id != leased.waha_message_id
    assert again.send_started_at is None


@pytest.mark.parametrize("where", ["failed", "unconfirmed", "aside", "stale"])
def test_another_text_is_sent_in_the_place_of_one_that_failed(
    world: World, conversation: Conversation, where: str
) -> None:
    message = world.message(conversation, "old")
    put(world, message, where)

    edit(message, "  new ")

    assert world.reload(message).status is MessageStatus.FAILED
    assert (lease_one().message_id, replay_of(world, message).body) == (replay_of(world, message).id, "new")


def test_an_empty_text_is_sent_to_nobody(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    put(world, message, "failed")

    with pytest.raises(BadInput):
        edit(message, " \n")


def test_what_has_not_left_is_cancelled_without_a_word_in_the_thread(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.user(tenant)
    message, later = world.message(conversation), world.message(conversation)

    cancel(message)

    gone = world.reload(message)
    assert (gone.status, gone.error_message) == (MessageStatus.FAILED, "Cancelled by Ana.")
    assert world.receipt(message) == "failed"
    assert world.texts() == []
    assert lease_one().message_id == later.id


def test_what_was_leased_but_not_begun_is_cancelled_and_never_begun(world: World, conversation: Conversation) -> None:
    message, later = world.message(conversation), world.message(conversation)
    leased = lease_one()

    cancel(message)

    assert not sending.begin(leased, CALL)
    assert lease_one().message_id == later.id


def test_what_is_in_flight_is_not_cancelled(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    leased = lease_one()
    sending.begin(leased, CALL)

    with pytest.raises(Refused, match="on its way"):
        cancel(message)

    assert sending.record_sent(leased, waha_message_id=leased.waha_message_id)


def test_a_message_of_another_tenant_is_none(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    other = world.tenant("Other")

    with tenant_transaction(other.id), pytest.raises(NotFound):
        deciding.cancel(message.id, user_id=ANA.key)


def test_a_message_is_found_before_the_tenant_is(world: World, tenant: Tenant, conversation: Conversation) -> None:
    message = world.message(conversation)

    assert deciding.tenant_of(message.id) == tenant.id
    assert deciding.tenant_of(uuid7()) is None


def test_what_is_cancelled_while_it_is_leased_leaves_once_or_never(world: World, session: WahaSession) -> None:
    for _ in range(20):
        message = world.message(world.conversation(session))

        def send() -> bool:
            return any(sending.begin(leased, CALL) for leased in sending.lease(10, LEASE))

        def take_back(message: Message = message) -> bool:
            try:
                cancel(message)
            except Refused:
                return False
            return True

        began, cancelled = together(send, take_back)

        assert (began and not cancelled) or (cancelled and not began) or not sending.lease(0, LEASE)
        assert not (began and cancelled)
        world.sql("UPDATE conversations SET send_lease_token = NULL")
        world.sql("UPDATE messages SET status = 'failed'")


def test_a_message_that_moves_to_another_conversation_is_decided_under_the_lock_of_that_one(
    world: World, session: WahaSession
) -> None:
    older, younger = world.conversation(session, CUSTOMER), world.conversation(session, HIDDEN)
    message = world.message(younger)

    is_locked, is_seen = threading.Event(), threading.Event()

    def lock() -> bool:
        with tenant_transaction(message.tenant_id):
            deciding.lock_with_conversation(message)
            is_locked.set()
            return is_seen.wait(10)

    with tenant_transaction(session.tenant_id):
        unite(session, Customer(chat_ids=(CUSTOMER, HIDDEN)))
        locking = beside(lock)
    assert is_locked.wait(10)

    free = world.sql("SELECT id FROM conversations WHERE id = %s FOR UPDATE SKIP LOCKED", older.id)
    is_seen.set()

    assert locking.result(10)
    assert free == []
    assert world.reload(message).conversation_id == older.id
