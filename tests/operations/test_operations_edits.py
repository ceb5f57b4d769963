"""What people do to their replies after they wrote them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, Tenant, WahaSession, uuid7
from operations import dead_letters, deciding, sending
from operations.buttons import Act
from operations.edits import (
    HAS_IT,
    HAS_IT_ALTHOUGH_INTERNAL,
    HAS_OLD_TEXT,
    IS_NOT_SENT_AGAIN,
    IS_SENT_BY_RETRY,
    MAY_HAVE_IT,
    WAS_NOT_SENT,
)
from operations.errors import Refused
from tests.operations.builders import (
    ANA,
    CALL,
    CUSTOMER,
    LEASE,
    World,
    handle_slack_events,
    hear,
    lease_one,
    slack_reply,
    take,
    together,
    webhook,
)
from tests.operations.slack_editions import deletion, edit, original, outbound, written


@pytest.fixture
def conversation(world: World, tenant: Tenant, session: WahaSession) -> Conversation:
    """A customer with a thread in #support, and ana, who may answer."""
    world.user(tenant, ANA)
    world.route(tenant)
    return world.conversation(session, CUSTOMER)


def test_an_edit_of_a_reply_that_has_not_left_changes_its_text(world: World, conversation: Conversation) -> None:
    hear(original(conversation), edit(conversation, "It leaves <@UANA> tomorrow."))

    assert outbound(world) == [("It leaves @Ana tomorrow.", "queued")]
    assert world.privately() == []
    assert lease_one().body == "It leaves @Ana tomorrow."
    assert world.sql("SELECT actor, action FROM audit_entries") == [(ANA.key, "message.edit")]


def test_a_deleted_reply_that_has_not_left_is_taken_back(world: World, conversation: Conversation) -> None:
    hear(original(conversation), slack_reply(conversation, "And this."), deletion(conversation))

    assert outbound(world) == [("It leaves today.", "failed"), ("And this.", "queued")]
    assert lease_one().body == "And this."
    assert world.privately() == []


def test_a_reply_that_becomes_internal_is_taken_back_and_shows_it(world: World, conversation: Conversation) -> None:
    hear(original(conversation), edit(conversation, "// It leaves today?"))

    assert outbound(world) == [("It leaves today.", "failed")]
    assert world.sql("SELECT payload->>'receipt' FROM slack_posts WHERE kind = 'react'") == [("failed",)]
    assert world.privately() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: edit(it, "It leaves tomorrow."), HAS_OLD_TEXT),
        (deletion, HAS_IT),
        (lambda it: edit(it, "// It leaves today?"), HAS_IT_ALTHOUGH_INTERNAL),
    ],
    ids=["an edit", "a deletion", "an edit to internal"],
)
def test_after_a_message_was_sent_its_writer_is_told_that_the_customer_has_it(
    world: World, conversation: Conversation, change: Callable[[Conversation], Any], told: str
) -> None:
    hear(original(conversation))
    sending.record_sent(lease_one(), waha_message_id=None)

    hear(change(conversation))

    assert outbound(world) == [("It leaves today.", "sent")]
    assert world.privately() == [told]


def test_the_writer_is_told_once_however_often_they_edit(world: World, conversation: Conversation) -> None:
    hear(original(conversation))
    sending.record_sent(lease_one(), waha_message_id=None)

    hear(*[edit(conversation, f"Edition {number}", f"180000001{number}.000001") for number in range(3)])

    assert world.privately() == [HAS_OLD_TEXT]


