from __future__ import annotations

from datetime import timedelta

import pytest

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, now_utc
from operations import relaying
from operations.posting import queue_in_thread
from operations.receipts import receipt_of, show_receipt
from operations.relaying import LeasedPost
from tests.operations.builders import CALL, LEASE, World


def show(message: Message, **facts: object) -> None:
    with tenant_transaction(message.tenant_id):
        if facts:
            Message.update(facts).where(Message.id == message.id).execute()
        show_receipt(Message.get_by_id(message.id))


def lease() -> list[LeasedPost]:
    return relaying.lease(10, LEASE, LEASE)


@pytest.mark.parametrize(
    ("status", "is_read", "receipt"),
    [
        (MessageStatus.QUEUED, False, "queued"),
        (MessageStatus.SENT, False, "sent"),
        (MessageStatus.DELIVERED, False, "delivered"),
        (MessageStatus.DELIVERED, True, "read"),
        (MessageStatus.FAILED, False, "failed"),
    ],
)
def test_a_receipt_is_the_status_or_that_it_was_read(status: MessageStatus, receipt: str, *, is_read: bool) -> None:
    message = Message(status=status, read_at=now_utc() if is_read else None)

    assert receipt_of(message) == receipt


def test_a_message_that_leaves_at_once_gets_one_reaction_and_not_two(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)

    show(message)
    early = lease()
    show(message, status=MessageStatus.SENT)

    assert early == []
    [post] = lease()
    assert (post.kind, post.payload["ts"], post.payload["receipt"]) == ("react", message.slack_ts, "sent")


def test_only_the_latest_receipt_is_due(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)

    show(message)
    show(message, status=MessageStatus.SENT)
    show(message, status=MessageStatus.DELIVERED)
    show(message, read_at=now_utc())

    [post] = lease()
    assert post.payload["receipt"] == "read"
    assert world.value("SELECT count(*) FROM slack_posts") == 1


def test_a_receipt_that_came_while_another_was_shown_is_shown_next(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    show(message, status=MessageStatus.SENT)
    [post] = lease()
    assert relaying.begin(post, CALL)

    show(message, status=MessageStatus.DELIVERED)
    relaying.record_shown(post, "sent")

    [following] = lease()
    assert (following.payload["receipt"], following.payload["shown"]) == ("delivered", "sent")
    relaying.record_shown(following, "delivered")
    assert lease() == []


def test_a_receipt_that_slack_refused_does_not_keep_the_next_one_back(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    show(message, status=MessageStatus.SENT)
    [post] = lease()
    relaying.record_parked(post, "The message was deleted.")

    show(message, status=MessageStatus.DELIVERED)

    [following] = lease()
    assert following.payload["receipt"] == "delivered"


def test_a_message_that_stands_nowhere_in_slack_has_no_receipt(world: World, conversation: Conversation) -> None:
    show(world.message(conversation, slack_ts=None, slack_part=None))

    assert world.value("SELECT count(*) FROM slack_posts") == 0


def test_the_receipts_of_a_channel_do_not_hold_up_what_people_write(world: World, conversation: Conversation) -> None:
    show(world.message(conversation), status=MessageStatus.SENT)
    [receipt] = lease()
    relaying.record_delayed(receipt, timedelta(minutes=1), "Slack's limit")

    with tenant_transaction(conversation.tenant_id):
        queue_in_thread(conversation, "Hello")

    [post] = lease()
    assert post.payload["text"] == "Hello"


@pytest.mark.parametrize(
    ("shown", "late"),
    [("read", MessageStatus.DELIVERED), ("read", MessageStatus.SENT), ("delivered", MessageStatus.SENT)],
)
def test_a_state_that_was_passed_is_not_shown_again(
    world: World, conversation: Conversation, shown: str, late: MessageStatus
) -> None:
    message = world.message(conversation)
    show(message, status=MessageStatus.DELIVERED, read_at=now_utc() if shown == "read" else None)
    [post] = lease()
    relaying.record_shown(post, shown)

    show(message, status=late, read_at=None)

    assert lease() == []


def test_a_receipt_that_is_shown_already_is_not_made_due_again(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    show(message, status=MessageStatus.SENT)
    [post] = lease()
    relaying.record_shown(post, "sent")

    show(message)

    assert lease() == []


def test_a_failure_does_not_wait_behind_the_receipts_of_others(world: World, conversation: Conversation) -> None:
    first, second = world.message(conversation), world.message(conversation)
    show(first, status=MessageStatus.SENT)
    [under_way] = lease()
    show(second, status=MessageStatus.SENT)

    show(second, status=MessageStatus.FAILED)

    [post] = lease()
    assert (post.payload["receipt"], post.message_id) == ("failed", second.id)
    assert relaying.record_shown(under_way, "sent")


def test_a_failed_message_that_is_tried_anew_shows_that_it_waits(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    show(message, status=MessageStatus.FAILED)
    [post] = lease()
    relaying.record_shown(post, "failed")

    show(message, status=MessageStatus.QUEUED)

    assert world.value("SELECT payload->>'receipt' FROM slack_posts WHERE posted_at IS NULL") == "queued"
