from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database import tenant_transaction
from models import Conversation, Engine, Message, MessageStatus, WahaSession
from operations import delivery, sending
from tests.operations.builders import (
    CALL,
    CUSTOMER,
    HIDDEN,
    World,
    acked,
    also_known_as,
    beside,
    handle_webhooks,
    lease_one,
    said,
    take,
    together,
    webhook,
)
from waha import webhooks
from waha.events import AckEvent

RANK = {"queued": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 9}
# WAHA's number -> the receipt that it stands for; 0 and unknown ones say nothing.
MEANING = {-1: "failed", 0: None, 1: "sent", 2: "delivered", 3: "read", 4: "read", 7: None}


def state_of(world: World, message: Message) -> str:
    known = world.reload(message)
    return "read" if known.read_at is not None else str(known.status.value)


def acknowledge(session: WahaSession, message: Message, ack: int) -> None:
    event = webhooks.parse(webhook(session, "message.ack", acked(message, ack)).body)
    assert isinstance(event, AckEvent)
    with tenant_transaction(session.tenant_id):
        delivery.acknowledge(session, event)


def sent(world: World, conversation: Conversation, body: str = "Hi", **more: object) -> Message:
    return world.message(conversation, body, **({"status": MessageStatus.SENT, "waha_message_id": "3EB0AA"} | more))


def echo(body: str, message_id: str, chat_id: str = CUSTOMER, **more: object) -> dict[str, object]:
    """What WAHA tells of a message that left the account."""
    found: dict[str, object] = said(body, message_id, chat_id, from_me=True, **more)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acks=st.lists(st.sampled_from(sorted(MEANING)), max_size=8), begins_sent=st.booleans())
def test_a_status_moves_forward_only_whatever_the_order_of_the_acknowledgements(
    world: World, session: WahaSession, conversation: Conversation, acks: list[int], *, begins_sent: bool
) -> None:
    status = MessageStatus.SENT if begins_sent else MessageStatus.QUEUED
    message = world.message(conversation, status=status)
    message.waha_message_id = f"3EB0{message.id.hex.upper()}"
    world.sql("UPDATE messages SET waha_message_id = %s WHERE id = %s", message.waha_message_id, message.id)
    expected = str(status.value)

    for ack in acks:
        acknowledge(session, message, ack)

        told = MEANING[ack]
        fails = told == "failed" and expected in {"queued", "sent"}
        if told is not None and (fails or (told != "failed" and expected != "failed" and RANK[told] > RANK[expected])):
            expected = told
        assert state_of(world, message) == expected
        assert world.receipt(message) in {expected, None}
    assert (world.reload(message).delivered_at is not None) == (expected in {"delivered", "read"})


