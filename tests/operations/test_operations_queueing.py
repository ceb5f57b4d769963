from __future__ import annotations

import pytest

from database import tenant_transaction
from models import Conversation, WahaSession, uuid7
from operations import sending
from operations.conversations import Customer, find_or_open
from operations.outcomes import NotYet
from operations.queueing import SlackOrigin, queue
from tests.operations.builders import CUSTOMER, HIDDEN, LEASE, SUPPORT, TEAM, World, ids

ORIGIN = SlackOrigin(TEAM, SUPPORT, "1800000000.000001", "UANA")


def test_a_reply_is_not_queued_where_its_conversation_was_joined_to_another_meanwhile(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    younger = world.conversation(session, HIDDEN)
    with tenant_transaction(session.tenant_id):
        find_or_open(session, Customer(chat_ids=(CUSTOMER, HIDDEN)))

    with tenant_transaction(session.tenant_id), pytest.raises(NotYet):
        queue(younger, session, chat_id=HIDDEN, body="Hi", message_id=uuid7(), origin=ORIGIN)

    assert world.value("SELECT count(*) FROM messages") == 0


def test_what_two_joined_conversations_have_queued_leaves_as_one(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    younger = world.conversation(session, HIDDEN)
    messages = [world.message(conversation, "1"), world.message(younger, "2")]
    messages.append(world.message(younger, "3"))
    with tenant_transaction(session.tenant_id):
        find_or_open(session, Customer(chat_ids=(CUSTOMER, HIDDEN)))
    left = []

    for _ in messages:
        [leased] = sending.lease(10, LEASE)
        left.append(leased)
        sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    assert ids(left) == [message.id for message in messages]
