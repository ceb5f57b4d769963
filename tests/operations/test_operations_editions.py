"""Editions of a reply, in whatever order Slack tells of them."""

from __future__ import annotations

import itertools

import pytest

from models import Conversation, Tenant, WahaSession
from operations import sending
from operations.replies import STAYS_INTERNAL
from tests.operations.builders import (
    ANA,
    CUSTOMER,
    LEASE,
    TEAM,
    World,
    hear,
    slack_reply,
)
from tests.operations.slack_editions import TS, deletion, edit, original, outbound, written


@pytest.fixture
def conversation(world: World, tenant: Tenant, session: WahaSession) -> Conversation:
    """A customer with a thread in #support, and ana, who may answer."""
    world.user(tenant, ANA)
    world.route(tenant)
    return world.conversation(session, CUSTOMER)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_editions_of_a_reply_become_one_message_with_the_newest_text_in_whatever_order(
    world: World, conversation: Conversation, order: tuple[int, ...]
) -> None:
    editions = [
        original(conversation, "One"),
        edit(conversation, "Two", "1800000010.000001", before="One"),
        edit(conversation, "Three", "1800000020.000001", before="Two"),
    ]

    hear(*[editions[place] for place in order], *editions)

    assert outbound(world) == [("Three", "queued")]
    assert world.privately() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_reply_that_is_deleted_in_the_end_is_not_sent_in_whatever_order(
    world: World, conversation: Conversation, order: tuple[int, ...]
) -> None:
    editions = [original(conversation), edit(conversation, "Two"), deletion(conversation, "Two")]

    hear(*[editions[place] for place in order])

    assert [status for _, status in outbound(world)] in ([], ["failed"])
    assert sending.lease(10, LEASE) == []
    assert world.privately() == []


@pytest.mark.parametrize("edit_first", [True, False])
def test_a_reply_that_is_internal_in_the_end_is_not_sent_in_whatever_order(
    world: World, conversation: Conversation, *, edit_first: bool
) -> None:
    editions = [original(conversation), edit(conversation, "// hm")]

    hear(*(reversed(editions) if edit_first else editions))

    assert sending.lease(10, LEASE) == []


@pytest.mark.parametrize("edit_first", [True, False])
def test_internal_talk_never_leaves_also_when_it_is_edited(
    world: World, conversation: Conversation, *, edit_first: bool
) -> None:
    editions = [original(conversation, "// hm"), edit(conversation, "hm", before="// hm")]

    hear(*(reversed(editions) if edit_first else editions))

    assert outbound(world) == []
    assert world.privately() == [STAYS_INTERNAL]


def test_what_was_written_and_edited_before_anybody_listened_is_sent_as_it_stands(
    world: World, conversation: Conversation
) -> None:
    caught_up = slack_reply(conversation, "Two", ts=TS, edited={"user": ANA.user_id, "ts": "1800000010.000001"})

    hear(caught_up, original(conversation, "One"), edit(conversation, "Two", before="One"))

    assert outbound(world) == [("Two", "queued")]


def test_an_edit_or_deletion_of_a_refused_reply_does_nothing(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.sql("UPDATE users SET role = 'AUDITOR'")
    hear(original(conversation))
    world.sql("UPDATE users SET role = 'AGENT'")

    hear(edit(conversation, "It leaves tomorrow."), deletion(conversation))

    assert outbound(world) == []
    assert len(world.privately()) == 1


def test_an_old_reply_whose_first_edition_is_not_known_any_more_is_not_sent_by_an_edit(
    world: World, conversation: Conversation
) -> None:
    long_ago = "1600000000.000001"
    message = written(conversation, "Two", edited="1800000010.000001", ts=long_ago)

    hear(slack_reply(conversation, "", subtype="message_changed", message=message, user=None, thread_ts=None))

    assert outbound(world) == []


def test_a_deletion_that_does_not_repeat_the_message_is_understood(world: World, conversation: Conversation) -> None:
    bare = deletion(conversation)
    del bare["event"]["previous_message"]

    hear(original(conversation), bare)

    assert outbound(world) == [("It leaves today.", "failed")]


def test_a_deletion_that_comes_alone_keeps_the_reply_from_being_sent(world: World, conversation: Conversation) -> None:
    bare = deletion(conversation)
    del bare["event"]["previous_message"]

    hear(bare, original(conversation))

    assert sending.lease(10, LEASE) == []


def test_an_edit_is_in_the_lane_of_its_thread(world: World, conversation: Conversation) -> None:
    hear(original(conversation), edit(conversation, "Two"), deletion(conversation, "Two"))

    lane = f"{TEAM}/{conversation.slack_channel_id}/{conversation.slack_thread_ts}"
    assert world.sql("SELECT DISTINCT lane FROM slack_events") == [(lane,)]
