"""What was missed on WhatsApp's side: found once, shown under one divider, whatever comes in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models import Conversation, Tenant, WahaSession
from operations import missed_messages, webhook_inbox
from tests.operations.builders import CUSTOMER, HIDDEN, World, also_known_as, handle_webhooks, said, take, webhook
from tests.operations.session_catch_ups import catch_up, lease_one
from waha.messages import Message as WahaMessage

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def channel(world: World, tenant: Tenant) -> None:
    world.route(tenant)


def written(body: str, minutes_ago: float, message_id: str = "", chat_id: str = CUSTOMER, **more: Any) -> Any:
    """A row of the history."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return said(body, message_id, chat_id, **({"timestamp": int(at.timestamp())} | more))


def _told(row: Any) -> Any:
    told = WahaMessage.parse(row)
    assert told is not None
    return told


@pytest.mark.usefixtures("session", "channel")
def test_what_was_missed_stands_below_one_divider_in_its_order(world: World) -> None:
    found = catch_up(written("First", 20), written("Third", 3), written("Second", 10))

    [card, first, *following] = world.texts()
    divider, _, message = first.partition("\n")
    messages = [message, *following]
    assert found == 3
    assert "Replies in this thread" in card
    assert divider.startswith("— 3 messages recovered, written <!date^")
    assert divider.endswith("while Switchboard was not running. —")
    assert [text.rpartition(" ")[2] for text in messages] == ["First", "Second", "Third"]


