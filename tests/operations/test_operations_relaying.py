from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from database import tenant_transaction, transaction
from models import Conversation, PostKind, Tenant, WahaSession, uuid7
from operations import relaying
from operations.posting import channel_lane, queue_in_thread, queue_post, tell, tell_person, tell_privately
from operations.queueing import start
from operations.receipts import show_receipt
from operations.relaying import LeasedPost
from operations.webhook_inbox import NewWebhook
from tests.operations.builders import (
    ALERTS,
    ANA,
    CALL,
    LEASE,
    SUPPORT,
    TEAM,
    World,
    beside,
    said,
    take,
    together,
    webhook,
)

FILES = timedelta(minutes=5)
AGES = timedelta(hours=72)


def lease() -> list[LeasedPost]:
    return relaying.lease(10, LEASE, FILES)


def lease_one() -> LeasedPost:
    [leased] = lease()
    return leased


def queue_texts(conversation: Conversation, *texts: str) -> None:
    with tenant_transaction(conversation.tenant_id):
        for text in texts:
            queue_in_thread(conversation, text)


def in_flight(conversation: Conversation, text: str = "Hi") -> LeasedPost:
    queue_texts(conversation, text)
    leased = lease_one()
    assert relaying.begin(leased, CALL)
    return leased


def webhook_of(world: World, body: str) -> NewWebhook:
    with tenant_transaction(world.value("SELECT tenant_id FROM waha_sessions")):
        session = WahaSession.get_by_id(world.value("SELECT id FROM waha_sessions"))
    return webhook(session, "message.any", said(body))


def test_the_posts_of_a_conversation_leave_one_after_the_other(conversation: Conversation) -> None:
    queue_texts(conversation, "1", "2")

    first = lease_one()
    meanwhile = lease()
    relaying.record_posted(first, "1700000005.000001")

    assert (first.payload["text"], meanwhile) == ("1", [])
    assert lease_one().payload["text"] == "2"