def test_an_edit_of_a_message_on_its_way_waits_until_it_is_known_whether_it_left(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.begin(leased, CALL)

    hear(edit(conversation, "It leaves tomorrow."))
    meanwhile = (outbound(world), world.privately())
    sending.record_not_sent(leased, "WAHA is away.", give_up_after=timedelta(hours=1), blocks_for=timedelta(hours=1))
    world.make_all_due()
    handle_slack_events()

    assert meanwhile == ([("It leaves today.", "queued")], [])
    assert outbound(world) == [("It leaves tomorrow.", "queued")]
    assert world.privately() == []


def test_a_message_of_which_nobody_knows_whether_it_left_is_not_changed(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    sending.begin(lease_one(), CALL)
    world.end_leases()

    hear(edit(conversation, "It leaves tomorrow."), deletion(conversation))

    assert outbound(world) == [("It leaves today.", "queued")]
    assert world.privately() == [MAY_HAVE_IT, IS_NOT_SENT_AGAIN]


def test_a_daemon_whose_lease_ended_does_not_send_the_old_text(world: World, conversation: Conversation) -> None:
    hear(original(conversation))
    late = lease_one()
    world.end_leases()

    hear(edit(conversation, "It leaves tomorrow."))

    assert not sending.begin(late, CALL)
    assert lease_one().body == "It leaves tomorrow."


def test_a_daemon_that_holds_a_reply_does_not_send_what_was_taken_back(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation), slack_reply(conversation, "And this."))
    leased = lease_one()

    hear(deletion(conversation))

    assert not sending.begin(leased, CALL)
    assert lease_one().body == "And this."


def test_a_daemon_that_holds_a_reply_with_the_old_text_settles_it_first(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    leased = lease_one()

    hear(edit(conversation, "It leaves tomorrow."))

    assert outbound(world) == [("It leaves today.", "queued")]
    assert world.value("SELECT count(*) FROM slack_events WHERE processed_at IS NULL") == 1
    assert sending.begin(leased, CALL)


def test_what_was_taken_back_waits_for_no_decision(world: World, conversation: Conversation) -> None:
    hear(original(conversation), deletion(conversation))

    with tenant_transaction(conversation.tenant_id):
        assert dead_letters.failed(conversation.tenant_id) == []


def retry_all(conversation: Conversation) -> int:
    with tenant_transaction(conversation.tenant_id):
        new_ids = [uuid7() for _ in range(10)]
        return dead_letters.replay(conversation.tenant_id, user_id=ANA.key, new_ids=new_ids).again


def decide(world: World, act: Act) -> str:
    [(tenant_id, message_id)] = world.sql("SELECT tenant_id, id FROM messages WHERE direction = 'outbound'")
    with tenant_transaction(tenant_id):
        return deciding.decide(act, message_id, user_id=ANA.key, new_id=uuid7())


TAKEN_BACK = pytest.mark.parametrize(
    "taken_back", [deletion, lambda it: edit(it, "// only for us")], ids=["deleted", "made internal"]
)


@TAKEN_BACK
def test_a_failed_reply_that_was_taken_back_is_never_sent_again(
    world: World, conversation: Conversation, taken_back: Callable[[Conversation], Any]
) -> None:
    hear(original(conversation))
    sending.record_refused(lease_one(), "No such chat.")

    hear(taken_back(conversation))

    with pytest.raises(Refused, match="taken back"):
        decide(world, Act.RETRY)
    assert retry_all(conversation) == 0
    assert outbound(world) == [("It leaves today.", "failed")]
    assert world.privately() == []


@TAKEN_BACK
def test_a_reply_of_unknown_outcome_that_was_taken_back_is_never_sent_again(
    world: World, conversation: Conversation, taken_back: Callable[[Conversation], Any]
) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    hear(taken_back(conversation))

    assert world.privately() == [IS_NOT_SENT_AGAIN]
    with pytest.raises(Refused, match="It is not sent again"):
        decide(world, Act.SEND_AGAIN)
    assert decide(world, Act.DISCARD)
    assert outbound(world) == [("It leaves today.", "failed")]


@TAKEN_BACK
def test_a_reply_that_was_taken_back_after_it_left_is_not_sent_again_when_whatsapp_refuses_it(
    world: World, session: WahaSession, conversation: Conversation, taken_back: Callable[[Conversation], Any]
) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    hear(taken_back(conversation))
    refused = {"id": f"true_{leased.chat_id}_{leased.waha_message_id}", "fromMe": True, "ack": -1}
    take(webhook(session, "message.ack", refused))

    assert outbound(world) == [("It leaves today.", "failed")]
    assert retry_all(conversation) == 0


def test_a_reply_that_was_taken_back_in_doubt_does_not_leave_when_it_proves_not_to_have_left(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    sending.begin(lease_one(), CALL)
    world.end_leases()

    hear(deletion(conversation))
    looked_up = lease_one()
    sending.record_not_sent(looked_up, "Not there.", give_up_after=timedelta(hours=1), blocks_for=timedelta(hours=1))
    world.make_all_due()

    assert outbound(world) == [("It leaves today.", "failed")]
    assert sending.lease(10, LEASE) == []
    assert retry_all(conversation) == 0


def test_a_reply_that_was_taken_back_is_not_put_in_the_queue_again_when_whatsapp_allows_no_new_chats(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)

    hear(deletion(conversation))
    key = f"true_{leased.chat_id}_{leased.waha_message_id}"
    take(webhook(session, "message.ack", {"id": key, "fromMe": True, "ack": -1, "error": {"code": "463"}}))

    assert outbound(world) == [("It leaves today.", "failed")]


def test_a_failed_reply_is_sent_again_with_its_newest_text_and_its_writer_is_told(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    sending.record_refused(lease_one(), "No such chat.")

    hear(edit(conversation, "It leaves tomorrow."))

    assert world.privately() == [IS_SENT_BY_RETRY]
    assert outbound(world) == [("It leaves tomorrow.", "failed")]
    assert retry_all(conversation) == 1
    assert lease_one().body == "It leaves tomorrow."


def test_what_may_have_left_keeps_its_text_and_is_sent_again_with_the_newest(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    hear(edit(conversation, "It leaves tomorrow."))

    assert world.privately() == [MAY_HAVE_IT]
    assert outbound(world) == [("It leaves today.", "queued")]
    decide(world, Act.SEND_AGAIN)
    assert lease_one().body == "It leaves tomorrow."


def test_an_edit_back_to_the_first_text_counts_too(world: World, conversation: Conversation) -> None:
    hear(original(conversation))
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_unknowable(leased)

    hear(edit(conversation, "It leaves tomorrow."), edit(conversation, "It leaves today.", "1800000011.000001"))

    decide(world, Act.SEND_AGAIN)
    assert lease_one().body == "It leaves today."


def test_a_change_of_what_was_taken_back_is_not_sent_and_its_writer_is_told(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation), edit(conversation, "// only for us"))

    hear(edit(conversation, "It leaves tomorrow.", "1800000011.000001"))

    assert outbound(world) == [("It leaves today.", "failed")]
    assert world.privately() == [WAS_NOT_SENT]


def test_a_preview_that_slack_adds_to_a_link_changes_nothing(world: World, conversation: Conversation) -> None:
    preview = edit(conversation, "It leaves today.", at="")

    hear(preview, original(conversation), preview | {"event_id": "Ev2"})
    sending.record_sent(lease_one(), waha_message_id=None)
    hear(edit(conversation, "It leaves today."))  # a preview of an edited message carries the time of the edit

    assert outbound(world) == [("It leaves today.", "sent")]
    assert world.privately() == []


def test_an_empty_edit_changes_nothing_and_is_said(world: World, conversation: Conversation) -> None:
    hear(original(conversation), edit(conversation, "  "))

    assert outbound(world) == [("It leaves today.", "queued")]
    assert world.privately() == ["Your change was not taken over, the text from before counts: there is no text in it."]


def test_who_may_not_write_any_more_changes_nothing_and_is_told(world: World, conversation: Conversation) -> None:
    hear(original(conversation))
    world.sql("UPDATE users SET role = 'AUDITOR'")

    hear(edit(conversation, "It leaves tomorrow."))

    assert outbound(world) == [("It leaves today.", "queued")]
    assert world.privately()[0].startswith("Your change was not taken over, the text from before counts: that needs ")


@pytest.mark.parametrize(
    "more", [{"bot_id": "B1"}, {"subtype": "tombstone"}, {"thread_ts": None}, {"user": None}], ids=str
)
def test_a_change_of_what_no_person_wrote_in_a_thread_does_nothing(
    world: World, conversation: Conversation, more: dict[str, Any]
) -> None:
    ours = edit(conversation, "Changed")
    ours["event"]["message"] |= more

    hear(ours)

    assert outbound(world) == []
    assert world.privately() == []


def test_a_reply_that_waits_is_taken_back_also_after_its_channel_was_unlinked(
    world: World, conversation: Conversation
) -> None:
    hear(original(conversation))
    world.sql(
        "INSERT INTO post_lanes (id, name) VALUES (gen_random_uuid(), 'former');"
        "INSERT INTO slack_posts (id, tenant_id, conversation_id, lane_id, seq, kind, slack_team_id, slack_channel_id, "
        "payload, slack_ts, posted_at) SELECT gen_random_uuid(), c.tenant_id, c.id, l.id, 1, 'post', c.slack_team_id, "
        "c.slack_channel_id, '{\"root\": true}', c.slack_thread_ts, now() FROM conversations c, post_lanes l "
        "WHERE l.name = 'former'"
    )
    gone = deletion(conversation)
    world.sql("UPDATE conversations SET slack_channel_id = NULL, slack_thread_ts = NULL")

    hear(gone)

    assert outbound(world) == [("It leaves today.", "failed")]


def test_edits_and_daemons_at_the_same_time_wait_in_no_circle(world: World, conversation: Conversation) -> None:
    replies = [f"18000000{number:02}.000001" for number in range(20)]
    hear(*[slack_reply(conversation, "One", ts=ts) for ts in replies])

    def editor() -> None:
        for ts in replies:
            message = written(conversation, "Two", edited="1900000010.000001", ts=ts)
            changed = slack_reply(conversation, "", subtype="message_changed", message=message, user=None)
            hear(changed)

    def sender() -> None:
        for _ in range(60):
            for leased in sending.lease(5, LEASE):
                if sending.begin(leased, CALL):
                    sending.record_sent(leased, waha_message_id=None)

    together(editor, sender, sender)
    world.make_all_due()
    handle_slack_events()

    assert world.value("SELECT count(*) FROM slack_events WHERE processed_at IS NULL") == 0
    told = world.value("SELECT count(*) FROM slack_posts WHERE kind = 'ephemeral'")
    assert world.value("SELECT count(*) FROM messages WHERE body = 'One'") == told
