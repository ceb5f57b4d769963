from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from database import tenant_transaction, transaction
from models import Conversation, Direction, Message, MessageStatus, Tenant, WahaSession
from operations import webhook_inbox
from operations.lanes import MOST_ATTEMPTS
from operations.sql import lock
from operations.webhook_inbox import NewWebhook, due_lanes, process_head, store
from tests.operations.builders import (
    CUSTOMER,
    HIDDEN,
    HOUSE,
    World,
    acked,
    handle_webhooks,
    said,
    take,
    together,
    webhook,
)
from waha.webhooks import history_id


def wrote(session: WahaSession, body: str, message_id: str = "", chat_id: str = CUSTOMER, **more: Any) -> NewWebhook:
    return webhook(session, "message.any", said(body, message_id, chat_id, **more))


def messages(world: World) -> list[str]:
    return [body for (body,) in world.sql("SELECT body FROM messages ORDER BY seq, created_at")]


def errors(world: World) -> list[str]:
    return [error for (error,) in world.sql("SELECT error FROM webhook_events WHERE parked_at IS NOT NULL")]


def poisoned(session: WahaSession) -> NewWebhook:
    """An event that cannot be written down: no column takes U+0000, and an id may not be mended."""
    return wrote(session, "poison", message_id="nul\x00id")


def test_what_a_customer_writes_is_a_message_and_a_post_in_the_thread(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "Where is my order?", _data={"Info": {"PushName": "Berta"}}))

    with tenant_transaction(session.tenant_id):
        message = Message.get()
    assert (message.body, message.direction, message.status) == (
        "Where is my order?",
        Direction.INBOUND,
        MessageStatus.DELIVERED,
    )
    assert (message.from_msisdn, message.to_msisdn, message.seq) == ("4915123456789", "4930901820", 1)
    assert message.conversation_id == conversation.id
    assert world.texts() == ["*Berta*: Where is my order?"]
    assert world.sql("SELECT tenant_id, error FROM webhook_events") == [(session.tenant_id, None)]