def test_conversations_and_channels_do_not_wait_for_each_other(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    queue_texts(conversation, "1")
    queue_texts(world.conversation(session), "2")
    with tenant_transaction(tenant.id):
        tell(TEAM, ALERTS, "3", tenant_id=tenant.id)
        tell_person(TEAM, ANA.user_id, "4", tenant_id=tenant.id)
    with transaction():
        tell(TEAM, "COPERATORS", "5", tenant_id=None)

    assert sorted(post.payload["text"] for post in lease()) == ["1", "2", "3", "4", "5"]


def test_a_post_stands_in_the_thread_that_its_conversation_has_by_then(world: World, session: WahaSession) -> None:
    conversation = world.conversation(session, thread_ts=None)
    queue_texts(conversation, "root", "below")

    root = lease_one()
    relaying.record_posted(root, "1700000005.000001")

    assert root.thread_ts is None
    assert lease_one().thread_ts == "1700000005.000001"


def test_what_was_queued_for_a_channel_does_not_use_the_thread_of_the_next_one(
    world: World, conversation: Conversation
) -> None:
    queue_texts(conversation, "for the old channel")
    world.sql("UPDATE conversations SET slack_channel_id = 'CNEXT', slack_thread_ts = '1700000009.000001'")

    post = lease_one()
    relaying.record_posted(post, "1700000005.000001")

    assert (post.slack_channel_id, post.thread_ts) == (SUPPORT, None)
    assert world.value("SELECT slack_thread_ts FROM conversations") == "1700000009.000001"


def test_only_the_thread_that_is_gone_is_forgotten(world: World, conversation: Conversation) -> None:
    post = in_flight(conversation)
    world.sql("UPDATE conversations SET slack_thread_ts = '1700000009.000001'")

    relaying.forget_thread(post)
    kept = world.value("SELECT slack_thread_ts FROM conversations")
    world.sql("UPDATE conversations SET slack_thread_ts = %s", post.thread_ts)
    relaying.forget_thread(post)

    assert kept == "1700000009.000001"
    assert world.value("SELECT slack_thread_ts FROM conversations") is None


def test_a_lease_that_ran_out_is_leased_again_and_says_that_the_call_had_begun(
    world: World, conversation: Conversation
) -> None:
    post = in_flight(conversation)
    world.end_leases()

    again = lease_one()

    assert again.post_id == post.post_id
    assert again.post_started_at is not None


def test_whoever_lost_the_lease_may_not_begin_nor_record(world: World, conversation: Conversation) -> None:
    lost = in_flight(conversation)
    world.end_leases()
    mine = lease_one()

    recorded = (
        relaying.begin(lost, CALL),
        relaying.record_delayed(lost, timedelta(0), "no"),
        relaying.record_not_posted(lost, "no"),
        relaying.record_unknown(lost, "no", is_its_own=True, give_up_after=AGES),
        relaying.record_postponed(lost, timedelta(0), "no"),
        relaying.record_parked(lost, "no"),
        relaying.record_posted(lost, None),
    )

    assert recorded == (False,) * 7
    assert lease() == [], "the lane is still the other's"
    assert relaying.record_posted(mine, "1700000005.000001")


def test_a_call_that_does_not_fit_into_what_is_left_of_the_lease_is_not_begun(conversation: Conversation) -> None:
    queue_texts(conversation, "1")

    assert not relaying.begin(lease_one(), LEASE + timedelta(seconds=1))


def test_a_post_that_was_taken_back_meanwhile_is_not_begun(world: World, conversation: Conversation) -> None:
    queue_texts(conversation, "Hi")
    leased = lease_one()
    world.sql("UPDATE slack_posts SET parked_at = now()")

    assert not relaying.begin(leased, CALL)


def test_an_unknown_post_is_looked_up_in_the_thread_where_it_began(world: World, conversation: Conversation) -> None:
    began = in_flight(conversation)
    world.sql("UPDATE conversations SET slack_thread_ts = NULL, slack_channel_id = NULL")
    world.end_leases()

    again = lease_one()

    assert began.thread_ts is not None
    assert again.thread_ts == began.thread_ts


def test_what_waited_too_long_for_its_channel_waits_for_the_next_one(world: World, conversation: Conversation) -> None:
    take(webhook_of(world, "Anybody there?"))
    world.sql("UPDATE slack_posts SET created_at = now() - interval '73 hours'")

    given_up = relaying.record_no_place(
        lease_one(), "The bot is not in it.", is_unknown=False, operators=(), give_up_after=timedelta(hours=72)
    )

    assert given_up
    assert world.value("SELECT hold_reason FROM messages") == "no channel"
    assert world.value("SELECT parked_at IS NOT NULL FROM slack_posts")


def test_a_post_with_a_file_is_leased_for_longer(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        queue_post(
            channel_lane(TEAM, ALERTS),
            PostKind.DIRECT,
            {"text": "", "file": "…"},
            team_id=TEAM,
            channel_id=ALERTS,
            tenant_id=tenant.id,
        )

    assert relaying.begin(lease_one(), LEASE * 2)


def test_a_pause_that_slack_asked_for_uses_no_attempt(world: World, conversation: Conversation) -> None:
    post = in_flight(conversation)

    relaying.record_delayed(post, timedelta(seconds=30), "Slack's limit")

    assert lease() == []
    world.make_all_due()
    again = lease_one()
    assert again.attempts == 0
    assert again.post_started_at is None


def test_what_did_not_leave_is_tried_again_later_each_time(world: World, conversation: Conversation) -> None:
    post = in_flight(conversation)

    relaying.record_not_posted(post, "Slack cannot be reached.")

    assert lease() == []
    world.make_all_due()
    assert lease_one().attempts == 1


def test_an_unknown_outcome_is_looked_up_when_the_lease_has_ended_and_never_before(
    world: World, conversation: Conversation
) -> None:
    post = in_flight(conversation)

    relaying.record_unknown(post, "Slack did not answer in time.", is_its_own=False, give_up_after=AGES)

    assert lease() == []
    world.end_leases()
    again = lease_one()
    assert again.post_started_at is not None
    relaying.record_postponed(again, timedelta(0), "Slack cannot be asked.")
    assert lease_one().post_started_at is not None


@pytest.mark.parametrize(
    ("is_its_own", "age", "failures"),
    [(True, "0 h", 1), (False, "0 h", 0), (False, "73 h", 1)],
    ids=["Slack takes others", "Slack is away", "Slack is away for too long"],
)
def test_a_failure_counts_against_a_post_where_no_outage_explains_it(
    world: World, conversation: Conversation, *, is_its_own: bool, age: str, failures: int
) -> None:
    post = in_flight(conversation)
    world.sql("UPDATE slack_posts SET created_at = now() - %s::interval", age)

    relaying.record_unknown(post, "Slack answered 500.", is_its_own=is_its_own, give_up_after=AGES)

    world.end_leases()
    assert lease_one().failures == failures


def test_what_slack_will_never_take_does_not_hold_up_what_is_behind_it(
    world: World, conversation: Conversation
) -> None:
    queue_texts(conversation, "1", "2")

    relaying.record_parked(lease_one(), "This channel is archived.")

    assert lease_one().payload["text"] == "2"
    assert world.value("SELECT error FROM slack_posts WHERE parked_at IS NOT NULL") == "This channel is archived."


def test_a_parked_root_leaves_its_place_to_the_next_post(world: World, session: WahaSession) -> None:
    conversation = world.conversation(session, thread_ts=None)
    queue_texts(conversation, "root", "next")

    relaying.record_parked(lease_one(), "no")
    relaying.record_posted(lease_one(), "1700000005.000001")

    assert world.value("SELECT slack_thread_ts FROM conversations") == "1700000005.000001"


def test_an_uploads_file_is_remembered_before_it_is_completed(world: World, conversation: Conversation) -> None:
    post = in_flight(conversation)

    relaying.keep_file_id(post, "F1")
    world.end_leases()

    assert lease_one().file_id == "F1"


def test_what_a_person_is_told_alone_is_addressed_to_them(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        tell_privately(TEAM, SUPPORT, ANA.user_id, "Psst", tenant_id=tenant.id, thread_ts="1700000005.000001")

    post = lease_one()

    assert (post.kind, post.payload["user"], post.thread_ts) == ("ephemeral", ANA.user_id, "1700000005.000001")


def test_a_slot_is_taken_once(world: World, tenant: Tenant) -> None:
    def tell_once() -> bool:
        with tenant_transaction(tenant.id):
            return tell(TEAM, ALERTS, "The session works.", tenant_id=tenant.id, slot="status:1")

    told = together(tell_once, tell_once, tell_once)

    assert sorted(told) == [False, False, True]
    assert world.texts(ALERTS) == ["The session works."]


def test_two_daemons_never_lease_the_same_post(world: World, session: WahaSession) -> None:
    for _ in range(8):
        queue_texts(world.conversation(session), "Hi")

    leased = together(lease, lease, lease)

    found = [post.post_id for some in leased for post in some]
    assert len(found) == len(set(found)) == 8


def test_what_two_write_and_three_relay_is_posted_once_and_in_the_order_of_the_commits(
    world: World, session: WahaSession
) -> None:
    conversations = [world.conversation(session) for _ in range(6)]
    posted: list[LeasedPost] = []

    def write(writer: int) -> None:
        for number in range(120):
            queue_texts(conversations[number % 6], f"{writer}/{number}")

    def relay() -> None:
        while len(posted) < 240:
            for post in relaying.lease(4, LEASE, FILES):
                assert relaying.begin(post, CALL)
                posted.append(post)
                assert relaying.record_posted(post, "1700000005.000001")

    together(partial(write, 1), partial(write, 2), relay, relay, relay)

    seq_of = dict(world.sql("SELECT id, seq FROM slack_posts"))
    assert len({post.post_id for post in posted}) == len(posted) == 240
    for conversation in conversations:
        order = [seq_of[post.post_id] for post in posted if post.conversation_id == conversation.id]
        assert order == list(range(1, 41))


def test_a_message_from_a_command_has_its_receipts_on_the_post_that_shows_it(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    with tenant_transaction(session.tenant_id):
        message, _ = start(session, chat_id="4915123456789@c.us", body="Hi", message_id=uuid7(), writer_id="UANA")
    post = lease_one()

    relaying.record_posted(post, "1700000005.000001")
    relaying.record_posted(post, "1700000005.000001")

    known = world.reload(message)
    assert (known.slack_channel_id, known.slack_ts, known.slack_part) == (SUPPORT, "1700000005.000001", 0)
    assert world.receipt(message) == "queued"


def test_a_receipt_that_came_while_its_message_was_posted_is_not_forgotten(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    with tenant_transaction(session.tenant_id):
        message, _ = start(session, chat_id="4915123456789@c.us", body="Hi", message_id=uuid7(), writer_id="UANA")
    post = lease_one()

    with tenant_transaction(session.tenant_id):
        world.sql("UPDATE messages SET status = 'delivered'")  # as an acknowledgement does, which is not committed yet
        recorded = beside(partial(relaying.record_posted, post, "1700000005.000001"))

    assert recorded.result(20)
    assert world.receipt(message) == "delivered"


def test_a_shown_receipt_and_a_new_one_wait_in_no_circle(world: World, conversation: Conversation) -> None:
    message = world.message(conversation)
    with tenant_transaction(conversation.tenant_id):
        show_receipt(world.reload(message))
    world.make_all_due()
    receipt = lease_one()
    assert relaying.begin(receipt, CALL)

    with tenant_transaction(conversation.tenant_id):
        show_receipt(world.message(conversation))  # another of the same channel
        recorded = beside(partial(relaying.record_shown, receipt, "queued"))
        show_receipt(message)

    assert recorded.result(20)


def test_a_recorded_root_and_the_next_message_wait_in_no_circle(world: World, session: WahaSession) -> None:
    conversation = world.conversation(session, thread_ts=None)
    queue_texts(conversation, "root")
    root = lease_one()

    with tenant_transaction(session.tenant_id):
        Conversation.update(title="as a message does").where(Conversation.id == conversation.id).execute()
        recorded = beside(partial(relaying.record_posted, root, "1700000005.000001"))
        queue_in_thread(conversation, "next")

    assert recorded.result(20)
    assert lease_one().thread_ts == "1700000005.000001"


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d of a pair"])
def test_text_that_postgresql_refuses_is_mended(world: World, conversation: Conversation, text: str) -> None:
    queue_texts(conversation, text)

    [queued] = world.texts()
    assert "\x00" not in queued
    assert queued.isprintable()
