from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from database import transaction
from models import Conversation, RoutePurpose, Tenant, WahaSession
from operations.measuring import measure
from operations.webhook_inbox import NewWebhook
from tests.operations.builders import ALERTS, CUSTOMER, HIDDEN, OPERATOR, World, also_known_as, said, take, webhook


def wrote(session: WahaSession, body: str, message_id: str = "", chat_id: str = CUSTOMER, **more: Any) -> NewWebhook:
    return webhook(session, "message.any", said(body, message_id, chat_id, **more))


def messages(world: World) -> list[str]:
    return [body for (body,) in world.sql("SELECT body FROM messages ORDER BY seq, created_at")]


def errors(world: World) -> list[str]:
    return [error for (error,) in world.sql("SELECT error FROM webhook_events WHERE parked_at IS NOT NULL")]


def test_u0000_becomes_a_replacement_character_and_the_inbox_keeps_the_bytes(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "a\x00b", _data={"Info": {"PushName": "Ber\x00ta"}}))

    assert messages(world) == ["a\ufffdb"]
    assert world.texts() == ["*Ber\ufffdta*: a\ufffdb"]
    assert b"a\\u0000b" in bytes(world.value("SELECT body FROM webhook_events"))


def test_what_is_too_long_for_a_column_is_kept_elsewhere(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    url = "http://127.0.0.1:3000/api/files/" + "x" * 600
    take(wrote(session, "", hasMedia=True, media={"url": url, "mimetype": "image/png"}))
    take(wrote(session, "Hi", chat_id=f"{'1' * 30}@c.us"))

    rows = world.sql("SELECT message_type, media_url, metadata->>'media_url', from_msisdn FROM messages ORDER BY id")
    assert sorted(rows, key=str) == sorted([("image", None, url, "4915123456789"), ("text", None, None, None)], key=str)


@pytest.mark.parametrize("chat_id", ["status@broadcast", "1203@newsletter", "1@broadcast"])
def test_stories_and_channels_are_nobodys_conversation(world: World, session: WahaSession, chat_id: str) -> None:
    take(wrote(session, "Hi", chat_id=chat_id))

    assert messages(world) == []
    assert errors(world) == []


def test_what_the_phone_sends_is_shown_in_the_thread_once(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "From my phone", "3A01", from_me=True), wrote(session, "From my phone", "3A01", from_me=True))

    assert world.texts() == ["_Sent from the phone_: From my phone"]
    assert world.sql("SELECT direction, status, to_msisdn FROM messages") == [("outbound", "sent", "4915123456789")]


def test_a_group_is_one_conversation_without_a_contact(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.route(tenant)
    group = "120363000000000001@g.us"

    take(wrote(session, "1", chat_id=group, participant=CUSTOMER), wrote(session, "2", chat_id=group))

    assert world.sql("SELECT contact_id, title FROM conversations") == [(None, "WhatsApp group")]
    assert messages(world) == ["1", "2"]


def test_reactions_edits_and_deletions_are_said_in_the_thread(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "At four", "3A01"))
    reaction = said("", "3A02") | {"reaction": {"text": "👍", "messageId": f"false_{CUSTOMER}_3A01"}}
    edit = said("At five", "3A03") | {"editedMessageId": "3A01"}
    revoked = {"before": said("At four", "3A01"), "revokedMessageId": "3A01"}

    take(
        webhook(session, "message.reaction", reaction),
        webhook(session, "message.edited", edit),
        webhook(session, "message.revoked", revoked),
    )

    assert world.texts()[1:] == [
        "_The customer reacted 👍 to “At four”_",
        "_The customer edited a message; it reads now:_\nAt five",
        "_The customer deleted a message on WhatsApp: “At four”_",
    ]
    assert world.value("SELECT metadata->>'edited_body' FROM messages") == "At five"


def test_a_message_without_a_channel_is_held_and_the_operators_are_told_once(
    world: World, session: WahaSession
) -> None:
    take(wrote(session, "1"), wrote(session, "2"), wrote(session, "3", chat_id="4917700000000@c.us"))

    assert world.sql("SELECT DISTINCT hold_reason FROM messages") == [("no channel",)]
    [told] = world.texts("UOLGA")
    assert "session `sales`, which has no channel" in told


def test_a_missing_channel_is_told_in_the_channel_for_alerts_where_there_is_one(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant, ALERTS, RoutePurpose.ALERTS)

    take(wrote(session, "1"))

    assert len(world.texts(ALERTS)) == 1
    assert world.texts("UOLGA") == []


def test_a_first_message_opens_a_thread_with_a_card(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.route(tenant)

    take(wrote(session, "Hi", **also_known_as(HIDDEN)))

    card, first = world.texts()
    assert card.startswith("*Berta* · +4915••••••789 · session `sales`")
    assert first == "*Berta*: Hi"
    assert world.sql("SELECT name, msisdn, lid FROM contacts") == [("Berta", "4915123456789", HIDDEN)]


def test_a_number_is_no_name_and_stands_nowhere_unmasked(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "Hi", _data={"Info": {"PushName": "+49 151 23456789"}}))

    assert world.texts() == ["*+4915••••••789*: Hi"]


def test_operators_hear_once_a_day_that_something_could_not_be_handled(world: World, session: WahaSession) -> None:
    world.sql("UPDATE waha_sessions SET server = 'other'")

    take(wrote(session, "one"), wrote(session, "two"))

    assert len(errors(world)) == 2
    [text] = world.texts(OPERATOR.user_id)
    assert "belongs to server other" in text
    assert set_aside() == 2


def set_aside() -> float:
    with transaction():
        [found] = [one for one in measure() if one.series == "parked" and one.labels == {"queue": "webhooks"}]
    return found.value


@pytest.mark.parametrize("table", ["waha_sessions", "tenants"])
def test_what_comes_of_a_deleted_session_troubles_nobody(table: str, world: World, session: WahaSession) -> None:
    world.sql(f"UPDATE {table} SET deleted_at = now()")  # noqa: S608 - names of ours

    take(webhook(session, "session.status", {"status": "STOPPED"}), wrote(session, "Hi"))

    kept = world.sql("SELECT event_name, processed_at IS NULL, body <> '' FROM webhook_events ORDER BY event_name")
    assert kept == [("message.any", True, True), ("session.status", False, True)]
    assert world.texts(OPERATOR.user_id) == []
    assert set_aside() == 0


@pytest.mark.parametrize("waits", [True, False], ids=["a reply waits", "nothing waits"])
def test_the_sender_which_passed_over_a_locked_conversation_looks_again(
    world: World, session: WahaSession, *, waits: bool
) -> None:
    conversation = world.conversation(session, CUSTOMER)
    if waits:
        world.message(conversation)

    rung = rung_while(world, lambda: take(wrote(session, "Anybody there?")))

    assert ("messages" in rung) == waits


def rung_while(world: World, work: Callable[[], None]) -> set[str]:
    """The channels on which anybody was woken."""
    listening = psycopg2.connect(world.migrated.url)
    listening.autocommit = True
    with closing(listening), listening.cursor() as cursor:
        cursor.execute("LISTEN messages; LISTEN posts")
        work()
        cursor.execute("SELECT 1")
        return {notification.channel for notification in listening.notifies}
