from __future__ import annotations

from functools import partial

import pytest

from database import tenant_transaction
from models import Conversation, Tenant, WahaSession
from operations.conversations import Customer, find_or_open, living, masked, number_of
from operations.posting import queue_in_thread
from operations.webhook_inbox import due_lanes, process_head, store
from tests.operations.builders import (
    CUSTOMER,
    HIDDEN,
    HOUSE,
    SUPPORT,
    World,
    also_known_as,
    hear,
    said,
    slack_reply,
    take,
    together,
    webhook,
)

NUMBER = Customer(chat_ids=(CUSTOMER,), msisdn="4915123456789")
LID = Customer(chat_ids=(HIDDEN,), lid=HIDDEN)
BOTH = Customer(chat_ids=(HIDDEN, CUSTOMER), msisdn="4915123456789", lid=HIDDEN)


def find(session: WahaSession, customer: Customer) -> Conversation:
    with tenant_transaction(session.tenant_id):
        return find_or_open(session, customer)


def test_a_new_customer_gets_a_conversation_and_a_contact(world: World, session: WahaSession) -> None:
    opened = find(session, BOTH)

    assert find(session, NUMBER).id == find(session, LID).id == opened.id
    assert world.sql("SELECT msisdn, lid FROM contacts") == [("4915123456789", HIDDEN)]


def test_one_customer_of_two_sessions_is_one_contact_and_two_conversations(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    other = world.session(tenant, "support")

    together(partial(find, session, NUMBER), partial(find, other, NUMBER))

    assert world.value("SELECT count(*) FROM conversations") == 2
    assert world.value("SELECT count(*) FROM contacts") == 1


@pytest.mark.parametrize("number", range(5))
def test_a_new_customer_who_comes_by_two_lanes_at_once_gets_one_conversation(
    world: World, tenant: Tenant, session: WahaSession, number: int
) -> None:
    world.route(tenant)
    store(
        [
            webhook(session, "message.any", said("1", chat_id=HIDDEN, **also_known_as(CUSTOMER))),
            webhook(session, "message.any", said("2", chat_id=CUSTOMER, **also_known_as(HIDDEN))),
        ]
    )
    lanes = due_lanes(10)

    together(*[partial(process_head, lane, house=HOUSE) for lane in lanes])

    assert len(lanes) == 2
    assert world.value("SELECT count(*) FROM conversations") == 1
    assert world.value("SELECT count(*) FROM contacts") == 1
    assert sorted(world.sql("SELECT seq FROM messages")) == [(1,), (2,)]
    assert len(world.texts()) == 3, "one card and two texts"


def test_two_conversations_that_prove_to_be_one_customer_are_joined_into_the_older(
    world: World, session: WahaSession
) -> None:
    older = world.conversation(session, CUSTOMER)
    younger = world.conversation(session, HIDDEN)

    found = find(session, BOTH)

    assert found.id == older.id
    assert find(session, LID).id == older.id
    assert world.sql("SELECT id FROM conversations WHERE deleted_at IS NULL") == [(older.id,)]
    notes = world.sql("SELECT conversation_id, payload->>'text' FROM slack_posts")
    assert [(conversation_id, "same customer" in text) for conversation_id, text in notes] == [(younger.id, True)]


def test_an_answer_in_the_thread_of_a_joined_conversation_reaches_the_customer(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    older = world.conversation(session, CUSTOMER)
    younger = world.conversation(session, HIDDEN)
    take(webhook(session, "message.any", said("Hi", chat_id=HIDDEN)))
    find(session, BOTH)

    hear(slack_reply(younger, "It leaves today."))

    rows = world.sql("SELECT conversation_id, chat_id FROM messages WHERE direction = 'outbound'")
    assert rows == [(older.id, CUSTOMER)]
    with tenant_transaction(tenant.id):
        found = living(younger.id)
    assert found == older


def test_what_the_younger_conversation_held_is_posted_in_the_olders_thread(world: World, session: WahaSession) -> None:
    take(*[webhook(session, "message.any", said(str(number), chat_id=HIDDEN)) for number in range(3)])
    world.conversation(session, CUSTOMER)
    world.sql("UPDATE conversations SET created_at = now() - interval '1 day' WHERE slack_channel_id IS NOT NULL")
    take(webhook(session, "message.any", said("first", chat_id=CUSTOMER)))

    find(session, BOTH)

    assert world.texts()[1:] == [
        "— 3 messages arrived before this channel was linked. —",
        *[f"*Customer*: {number}" for number in range(3)],
    ]
    assert [body for (body,) in world.sql("SELECT body FROM messages ORDER BY seq")] == ["first", "0", "1", "2"]
    assert world.value("SELECT count(*) FROM messages WHERE hold_reason IS NOT NULL") == 0


def test_a_conversation_takes_the_channel_of_its_session_before_that_of_all_sessions(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    other = world.session(tenant, "support")
    world.route(tenant, "CALL")
    world.route(tenant, SUPPORT, session=session)

    assert find(session, NUMBER).slack_channel_id == SUPPORT
    assert find(other, NUMBER).slack_channel_id == "CALL"


def test_a_reply_goes_to_the_chat_as_whatsapp_wrote_it_first(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    world.route(tenant)
    conversation = find(session, BOTH)
    world.sql("UPDATE conversations SET slack_thread_ts = '1700000000.000001'")
    conversation.slack_thread_ts = "1700000000.000001"

    hear(slack_reply(conversation, "Hello"))

    assert world.sql("SELECT chat_id FROM messages") == [(HIDDEN,)]


def test_a_name_is_remembered_when_it_becomes_known(world: World, session: WahaSession) -> None:
    find(session, NUMBER)
    find(session, Customer(chat_ids=(CUSTOMER,), name="Ber\x00ta"))
    find(session, Customer(chat_ids=(CUSTOMER,), name="Another"))

    assert world.sql("SELECT title FROM conversations") == [("Ber\ufffdta",)]


def test_the_card_comes_first_in_the_thread(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.route(tenant)
    conversation = find(session, NUMBER)
    with tenant_transaction(tenant.id):
        queue_in_thread(conversation, "then this")

    card, then = world.texts()

    assert card.startswith("*WhatsApp contact* · +4915••••••789 · session `sales`")
    assert then == "then this"


@pytest.mark.parametrize(
    ("number", "shown"), [("4915123456789", "+4915••••••789"), ("12345678", "+1234•678"), ("1234567", "+1234567")]
)
def test_a_number_is_shown_in_part(number: str, shown: str) -> None:
    assert masked(number) == shown


@pytest.mark.parametrize(
    ("chat_id", "number"), [(CUSTOMER, "4915123456789"), (HIDDEN, None), (f"{'1' * 21}@c.us", None), ("", None)]
)
def test_a_number_fits_its_column_or_is_none(chat_id: str, number: str | None) -> None:
    assert number_of(chat_id) == number