def test_messages_of_a_chat_are_handled_in_the_order_in_which_they_came(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(*[wrote(session, str(number)) for number in range(5)])

    assert messages(world) == ["0", "1", "2", "3", "4"]
    assert world.texts() == [f"*+4915••••••789*: {number}" for number in range(5)]


def test_an_event_that_is_posted_again_changes_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    event = wrote(session, "Hi")

    assert store([event, event]) == 1
    assert store([event]) == 0
    handle_webhooks()
    assert store([replace(event, id=webhook(session, "x", {}).id)]) == 0
    handle_webhooks()

    assert messages(world) == ["Hi"]


def test_message_and_message_any_are_one_message(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    payload = said("Hi", "3A01")

    take(webhook(session, "message", payload), webhook(session, "message.any", payload))

    assert messages(world) == ["Hi"]
    assert world.texts() == ["*+4915••••••789*: Hi"]
    assert errors(world) == []


def test_a_message_under_both_names_of_a_customer_is_one_message(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "Hi", "3A01"), wrote(session, "Hi", "3A01", HIDDEN))

    assert messages(world) == ["Hi"]
    assert world.value("SELECT count(*) FROM conversations") == 1
    assert errors(world) == []


def test_a_message_under_both_names_at_the_same_moment_is_one_message_in_one_conversation(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant)
    store([wrote(session, "Hi", "3A01"), wrote(session, "Hi", "3A01", HIDDEN)])

    together(*[partial(process_head, lane, house=HOUSE) for lane in due_lanes(10)])
    world.make_all_due()
    handle_webhooks()

    assert messages(world) == ["Hi"]
    assert world.value("SELECT count(*) FROM conversations") == 1
    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL") == 0


@pytest.mark.parametrize(
    "other",
    [{"body": "Pay to another account"}, {"chat_id": "4917700000000@c.us"}],
    ids=["another text", "another customer"],
)
def test_another_message_under_a_known_id_is_parked(
    world: World, session: WahaSession, conversation: Conversation, other: dict[str, str]
) -> None:
    take(wrote(session, "Hi", "3A01"), wrote(session, **({"body": "Hi", "message_id": "3A01"} | other)))

    assert messages(world) == ["Hi"]
    assert errors(world) == ["Another message was kept under this message's id."]


@pytest.mark.parametrize("is_live_first", [True, False])
def test_a_message_that_was_edited_between_its_webhook_and_the_history_is_one_message(
    world: World, session: WahaSession, conversation: Conversation, *, is_live_first: bool
) -> None:
    live = wrote(session, "helo", "3A01")
    recovered = replace(wrote(session, "hello", "3A01"), event_id=history_id("3A01", from_me=False))
    came = [live, recovered] if is_live_first else [recovered, live]

    take(*came)

    assert errors(world) == []
    assert messages(world) == ["helo" if is_live_first else "hello"]


def test_a_message_of_the_history_under_another_customers_id_is_parked(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    other = wrote(session, "Hi", "3A01", "4917700000000@c.us")

    take(wrote(session, "Hi", "3A01"), replace(other, event_id=history_id("3A01", from_me=False)))

    assert errors(world) == ["Another message was kept under this message's id."]


def test_an_edited_text_under_a_known_id_is_no_other_message(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    edited = said("At five") | {"editedMessageId": "3A01"}

    take(wrote(session, "At four", "3A01"), webhook(session, "message.edited", edited))
    take(wrote(session, "At five", "3A01"))

    assert errors(world) == []
    assert messages(world) == ["At four"]
    assert "it reads now:_\nAt five" in world.texts()[-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM waha_sessions", "No session is called"),
        ("UPDATE waha_sessions SET deleted_at = now()", "The session was deleted."),
        ("UPDATE tenants SET deleted_at = now()", "The session was deleted."),
        ("UPDATE waha_sessions SET server = 'other'", "belongs to server other, not to main"),
    ],
)
def test_an_event_that_belongs_to_no_session_of_ours_is_parked_with_the_reason(
    world: World, session: WahaSession, change: str, reason: str
) -> None:
    world.sql(change)

    take(wrote(session, "Hi"))

    [error] = errors(world)
    assert reason in error
    assert messages(world) == []


def test_an_event_of_a_session_that_others_made_under_our_name_is_parked(world: World, session: WahaSession) -> None:
    foreign = webhook(session, "message.any", said("Hi"), metadata={"switchboard.session": "another row"})

    take(foreign)

    [error] = errors(world)
    assert "another row's id" in error


@pytest.mark.parametrize("body", [b"no json", b'{"event": "message.any"}', b'{"event": "message.any", "session": "x"}'])
def test_what_cannot_be_read_is_parked(world: World, session: WahaSession, body: bytes) -> None:
    take(replace(wrote(session, "Hi"), body=body))

    assert len(errors(world)) == 1


def test_a_poisoned_event_is_parked_after_some_tries_and_those_behind_it_go_on(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([poisoned(session), wrote(session, "behind it"), wrote(session, "of another", chat_id="4917700000000@c.us")])

    for _ in range(MOST_ATTEMPTS):
        handle_webhooks()
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")
    handle_webhooks()

    assert sorted(messages(world)) == ["behind it", "of another"]
    assert world.value("SELECT attempts FROM webhook_events WHERE parked_at IS NOT NULL") == MOST_ATTEMPTS


def test_a_lane_whose_first_event_waits_is_not_offered(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([poisoned(session), wrote(session, "behind it")])
    [lane] = due_lanes(10)

    process_head(lane, house=HOUSE)

    assert due_lanes(10) == []
    assert messages(world) == []


def test_lanes_that_are_worked_on_here_are_not_offered(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([wrote(session, "1"), wrote(session, "2", chat_id="4917700000000@c.us")])

    first, second = due_lanes(10)

    assert due_lanes(10, busy=[first]) == [second]
    assert due_lanes(1) == [first]


def test_a_lane_is_handled_by_one_daemon_at_a_time(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([wrote(session, str(number)) for number in range(40)])
    [lane] = due_lanes(10)

    def work() -> None:
        while due_lanes(10):
            process_head(lane, house=HOUSE)

    together(work, work, work)

    assert messages(world) == [str(number) for number in range(40)]


def test_events_of_many_chats_handled_by_three_daemons_stay_in_order(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant)
    chats = [f"49151{number:08}@c.us" for number in range(10)]
    store([wrote(session, f"{chat}/{number}", chat_id=chat) for number in range(20) for chat in chats])

    def work() -> None:
        while lanes := due_lanes(10):
            for lane in lanes:
                process_head(lane, house=HOUSE)

    together(work, work, work)

    rows = world.sql("SELECT chat_id, array_agg(body ORDER BY seq) FROM messages GROUP BY chat_id")
    assert dict(rows) == {chat: [f"{chat}/{number}" for number in range(20)] for chat in chats}
    assert world.value("SELECT count(*) FROM conversations") == 10
    assert world.value("SELECT count(*) FROM slack_posts") == 10 + 200, "a root for each and all texts"


def test_a_message_waits_while_a_channel_is_being_linked(world: World, tenant: Tenant, session: WahaSession) -> None:
    store([wrote(session, "Hi")])
    [lane] = due_lanes(10)

    with transaction():
        lock(f"links:{tenant.id}")
        together(partial(process_head, lane, house=HOUSE))

    assert messages(world) == []
    world.make_all_due()
    handle_webhooks()
    assert messages(world) == ["Hi"]
    assert world.value("SELECT attempts FROM webhook_events") == 0


def test_a_status_of_the_session_is_written(world: World, session: WahaSession) -> None:
    take(webhook(session, "session.status", {"status": "FAILED"}))

    assert world.value("SELECT status FROM waha_sessions") == "failed"


def test_a_receipt_is_handled_in_the_same_transaction_as_its_event(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, status=MessageStatus.SENT, waha_message_id="3EB0AA")

    take(webhook(session, "message.ack", acked(message, 2)))

    assert world.reload(message).status is MessageStatus.DELIVERED


def test_an_unknown_event_is_processed_and_does_nothing(world: World, session: WahaSession) -> None:
    take(webhook(session, "engine.event", {"x": 1}))

    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NOT NULL") == 1


def test_what_is_stored_by_two_processes_at_once_is_stored_once(world: World, session: WahaSession) -> None:
    events = [wrote(session, str(number)) for number in range(30)]

    stored = together(*[partial(webhook_inbox.store, events) for _ in range(3)])

    assert sum(stored) == 30
