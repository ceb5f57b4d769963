"""What the team wrote while nobody listened: stored once, whatever else tells of it, and said in its thread."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from database import transaction
from models import Conversation, Tenant
from operations import catching_up, missed_replies, slack_inbox
from operations.catching_up import LeasedChannel
from operations.missed_replies import Found
from operations.slack_events import incoming
from tests.operations.builders import ANA, SUPPORT, TEAM, World, beside, handle_slack_events, hear, slack_reply

EVERY, ASK_AFTER = timedelta(minutes=10), timedelta(minutes=30)


@pytest.fixture(autouse=True)
def channel(world: World, tenant: Tenant) -> None:
    """The conversation's channel is linked, and Ana may answer in it."""
    world.route(tenant)
    world.user(tenant)


def written(conversation: Conversation, text: str, minutes_ago: float = 5, **more: Any) -> dict[str, Any]:
    """A message as Slack's history tells it."""
    ts = f"{time.time() - minutes_ago * 60:.6f}"
    event: dict[str, Any] = slack_reply(conversation, text, ts=ts)["event"]
    del event["channel"]
    return event | more


def as_event(conversation: Conversation, message: dict[str, Any]) -> Any:
    body = slack_reply(conversation, message["text"], ts=message["ts"])
    return body | {"event": body["event"] | message}


def lease() -> LeasedChannel | None:
    return catching_up.lease_channel(TEAM, every=EVERY)


def recover(conversation: Conversation, *messages: dict[str, Any]) -> Found:
    leased = lease()
    assert leased is not None
    found = missed_replies.store(leased, str(conversation.slack_thread_ts), messages, ask_after=ASK_AFTER)
    catching_up.go_on(leased)
    handle_slack_events()
    return found


def queued(world: World) -> list[str]:
    return [body for (body,) in world.sql("SELECT body FROM messages WHERE direction = 'outbound' ORDER BY seq")]


def test_a_reply_that_nobody_heard_goes_to_the_customer_and_its_thread_is_told(
    world: World, conversation: Conversation
) -> None:
    found = recover(conversation, written(conversation, "First", 9), written(conversation, "Second", 8))

    [told] = world.texts()
    assert (found, queued(world)) == (Found(replies=2), ["First", "Second"])
    assert told.startswith("— 2 replies recovered, written <!date^")
    assert "What is older than 30 minutes asks before it is sent." in told


def test_what_is_recovered_and_what_comes_meanwhile_take_their_places_one_after_the_other(
    world: World, conversation: Conversation
) -> None:
    leased, live = lease(), incoming(slack_reply(conversation, "live", ts=f"{time.time():.6f}"))
    assert leased is not None
    assert live is not None

    with transaction():
        slack_inbox.store(live)
        recovering = beside(
            partial(
                missed_replies.store,
                leased,
                str(conversation.slack_thread_ts),
                [written(conversation, "missed")],
                ask_after=ASK_AFTER,
            )
        )
    found = recovering.result(10)
    handle_slack_events()

    assert (found, queued(world)) == (Found(replies=1), ["live", "missed"])


def test_what_was_recovered_is_known_from_then_on(world: World, conversation: Conversation) -> None:
    message = written(conversation, "Once")

    found = [recover(conversation, message) for _ in range(2)]

    assert found == [Found(replies=1), Found()]
    assert (queued(world), len(world.texts())) == (["Once"], 1)


def test_an_event_that_comes_after_all_is_the_same_row(world: World, conversation: Conversation) -> None:
    message = written(conversation, "Once")
    recover(conversation, message)

    hear(as_event(conversation, message), as_event(conversation, message))

    assert world.value("SELECT count(*) FROM slack_events") == 1
    assert queued(world) == ["Once"]


def test_what_an_event_told_is_not_recovered(world: World, conversation: Conversation) -> None:
    message = written(conversation, "Heard")
    hear(as_event(conversation, message))

    assert recover(conversation, message) == Found()
    assert world.texts() == []


def test_an_edit_that_nobody_heard_changes_what_has_not_left(world: World, conversation: Conversation) -> None:
    message = written(conversation, "Monday")
    hear(as_event(conversation, message))

    found = recover(
        conversation, message | {"text": "Tuesday", "edited": {"user": ANA.user_id, "ts": f"{time.time()}"}}
    )

    assert (found, queued(world), world.texts()) == (Found(edits=1), ["Tuesday"], [])


def test_what_was_written_and_edited_is_sent_as_it_stands(world: World, conversation: Conversation) -> None:
    edited = {"user": ANA.user_id, "ts": f"{time.time() - 60:.6f}"}

    found = recover(conversation, written(conversation, "As it stands", edited=edited))

    assert (found, queued(world)) == (Found(replies=1), ["As it stands"])


def test_talk_among_ourselves_posts_of_ours_and_joins_are_nothing_that_was_missed(
    world: World, conversation: Conversation
) -> None:
    found = recover(
        conversation,
        written(conversation, "// only for us"),
        written(conversation, "A post", bot_id="B1"),
        written(conversation, "has joined the channel", subtype="channel_join"),
        written(conversation, "The root", thread_ts=None),
    )

    assert (found, queued(world), world.texts()) == (Found(), [], [])


def test_a_reply_of_yesterday_is_counted_and_not_sent(world: World, conversation: Conversation) -> None:
    old, recent = written(conversation, "Yesterday's", 25 * 60), written(conversation, "Today's", 5)

    found = [recover(conversation, old, recent) for _ in range(2)]

    [told] = world.texts()
    assert (found, queued(world)) == ([Found(replies=2), Found()], ["Today's"])
    assert "1 older than a day is not sent: write again what is still wanted." in told


def test_a_reply_waits_since_it_was_written(world: World, conversation: Conversation) -> None:
    recover(conversation, written(conversation, "An hour ago", 60))

    assert world.value("SELECT round(extract(epoch FROM now() - created_at) / 60) FROM messages") == 60


@pytest.mark.usefixtures("conversation")
def test_one_channel_of_a_workspace_is_read_at_a_time(world: World, tenant: Tenant) -> None:
    session = world.session(tenant, "second")
    world.route(tenant, "CSECOND", session=session)

    first = lease()

    assert first is not None
    assert lease() is None
    catching_up.complete_channel(first)
    second = lease()
    assert second is not None
    assert {first.slack_channel_id, second.slack_channel_id} == {SUPPORT, "CSECOND"}


@pytest.mark.usefixtures("conversation")
def test_a_channel_rests_until_there_is_a_gap_or_ten_minutes_have_passed(world: World) -> None:
    leased = lease()
    assert leased is not None
    catching_up.complete_channel(leased)
    world.sql("UPDATE catch_ups SET next_attempt_at = now() - interval '1 s'")
    assert lease() is None

    catching_up.request(team_id=TEAM)

    asked = lease()
    assert asked is not None
    assert asked.cause == "switchboard"
    world.sql("UPDATE catch_ups SET lease_token = NULL, requested_at = NULL, caught_up_to = now() - interval '11 min'")
    quiet = lease()
    assert quiet is not None
    assert quiet.cause == "quiet"


def test_nothing_before_the_channel_was_linked_is_read(world: World) -> None:
    leased = lease()

    assert leased is not None
    assert leased.since == world.value("SELECT created_at FROM channel_routes")


@pytest.mark.database_role("switchboard_bot")
def test_the_bot_may_say_that_it_did_not_listen(world: World) -> None:
    catching_up.request(team_id=TEAM)

    assert world.value("SELECT requested_for FROM catch_ups WHERE place = %s", f"{TEAM}/{SUPPORT}") == "switchboard"