def test_a_refusal_by_whatsapp_is_said_in_the_thread_once(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = sent(world, conversation, "Are you there?")
    refusal = acked(message, -1, error={"code": 479})

    take(webhook(session, "message.ack", refusal), webhook(session, "message.ack", refusal))

    [said_in_thread] = world.texts()
    assert "“Are you there?”. WhatsApp refused it (code 479)." in said_in_thread
    assert world.receipt(message) == "failed"


def test_an_acknowledgement_may_overtake_the_answer_to_the_call(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message, later = world.message(conversation), world.message(conversation, "2")
    leased = lease_one()
    sending.begin(leased, CALL)
    message.waha_message_id = leased.waha_message_id

    take(webhook(session, "message.ack", acked(message, 2)))
    recorded = sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    assert not recorded
    assert state_of(world, message) == "delivered"
    assert lease_one().message_id == later.id


def test_an_acknowledgement_that_arrives_while_the_answer_is_recorded_is_not_lost(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    for _ in range(10):
        message = world.message(conversation)
        leased = lease_one()
        sending.begin(leased, CALL)
        message.waha_message_id = leased.waha_message_id

        together(
            partial(acknowledge, session, message, 2),
            partial(sending.record_sent, leased, waha_message_id=leased.waha_message_id),
        )

        assert state_of(world, message) == "delivered"
        assert world.receipt(message) == "delivered"


@pytest.mark.parametrize(
    "payload",
    [
        {"id": f"false_{CUSTOMER}_3EB0AA", "fromMe": False, "ack": 3},
        {"id": f"true_{CUSTOMER}_3EB0AA", "fromMe": True, "ack": 99},
    ],
    ids=["of what a customer wrote", "of an unknown kind"],
)
def test_an_acknowledgement_of_something_else_changes_nothing(
    world: World, session: WahaSession, conversation: Conversation, payload: dict[str, object]
) -> None:
    message = sent(world, conversation)

    take(webhook(session, "message.ack", payload))

    assert state_of(world, message) == "sent"
    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NOT NULL") == 1


def test_two_tenants_who_write_to_each_other_share_an_id_and_no_receipt(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    other = world.session(world.tenant("Globex"))
    theirs = sent(world, world.conversation(other))
    mine = sent(world, conversation)

    take(webhook(session, "message.ack", acked(mine, 3)))

    assert (state_of(world, mine), state_of(world, theirs)) == ("read", "sent")


def test_an_echo_with_our_id_confirms_what_was_sent(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, waha_message_id="3EB0AA")

    take(webhook(session, "message.any", echo("It leaves today.", "3EB0AA", ack=1)))

    assert state_of(world, message) == "sent"
    assert world.texts() == []


def test_an_echo_before_whatsapp_has_it_confirms_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, waha_message_id="3EB0AA")

    take(webhook(session, "message.any", echo("It leaves today.", "3EB0AA", ack=0)))

    assert state_of(world, message) == "queued"
    assert world.texts() == []


def test_an_echo_under_another_id_waits_for_the_answer_to_the_call(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    """WEBJS chooses its own ids; without the wait the agent's reply would be shown again as sent from the phone."""
    message = world.message(conversation)
    leased = lease_one()
    sending.begin(leased, CALL)

    take(webhook(session, "message.any", echo("It leaves today.", "WEBJS1")))
    take(webhook(session, "message.ack", {"id": f"true_{CUSTOMER}_WEBJS1", "fromMe": True, "ack": 2}))
    sending.record_sent(leased, waha_message_id="WEBJS1")
    world.make_all_due()
    handle_webhooks()

    assert world.value("SELECT count(*) FROM messages") == 1
    assert state_of(world, message) == "delivered"
    assert world.texts() == []


def test_what_the_phone_sends_while_a_reply_is_on_its_way_is_shown_after_it(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.message(conversation)
    leased = lease_one()
    sending.begin(leased, CALL)

    take(webhook(session, "message.any", echo("From my phone", "PHONE1")))
    early = world.texts()
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)
    world.make_all_due()
    handle_webhooks()

    assert early == []
    assert world.texts() == ["_Sent from the phone_: From my phone"]


def test_nothing_waits_for_a_lease_that_has_ended(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.message(conversation)
    sending.begin(lease_one(), CALL)
    world.end_leases()

    take(webhook(session, "message.any", echo("From my phone", "PHONE1")))

    assert world.texts() == ["_Sent from the phone_: From my phone"]


@pytest.mark.parametrize("chat_id", [CUSTOMER, HIDDEN])
def test_a_parked_message_is_confirmed_by_its_echo_under_the_id_that_waha_chose(
    world: World, session: WahaSession, conversation: Conversation, chat_id: str
) -> None:
    message = world.message(conversation)
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    take(webhook(session, "message.any", echo("It leaves today.", "WEBJS1", chat_id, **also_known_as(CUSTOMER))))

    known = world.reload(message)
    assert (known.status, known.waha_message_id) == (MessageStatus.SENT, "WEBJS1")
    assert known.parked_at is None
    assert world.value("SELECT count(*) FROM messages") == 1


@pytest.mark.parametrize("engine", list(Engine))
def test_an_echo_with_the_same_text_proves_something_only_where_waha_chooses_the_ids(
    world: World, session: WahaSession, conversation: Conversation, engine: Engine
) -> None:
    world.sql("UPDATE waha_sessions SET engine = %s", engine.value)
    message = world.message(conversation)
    sending.begin(lease_one(), CALL)
    world.end_leases()

    take(webhook(session, "message.any", echo("It leaves today.", "OTHER1")))

    assert state_of(world, message) == ("sent" if engine is Engine.WEBJS else "queued")


def test_a_text_that_was_never_sent_is_not_confirmed_by_the_same_words_from_the_phone(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    message = world.message(conversation)

    take(webhook(session, "message.any", echo("It leaves today.", "PHONE1")))

    assert state_of(world, message) == "queued"


def test_two_equal_texts_are_each_found_by_one_echo_where_waha_chooses_the_ids(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    first, second = world.message(conversation, "ok"), world.message(conversation, "ok")
    for _ in range(2):
        leased = lease_one()
        sending.begin(leased, CALL)
        sending.record_unknowable(leased)

    take(*(webhook(session, "message.any", echo("ok", one, leased.chat_id, ack=0)) for one in ("W1", "W2")))

    assert [world.reload(one).waha_message_id for one in (first, second)] == ["W1", "W2"]
    assert {world.reload(one).status for one in (first, second)} == {MessageStatus.SENT}
    assert world.value("SELECT count(*) FROM messages WHERE awaits_ack_since IS NOT NULL") == 2


def test_an_echo_that_came_before_a_crash_is_proof_enough_that_it_was_sent(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    message = world.message(conversation, "ok")
    sending.begin(lease_one(), CALL)
    take(webhook(session, "message.any", echo("ok", "W1", str(message.chat_id), ack=0)))
    world.end_leases()

    again = lease_one()

    assert (again.id_confirmed, again.waha_message_id) == (True, "W1")


def test_what_whatsapp_refuses_to_begin_keeps_its_place_and_its_age(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    first, second = (
        sent(world, conversation, body, waha_message_id=one) for body, one in (("1", "3EB01"), ("2", "3EB02"))
    )
    world.message(conversation, "3")
    world.sql("UPDATE messages SET created_at = now() - interval '71 hours' WHERE id = %s", first.id)

    for message in (second, first):  # in whatever order WhatsApp says it
        take(webhook(session, "message.ack", acked(message, -1, error={"code": "463"})))

    waiting = world.sql(
        "SELECT body, created_at < now() - interval '1 h' FROM messages WHERE status = 'queued' ORDER BY seq"
    )
    assert waiting == [("1", True), ("2", False), ("3", False)]


def test_that_a_message_failed_is_said_in_the_channel_that_its_conversation_has_by_then(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = sent(world, conversation)

    with tenant_transaction(session.tenant_id):
        Conversation.update(slack_channel_id=None).where(Conversation.id == conversation.id).execute()
        refused = beside(partial(acknowledge, session, message, -1))

    refused.result(20)
    assert state_of(world, message) == "failed"
    assert world.texts() == []
