"""What else stands in the outbox: changes, buttons, files, receipts; and who is told of what Slack refuses."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest

from daemon.posts import REACTION_OF
from database import in_database, tenant_transaction, transaction
from models import ChannelRoute, Conversation, Direction, Message, MessageStatus, PostKind, RoutePurpose, uuid7
from operations import posting
from operations.receipts import show_receipt
from sandbox.slack import SandboxSlack
from slack.pacing import Pacing
from tests.daemon.conftest import Rows, becomes
from tests.daemon.relays import RING, a_conversation, a_relay_with, tell, texts

BUTTONS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "It failed."}},
    {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Retry"}}]},
]
ALL_POSTED = "SELECT count(*) FROM slack_posts WHERE posted_at IS NULL"
UNDER_WAY = "SELECT count(*) FROM slack_posts WHERE post_started_at IS NOT NULL AND posted_at IS NULL"


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


@pytest.fixture
async def relay(slack: SandboxSlack, rows: Rows) -> AsyncIterator[None]:
    async with a_relay_with(slack, Pacing(switched_on=False)):
        yield


@pytest.fixture
async def conversation(slack: SandboxSlack, rows: Rows) -> Conversation:
    return await in_database(a_conversation, slack)


async def queue(conversation: Conversation, act: Callable[..., object], *arguments: Any, **more: Any) -> None:
    def in_transaction() -> None:
        with tenant_transaction(conversation.tenant_id):
            act(conversation, *arguments, **more)

    await in_database(in_transaction)


async def everything_is_posted(rows: Rows) -> None:
    await becomes(rows, ALL_POSTED, [(0,)])


async def test_buttons_stand_under_a_text_that_says_everything(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, posting.queue_in_thread, "It failed.", blocks=BUTTONS)

    await everything_is_posted(rows)
    [message] = slack.messages("support")
    assert message.text == "It failed."
    assert slack.newest_with("ana", "support", "Retry") is message


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long"])
async def test_blocks_that_slack_does_not_take_are_left_out(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation, error: str
) -> None:
    slack.fail("chat.postMessage", error=error, times=None, when=lambda call: bool(call.get("blocks")))

    await queue(conversation, posting.queue_in_thread, "It failed.", blocks=BUTTONS)
    await queue(conversation, posting.queue_in_thread, "next")

    await everything_is_posted(rows)
    assert texts(slack) == ["It failed.", "next"]
    assert await rows("SELECT sum(attempts) FROM slack_posts") == [(0,)]


async def test_a_message_is_changed_and_taken_away_again(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, posting.queue_in_thread, "It failed.", blocks=BUTTONS)
    await everything_is_posted(rows)
    [message] = slack.messages("support")

    await queue(conversation, posting.queue_update, message.ts, "Sent again by Ana.")
    await everything_is_posted(rows)
    assert (message.text, message.blocks) == ("Sent again by Ana.", [])

    await queue(conversation, posting.queue_delete, message.ts)
    await everything_is_posted(rows)
    assert slack.messages("support") == []


async def test_a_change_is_repeated_when_its_outcome_is_unknown_and_holds_up_no_post(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, posting.queue_in_thread, "old")
    await everything_is_posted(rows)
    [message] = slack.messages("support")
    slack.fail("chat.update", drop_after_storing=True)

    await queue(conversation, posting.queue_update, message.ts, "new")
    await queue(conversation, posting.queue_in_thread, "meanwhile")

    await slack.until(lambda: "meanwhile" in texts(slack), 1)
    await everything_is_posted(rows)
    assert len(slack.calls("chat.update")) == 2
    assert slack.calls("conversations.replies") == []


async def test_what_is_not_there_any_more_is_changed_without_a_word(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, posting.queue_update, "1700000000.000001", "too late")

    await becomes(rows, "SELECT kind FROM slack_posts WHERE parked_at IS NOT NULL", [("update",)])
    assert await rows("SELECT count(*) FROM slack_posts") == [(1,)]


def queue_file(conversation: Conversation, post_id: UUID) -> None:
    sealed = RING.encrypt(base64.b64encode(b"a picture"), table="slack_posts", column="payload", row=post_id)
    posting.queue_post(
        posting.conversation_lane(conversation.id),
        PostKind.POST,
        {"text": "A picture.", "file": sealed, "filename": "picture.png", "alt_text": "A picture."},
        team_id=str(conversation.slack_team_id),
        channel_id=str(conversation.slack_channel_id),
        tenant_id=conversation.tenant_id,
        post_id=post_id,
        conversation_id=conversation.id,
    )


async def test_a_file_stands_in_its_thread_and_what_follows_comes_after_it(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    slack.state.share_seconds = 0.3

    await queue(conversation, posting.queue_in_thread, "root")
    await queue(conversation, queue_file, uuid7())
    await queue(conversation, posting.queue_in_thread, "below")

    await everything_is_posted(rows)
    root, picture, below = slack.messages("support")
    assert [root.text, picture.text, below.text] == ["root", "A picture.", "below"]
    assert picture.thread_ts == below.thread_ts == root.ts
    assert [file.content for file in picture.files] == [b"a picture"]
    assert await rows("SELECT slack_ts FROM slack_posts WHERE file_id IS NOT NULL") == [(picture.ts,)]


async def test_a_file_that_slack_shows_late_is_handed_over_again_and_not_uploaded_again(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    slack.fail("files.completeUploadExternal", drop=True)

    await queue(conversation, queue_file, uuid7())
    await becomes(rows, "SELECT attempts FROM slack_posts", [(1,)])
    await rows("UPDATE post_lanes SET lease_expires_at = now()")
    await rows("UPDATE slack_posts SET lease_expires_at = now()")

    await everything_is_posted(rows)
    assert len(slack.calls("upload")) == 1
    assert len(slack.messages("support")) == 1


async def test_a_pause_that_slack_asks_for_while_a_file_appears_doubles_nothing(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    slack.fail("files.info", status=429, retry_after=1)

    await queue(conversation, queue_file, uuid7())

    await everything_is_posted(rows)
    assert [len(slack.calls(method)) for method in ("upload", "files.completeUploadExternal")] == [1, 1]
    assert len(slack.messages("support")) == 1
    assert await rows("SELECT attempts FROM slack_posts") == [(0,)]


async def test_a_message_that_slack_refuses_is_missed_where_it_should_stand(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    message = await in_database(a_message, conversation)
    slack.fail("chat.postMessage", error="msg_too_long")

    await queue(conversation, posting.queue_in_thread, "x" * 10, message_id=message.id)

    await slack.until(lambda: slack.messages("support"), 5)
    [missed] = texts(slack)
    assert missed.startswith(":warning: A message is missing here: The text is longer than Slack's 40,000 characters.")


async def test_other_refusals_are_said_once_in_the_tenants_channel_for_alerts(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, route_alerts, slack)
    slack.fail("chat.postMessage", error="no_text", channel="support", times=2)

    await queue(conversation, posting.queue_in_thread, "one")
    await queue(conversation, posting.queue_in_thread, "two")
    await queue(conversation, posting.queue_in_thread, "three")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(2,)])
    [told] = texts(slack, "alerts")
    assert told.startswith(f"Something for <#{slack.channel('support').id}> could not be posted: There was nothing")
    assert texts(slack) == ["three"]


async def test_a_receipt_that_cannot_be_shown_is_told_to_the_operators_once_a_day(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    slack.fail("reactions.add", error="missing_scope", times=None)
    reply = slack.say("ana", "support", "Hello")
    message = await in_database(a_message, conversation, slack_ts=reply.ts)

    await queue(conversation, move_to, message, MessageStatus.SENT)
    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE parked_at IS NOT NULL", [(1,)])
    await queue(conversation, move_to, message, MessageStatus.DELIVERED)

    await becomes(rows, "SELECT attempts FROM slack_posts WHERE kind = 'react'", [(2,)])
    await slack.until(lambda: slack.direct_messages("olga"), 5)
    [told] = slack.direct_messages("olga")
    assert told.text.startswith(f"Receipts in <#{slack.channel('support').id}> cannot be shown: The app lacks")


async def test_a_private_word_that_slack_refuses_comes_as_a_direct_message(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    slack.fail("chat.postEphemeral", error="user_not_in_channel")

    def whisper() -> None:
        with transaction():
            ana, channel = slack.person("ana").id, slack.channel("support").id
            posting.tell_privately(slack.team_id, channel, ana, "psst", tenant_id=None)

    await in_database(whisper)

    await slack.until(lambda: slack.direct_messages("ana"), 5)
    assert [message.text for message in slack.direct_messages("ana")] == ["psst"]


async def test_an_operator_who_cannot_be_written_to_is_not_told_so(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    slack.fail("chat.postMessage", error="messages_tab_disabled", times=None)

    def say() -> None:
        with transaction():
            posting.tell_person(slack.team_id, slack.person("olga").id, "Hello", tenant_id=None)

    await in_database(say)

    await becomes(rows, "SELECT count(*), count(parked_at) FROM slack_posts", [(1, 1)])


async def test_a_locked_thread_is_left_for_a_new_one(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    await queue(conversation, posting.queue_in_thread, "root")
    await everything_is_posted(rows)
    locked = lambda call: bool(call.get("thread_ts"))  # noqa: E731 - as short as it is
    slack.fail("chat.postMessage", error="restricted_action_thread_locked", when=locked)

    await queue(conversation, posting.queue_in_thread, "goes on")

    await everything_is_posted(rows)
    _, begun = slack.messages("support")
    assert (begun.text, begun.is_reply) == ("goes on", False)


async def test_a_receipt_leaves_no_reaction_of_an_interrupted_try_behind(
    slack: SandboxSlack, relay: None, rows: Rows, conversation: Conversation
) -> None:
    reply = slack.say("ana", "support", "Hello")
    message = await in_database(a_message, conversation, slack_ts=reply.ts)
    slack.fail("reactions.add", drop_after_storing=True)
    await queue(conversation, move_to, message, MessageStatus.SENT)
    await becomes(rows, "SELECT attempts FROM slack_posts", [(1,)])

    await queue(conversation, move_to, message, MessageStatus.DELIVERED)

    await everything_is_posted(rows)
    assert list(reply.reactions) == [REACTION_OF["delivered"]]


async def test_receipts_that_hang_hold_up_no_post(slack: SandboxSlack, rows: Rows, conversation: Conversation) -> None:
    slack.fail("reactions.add", hang=True, times=None)
    for number in range(20):
        reply = slack.say("ana", "support", f"Reply {number}")
        message = await in_database(a_message, conversation, slack_ts=reply.ts, slack_channel_id=f"C{number}")
        await queue(conversation, move_to, message, MessageStatus.SENT)
    async with a_relay_with(slack, Pacing(switched_on=False), call_seconds=10):
        await becomes(rows, UNDER_WAY, [(4,)])

        await tell(slack, "urgent", channel="alerts")

        await slack.until(lambda: texts(slack, "alerts") == ["urgent"], 5)


async def test_a_channel_that_hangs_leaves_places_to_the_others(slack: SandboxSlack, rows: Rows) -> None:
    slack.fail("chat.postMessage", hang=True, channel="support", times=None)
    for number in range(40):
        await in_database(queue_in_lane, slack, f"lane {number}")
    async with a_relay_with(slack, Pacing(switched_on=False), call_seconds=10):
        await becomes(rows, UNDER_WAY, [(8,)])

        await tell(slack, "urgent", channel="alerts")

        await slack.until(lambda: texts(slack, "alerts") == ["urgent"], 5)


def queue_in_lane(slack: SandboxSlack, lane: str) -> None:
    with transaction():
        support = slack.channel("support").id
        posting.queue_post(
            lane, PostKind.POST, {"text": lane}, team_id=slack.team_id, channel_id=support, tenant_id=None
        )


def a_message(conversation: Conversation, slack_ts: str | None = None, slack_channel_id: str | None = None) -> Message:
    with tenant_transaction(conversation.tenant_id):
        made: Message = Message.create(
            tenant_id=conversation.tenant_id,
            session_id=conversation.session_id,
            conversation_id=conversation.id,
            seq=Message.select().count() + 1,
            direction=Direction.OUTBOUND if slack_ts else Direction.INBOUND,
            chat_id="4915123456789@c.us",
            body="Hello",
            status=MessageStatus.QUEUED if slack_ts else MessageStatus.DELIVERED,
            slack_team_id=conversation.slack_team_id if slack_ts else None,
            slack_channel_id=(slack_channel_id or conversation.slack_channel_id) if slack_ts else None,
            slack_ts=slack_ts,
            slack_part=0 if slack_ts else None,
        )
    return made


def move_to(_conversation: Conversation, message: Message, status: MessageStatus) -> None:
    Message.update(status=status).where(Message.id == message.id).execute()
    show_receipt(Message.get_by_id(message.id))


def route_alerts(conversation: Conversation, slack: SandboxSlack) -> None:
    ChannelRoute.create(
        tenant_id=conversation.tenant_id,
        slack_team_id=slack.team_id,
        slack_channel_id=slack.channel("alerts").id,
        purpose=RoutePurpose.ALERTS,
    )
