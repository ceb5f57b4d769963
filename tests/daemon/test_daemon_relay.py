"""What becomes of a post for each thing that Slack may do to it; the simulated Slack is on a socket."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from daemon.posts import REACTION_OF
from database import in_database, tenant_transaction, transaction
from models import Conversation, PostKind, uuid7
from operations import posting
from sandbox.slack import SandboxSlack
from sandbox.slack.journal import Call
from slack.pacing import Budget, Pacing
from tests.daemon.conftest import Rows, becomes
from tests.daemon.relays import CALL_SECONDS, LEASE_SECONDS, RING, a_conversation, a_relay_with, tell, texts

POSTS = (
    "SELECT payload->>'text', posted_at IS NOT NULL, parked_at IS NOT NULL, attempts FROM slack_posts "
    "WHERE slot IS NULL ORDER BY seq"
)


@pytest.fixture
async def slack() -> AsyncIterator[SandboxSlack]:
    async with SandboxSlack() as running:
        yield running


@pytest.fixture
async def relay(slack: SandboxSlack, rows: Rows) -> AsyncIterator[None]:
    """A relay at work, without pacing."""
    async with a_relay_with(slack, Pacing(switched_on=False)):
        yield


async def tell_in_lane(slack: SandboxSlack, lane: str, text: str, *, channel: str) -> None:
    def queue() -> None:
        with transaction():
            place = slack.channel(channel).id
            posting.queue_post(
                lane, PostKind.POST, {"text": text}, team_id=slack.team_id, channel_id=place, tenant_id=None
            )

    await in_database(queue)


def posts_of(slack: SandboxSlack, text: str) -> list[Call]:
    return [call for call in slack.calls("chat.postMessage") if call.arguments.get("text") == text]


async def test_a_lane_is_posted_in_order_and_each_post_carries_its_id(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    await tell(slack, "one", "two", "three")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(3,)])

    assert texts(slack) == ["one", "two", "three"]
    ids = {str(post_id) for (post_id,) in await rows("SELECT id FROM slack_posts")}
    assert {message.metadata["event_payload"]["id"] for message in slack.messages("support") if message.metadata} == ids


async def test_a_pause_that_slack_asks_for_costs_no_attempt(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    fault = slack.fail("chat.postMessage", status=429, retry_after=1)

    await tell(slack, "one", "two")

    await becomes(rows, POSTS, [("one", True, False, 0), ("two", True, False, 0)])
    assert fault.hits == 1
    assert texts(slack) == ["one", "two"]
    refused, posted = posts_of(slack, "one")
    assert posted.at - refused.at >= 1


async def test_a_permanent_refusal_is_parked_and_the_lane_goes_on(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    slack.fail("chat.postMessage", error="msg_too_long")

    await tell(slack, "refused", "next")

    await becomes(rows, POSTS, [("refused", False, True, 1), ("next", True, False, 0)])
    assert texts(slack) == ["next"]


@pytest.mark.parametrize("error", ["invalid_auth", "account_inactive"])
async def test_a_refused_token_parks_nothing(slack: SandboxSlack, relay: None, rows: Rows, error: str) -> None:
    slack.fail("chat.postMessage", error=error, times=None)

    await tell(slack, "waits")

    waits = "SELECT parked_at IS NULL, attempts, next_attempt_at > now() + interval '20 seconds' FROM slack_posts"
    await becomes(rows, waits, [(True, 0, True)])


async def test_a_slack_that_cannot_be_reached_is_tried_again(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    await slack.go_down()
    await tell(slack, "patient")
    await becomes(
        rows, "SELECT attempts > 0, posted_at IS NULL, post_started_at IS NULL FROM slack_posts", [(True,) * 3]
    )

    await slack.come_back()
    await rows("UPDATE slack_posts SET next_attempt_at = now()")

    await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])
    assert texts(slack) == ["patient"]


@pytest.mark.parametrize("is_stored", [True, False], ids=["Slack made it", "Slack did not make it"])
@pytest.mark.parametrize("how", ["cut", "silence", "500"])
async def test_an_unknown_outcome_is_looked_up_after_the_lease_and_posted_once(
    slack: SandboxSlack, relay: None, rows: Rows, how: str, *, is_stored: bool
) -> None:
    if how == "cut":
        slack.fail("chat.postMessage", drop=True, after_storing=is_stored)
    elif how == "silence":
        slack.fail("chat.postMessage", hang=True, after_storing=is_stored)
    else:
        slack.fail("chat.postMessage", status=500, after_storing=is_stored)

    await tell(slack, "once", "next")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(2,)])
    assert texts(slack) == ["once", "next"]
    [look_up] = slack.calls("conversations.history")
    assert look_up.at - posts_of(slack, "once")[0].at >= LEASE_SECONDS - CALL_SECONDS
    assert len(posts_of(slack, "once")) == (1 if is_stored else 2)


async def test_blocks_at_which_slack_keeps_failing_are_left_out(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    slack.fail("chat.postMessage", error="internal_error", times=None, when=lambda call: bool(call.get("blocks")))
    await tell_in_lane(slack, "other", "taken", channel="alerts")
    await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])

    await in_database(queue_with_blocks, slack)
    await becomes(rows, "SELECT failures FROM slack_posts WHERE posted_at IS NULL", [(1,)])
    await rows("UPDATE slack_posts SET failures = 3 WHERE posted_at IS NULL")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(2,)])
    assert texts(slack) == ["The text says it all."]


async def test_what_slack_always_fails_at_is_parked_and_told_and_the_lane_goes_on(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    slack.fail("chat.postMessage", status=500, times=None, when=lambda call: call.get("text") == "poison")
    await tell(slack, "taken", "poison", "next")
    await becomes(rows, "SELECT failures FROM slack_posts WHERE payload->>'text' = 'poison'", [(1,)])

    await rows("UPDATE slack_posts SET failures = 10 WHERE payload->>'text' = 'poison'")

    await becomes(rows, "SELECT parked_at IS NOT NULL FROM slack_posts WHERE payload->>'text' = 'poison'", [(True,)])
    await slack.until(lambda: texts(slack) == ["taken", "next"], 5)
    await slack.until(lambda: bool(slack.direct_messages("olga")), 5)
    assert slack.calls("conversations.history")


async def test_an_outage_of_slack_parks_nothing(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    fault = slack.fail("chat.postMessage", status=500)
    await tell(slack, "waits")

    await becomes(rows, POSTS, [("waits", True, False, 1)])

    assert fault.hits == 1
    assert await rows("SELECT failures FROM slack_posts") == [(0,)]


def queue_with_blocks(slack: SandboxSlack) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "The text says it all."}}
    with transaction():
        posting.queue_post(
            "with blocks",
            PostKind.POST,
            {"text": "The text says it all.", "blocks": [section]},
            team_id=slack.team_id,
            channel_id=slack.channel("support").id,
            tenant_id=None,
        )


async def test_nothing_is_posted_again_before_a_look_up_succeeded(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    slack.fail("chat.postMessage", drop_after_storing=True)
    fault = slack.fail("conversations.history", status=500)

    await tell(slack, "once")
    await becomes(rows, "SELECT lease_token IS NULL AND post_started_at IS NOT NULL FROM slack_posts", [(True,)])
    assert fault.hits == 1
    await rows("UPDATE slack_posts SET next_attempt_at = now()")

    await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])
    assert texts(slack) == ["once"]
    assert len(posts_of(slack, "once")) == 1


async def test_a_look_up_waits_for_slacks_limit_and_nothing_is_posted_meanwhile(
    slack: SandboxSlack, rows: Rows
) -> None:
    pacing = Pacing()
    async with a_relay_with(slack, pacing):
        allowed_at = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)
        pacing.pause(allowed_at, Budget.LOOKUP)
        slack.fail("chat.postMessage", drop_after_storing=True)

        await tell(slack, "once")

        await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])
    assert texts(slack) == ["once"]
    [look_up] = slack.calls("conversations.history")
    assert look_up.at >= allowed_at.timestamp()


async def test_a_look_up_in_a_channel_that_is_closed_to_us_waits_for_the_channel(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    slack.fail("chat.postMessage", drop_after_storing=True)
    slack.fail("conversations.history", error="channel_not_found")

    await tell(slack, "unknown", "next")

    waits = (
        "SELECT attempts, post_started_at IS NOT NULL, parked_at IS NULL FROM slack_posts "
        "WHERE payload->>'text' = 'unknown'"
    )
    await becomes(rows, waits, [(2, True, True)])
    await rows("UPDATE slack_posts SET next_attempt_at = now()")
    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE kind = 'post' AND posted_at IS NOT NULL", [(2,)])
    assert texts(slack) == ["unknown", "next"]


async def test_posts_for_a_channel_without_the_bot_wait_and_somebody_is_told_once(
    slack: SandboxSlack, relay: None, rows: Rows
) -> None:
    slack.remove_app("support")
    await tell(slack, "one")
    await tell(slack, "two")
    waits = "SELECT bool_or(attempts > 0), bool_and(parked_at IS NULL) FROM slack_posts WHERE kind = 'post'"
    await becomes(rows, waits, [(True, True)])
    await slack.until(lambda: bool(slack.direct_messages("olga")), 5)

    slack.invite_app("ana", "support")
    await rows("UPDATE slack_posts SET next_attempt_at = now()")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(3,)])
    assert texts(slack) == ["one", "two"]
    [told] = slack.direct_messages("olga")
    assert "takes no posts" in told.text


async def test_a_channel_at_its_limit_holds_up_no_other(slack: SandboxSlack, rows: Rows) -> None:
    async with a_relay_with(slack, Pacing()):
        for number in range(40):
            await tell_in_lane(slack, f"lane {number}", f"text {number}", channel="support")
        await slack.until(lambda: len(texts(slack)) >= 3, 5)

        await tell(slack, "urgent", channel="alerts")

        await slack.until(lambda: texts(slack, "alerts") == ["urgent"], 3)
    assert len(texts(slack)) < 20


async def test_what_nobody_foresaw_is_parked_with_its_name(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    def queue() -> None:
        with transaction():
            team, channel = slack.team_id, slack.channel("support").id
            posting.queue_post(
                "lane", PostKind.UPLOAD, {"text": "no"}, team_id=team, channel_id=channel, tenant_id=None
            )

    await in_database(queue)
    await becomes(
        rows,
        "SELECT parked_at IS NOT NULL, error FROM slack_posts WHERE kind = 'upload'",
        [(True, "NotImplementedError: Posts of kind upload are not made yet.")],
    )


async def test_a_thread_that_is_gone_gets_a_new_root(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    conversation = await in_database(a_conversation, slack)
    slack.fail("chat.postMessage", error="thread_not_found", when=lambda call: bool(call.get("thread_ts")))
    await in_database(queue_in, conversation, "first")
    await becomes(rows, "SELECT slack_thread_ts IS NOT NULL FROM conversations", [(True,)])

    await in_database(queue_in, conversation, "into a thread that is gone")

    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(2,)])
    await in_database(queue_in, conversation, "below the new root")
    await becomes(rows, "SELECT count(*) FROM slack_posts WHERE posted_at IS NOT NULL", [(3,)])
    _, new_root, below = slack.messages("support")
    assert (new_root.is_reply, below.thread_ts) == (False, new_root.ts)


def queue_in(conversation: Conversation, text: str) -> None:
    with tenant_transaction(conversation.tenant_id):
        posting.queue_in_thread(conversation, text)


async def test_an_ephemeral_is_shown_at_most_once(slack: SandboxSlack, relay: None, rows: Rows) -> None:
    slack.fail("chat.postEphemeral", drop_after_storing=True)
    channel, ana = slack.channel("support").id, slack.person("ana").id

    def whisper() -> None:
        with transaction():
            posting.tell_privately(slack.team_id, channel, ana, "psst", tenant_id=None)
            posting.tell_privately(slack.team_id, channel, ana, "next", tenant_id=None)

    await in_database(whisper)

    await becomes(rows, POSTS, [("psst", False, True, 2), ("next", True, False, 0)])
    assert [shown.text for shown in slack.ephemerals("ana")] == ["psst", "next"]


@pytest.mark.parametrize("is_stored", [True, False], ids=["Slack took it", "Slack did not take it"])
async def test_an_upload_whose_outcome_is_unknown_is_looked_up_by_its_file(
    slack: SandboxSlack, relay: None, rows: Rows, *, is_stored: bool
) -> None:
    slack.fail("files.completeUploadExternal", drop=True, after_storing=is_stored)
    post_id = uuid7()

    await in_database(queue_picture, slack, post_id)
    await becomes(rows, "SELECT attempts, file_id IS NOT NULL FROM slack_posts", [(1, True)])
    # An upload's lease is a minute longer than the others'.
    await rows("UPDATE post_lanes SET lease_expires_at = now() + interval '200 ms'")
    await rows("UPDATE slack_posts SET lease_expires_at = now() + interval '200 ms'")

    await becomes(rows, "SELECT posted_at IS NOT NULL FROM slack_posts", [(True,)])
    await slack.until(lambda: bool(slack.direct_messages("ana")), 5)  # Slack shares a file some time later
    pictures = [file.content for message in slack.direct_messages("ana") for file in message.files]
    assert pictures == [b"a picture"]
    assert slack.calls("files.info")


def queue_picture(slack: SandboxSlack, post_id: UUID) -> None:
    content = base64.b64encode(b"a picture")
    sealed = RING.encrypt(content, table="slack_posts", column="payload", row=post_id)
    ana = slack.person("ana").id
    with transaction():
        posting.queue_post(
            posting.person_lane(slack.team_id, ana),
            PostKind.DIRECT,
            {"text": "Scan it.", "file": sealed, "filename": "code.png", "alt_text": "A code."},
            team_id=slack.team_id,
            channel_id=ana,
            tenant_id=None,
            post_id=post_id,
        )


def test_every_receipt_has_a_reaction_of_its_own() -> None:
    assert set(REACTION_OF) == {"queued", "sent", "delivered", "read", "failed"}
    assert len(set(REACTION_OF.values())) == len(REACTION_OF)
