from __future__ import annotations

from functools import partial

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, WahaSession, uuid7
from operations import relaying
from operations.posting import next_place, receipts_lane
from operations.queueing import start
from operations.receipts import show_receipt
from operations.relaying import LeasedPost
from operations.replaying import replay
from operations.sql import changed
from tests.operations.builders import CUSTOMER, LEASE, SUPPORT, TEAM, World, beside


def replayed(message: Message) -> Message:
    with tenant_transaction(message.tenant_id):
        return replay(message, new_id=uuid7())


def from_a_command(world: World, session: WahaSession) -> tuple[Message, LeasedPost]:
    """A message that failed while the post that shows it was on its way to Slack."""
    with tenant_transaction(session.tenant_id):
        message, _ = start(session, chat_id=CUSTOMER, body="Hi", message_id=uuid7(), writer_id="UANA")
    [post] = relaying.lease(10, LEASE, LEASE)
    world.sql("UPDATE messages SET status = 'failed'")
    return world.reload(message), post


def test_a_message_that_was_replayed_before_its_post_stood_in_slack_has_the_receipts_of_the_replay(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message, post = from_a_command(world, session)
    again = replayed(replayed(message))

    relaying.record_posted(post, "1700000005.000001")
    relaying.record_posted(post, "1700000005.000001")  # the answer to the first commit was lost

    assert world.reload(again).slack_ts == "1700000005.000001"
    assert (world.receipt(again), world.receipt(message)) == ("queued", None)


def test_a_post_that_is_recorded_while_its_message_is_replayed_shows_the_replay(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message, post = from_a_command(world, session)

    with tenant_transaction(session.tenant_id):
        again = replay(message, new_id=uuid7())
        recorded = beside(partial(relaying.record_posted, post, "1700000005.000001"))

    assert recorded.result(20)
    assert (world.receipt(again), world.receipt(message)) == ("queued", None)


def test_a_replay_and_a_receipt_that_is_recorded_wait_in_no_circle(world: World, conversation: Conversation) -> None:
    message = world.message(conversation, status=MessageStatus.FAILED)
    with tenant_transaction(message.tenant_id):
        show_receipt(message)

    with tenant_transaction(message.tenant_id):
        next_place(receipts_lane(TEAM, SUPPORT))
        again = beside(partial(replayed, message))
        changed("UPDATE slack_posts SET error = NULL WHERE slot = %s", (f"receipt:{message.id}",))

    assert world.receipt(again.result(20)) == "queued"