def test_nothing_is_said_of_what_was_missed_while_the_tenant_is_deactivated(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE tenants SET status = 'inactive'")

    found = catch_up(written("Of yesterday", 26 * 60))

    assert found == 1
    assert world.texts() == []


def test_nothing_is_said_where_nothing_is_new(world: World, session: WahaSession, conversation: Conversation) -> None:
    take(webhook(session, "message.any", written("Known", 5, "3A01")))

    found = catch_up(written("Known", 5, "3A01"))

    assert found == 0
    assert len(world.texts()) == 1


def test_a_live_message_that_waits_in_the_inbox_is_not_counted(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    webhook_inbox.store([webhook(session, "message.any", written("On its way", 1, "3A01"))])

    found = catch_up(written("Missed", 15, "3A02"), written("On its way", 1, "3A01"))

    assert found == 1
    assert [text.rpartition(": ")[2] for text in world.texts()] == ["On its way", "Missed"]
    assert "1 message recovered" in world.texts()[1]


def test_a_webhook_that_comes_after_its_message_was_recovered_changes_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    row = written("Missed", 15, "3A02")
    catch_up(row)

    take(webhook(session, "message.any", row), webhook(session, "message", row))

    assert len(world.texts()) == 1


@pytest.mark.usefixtures("conversation", "channel")
def test_a_crash_in_the_middle_leaves_no_second_divider(world: World) -> None:
    history = [written("One", 20, "3A01"), written("Two", 19, "3A02"), written("Else", 18, "3A03", "4917@c.us")]
    first = lease_one()
    [group, _] = missed_messages.by_conversation(first, missed_messages.unknown(first, history))
    missed_messages.store(first, group)
    world.sql("UPDATE catch_ups SET lease_expires_at = now() - interval '1 s'")

    found = catch_up(*history)

    dividers = [text for text in world.texts() if "recovered" in text]
    assert found == 1
    assert [text.partition(" ")[2].partition(",")[0] for text in dividers] == [
        "2 messages recovered",
        "1 message recovered",
    ]
    assert len({text for text in world.texts() if text.endswith(("One", "Two", "Else"))}) == 3


@pytest.mark.usefixtures("conversation")
def test_storing_twice_is_storing_once(world: World) -> None:
    leased = lease_one()
    [group] = missed_messages.by_conversation(leased, missed_messages.unknown(leased, [written("One", 20)]))

    stored = [missed_messages.store(leased, group) for _ in range(2)]
    handle_webhooks()

    assert stored == [1, 0]
    assert len(world.texts()) == 1


@pytest.mark.usefixtures("session", "channel")
def test_a_customer_under_two_names_is_one_thread_with_one_divider(world: World) -> None:
    hidden = written("As a hidden id", 10, "3A01", HIDDEN)
    number = written("With a number", 9, "3A02", CUSTOMER, **also_known_as(HIDDEN))
    twin = written("As a hidden id", 10, "3A01", CUSTOMER)

    found = catch_up(hidden, number, twin)

    assert found == 2
    assert len([text for text in world.texts() if "2 messages recovered" in text]) == 1
    assert world.value("SELECT count(*) FROM conversations WHERE deleted_at IS NULL") == 1
    assert world.value("SELECT count(*) FROM messages") == 2


def test_what_is_older_than_a_day_is_kept_and_counted(world: World, conversation: Conversation) -> None:
    catch_up(written("Old", 25 * 60, "3A01"), written("Recent", 30, "3A02"))

    [shown] = world.texts()
    assert "2 messages recovered" in shown
    assert "1 older than a day is kept and not shown." in shown
    assert shown.endswith("Recent")
    assert world.sql("SELECT body FROM messages WHERE hold_reason LIKE 'older%%'") == [("Old",)]


@pytest.mark.usefixtures("conversation")
def test_stories_and_channels_are_nobodys_gap(world: World) -> None:
    found = catch_up(written("A story", 5, "3A01", "status@broadcast"), written("News", 5, "3A02", "1@newsletter"))

    assert (found, world.texts()) == (0, [])


def test_our_own_messages_are_known(world: World, conversation: Conversation) -> None:
    world.message(conversation, waha_message_id="3EB0AA", status="sent")

    assert catch_up(written("It leaves today.", 5, "3EB0AA", from_me=True)) == 0


def test_what_may_be_ours_under_an_id_of_wahas_is_not_called_recovered(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    world.sql("UPDATE waha_sessions SET engine = 'WEBJS'")
    message = world.message(conversation, waha_message_id="3EB0AA", send_started_at=datetime.now(UTC), body="Hello")

    found = catch_up(written("Hello", 5, "3EB0BB", from_me=True))

    assert (found, world.texts()) == (0, [])
    assert world.reload(message).status == "sent"


def test_what_was_written_on_the_phone_meanwhile_is_shown(world: World, conversation: Conversation) -> None:
    catch_up(written("From the phone", 5, "3EB0BB", from_me=True))

    assert world.texts()[-1].endswith("\n_Sent from the phone_: From the phone")


def test_receipts_that_were_missed_are_made_up_for(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, waha_message_id="3EB0AA", status="sent", sent_at=datetime.now(UTC))
    leased = lease_one()
    [waiting] = missed_messages.unacknowledged(leased)
    told = _told(written("It leaves today.", 5, waiting, from_me=True, ack=3))

    stored = [missed_messages.store_receipts(leased, [told]) for _ in range(2)]
    handle_webhooks()

    assert stored == [1, 0]
    assert world.reload(message).read_at is not None
    assert missed_messages.unacknowledged(leased) == []


def test_a_divider_is_shown_also_where_its_message_is_not(world: World, conversation: Conversation) -> None:
    catch_up(written("Old", 25 * 60, "3A01"), written("Older", 26 * 60, "3A02"))

    [divider] = world.texts()
    assert "2 messages recovered" in divider
    assert "2 older than a day are kept and not shown." in divider


def test_a_message_that_came_by_another_way_leaves_the_divider_to_the_others(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    leased = lease_one()
    history = [written("Came after all", 20, "3A01"), written("Missed", 19, "3A02")]
    [group] = missed_messages.by_conversation(leased, missed_messages.unknown(leased, history))
    missed_messages.store(leased, group)
    world.sql("UPDATE webhook_events SET next_attempt_at = now() + interval '1 minute'")
    take(webhook(session, "message.any", history[0] | {"id": f"false_{HIDDEN}_3A01"}))
    world.make_all_due()

    handle_webhooks()

    assert len([text for text in world.texts() if "Missed" in text]) == 1
    assert len([text for text in world.texts() if "2 messages recovered" in text]) == 1
