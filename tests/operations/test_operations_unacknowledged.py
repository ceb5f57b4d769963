from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from database import tenant_transaction
from models import Conversation, Message, MessageStatus, WahaSession, uuid7
from operations import dead_letters, deciding, sending, unacknowledged
from operations.buttons import Act
from operations.unacknowledged import Unacknowledged
from tests.operations.builders import ANA, CALL, LEASE, World, acked, beside, lease_one, take, together, webhook

WAIT = timedelta(seconds=60)


@pytest.fixture
def pending(world: World, conversation: Conversation) -> Message:
    """WAHA took it, WhatsApp has said nothing for longer than a minute."""
    message = world.message(conversation, "Hello?")
    leased = lease_one()
    sending.begin(leased, CALL)
    sending.record_sent(leased, waha_message_id=leased.waha_message_id, is_pending=True)
    wait_a_minute(world)
    return world.reload(message)


def wait_a_minute(world: World) -> None:
    world.sql("UPDATE messages SET awaits_ack_since = awaits_ack_since - interval '61 s'")


def lease() -> list[Unacknowledged]:
    return unacknowledged.lease(10, wait=WAIT, lease=LEASE)


def test_what_whatsapp_has_not_confirmed_for_a_minute_is_asked_for_by_one_daemon(
    world: World, pending: Message
) -> None:
    leased = together(lease, lease, lease)

    assert [one.message_id for some in leased for one in some] == [pending.id]


@pytest.mark.parametrize(
    "not_now",
    [
        "UPDATE messages SET awaits_ack_since = now()",
        "UPDATE messages SET awaits_ack_since = NULL",
        "UPDATE messages SET status = 'delivered'",
        "UPDATE waha_sessions SET status = 'starting'",
        "UPDATE waha_sessions SET hold_until = now() + interval '1 minute'",
        "UPDATE tenants SET status = 'inactive'",
    ],
)
def test_what_needs_no_asking_is_left_alone(world: World, pending: Message, not_now: str) -> None:
    world.sql(not_now)

    assert lease() == []


@pytest.mark.parametrize(("ack", "status"), [(1, "sent"), (2, "delivered"), (3, "delivered")])
def test_an_acknowledgement_ends_the_waiting(
    world: World, session: WahaSession, pending: Message, ack: int, status: str
) -> None:
    [leased] = lease()

    take(webhook(session, "message.ack", acked(pending, ack)))

    assert world.reload(pending).status == status
    assert world.reload(pending).awaits_ack_since is None
    assert not unacknowledged.begin_again(leased, CALL)
    assert not unacknowledged.record_unconfirmed(leased)


@pytest.mark.timeline("complaint/9")
def test_it_is_sent_again_once_whatever_crashes(world: World, pending: Message) -> None:
    [first] = lease()
    assert unacknowledged.begin_again(first, CALL)
    world.end_leases()
    wait_a_minute(world)

    [second] = lease()

    assert second.is_resent
    assert not unacknowledged.begin_again(second, CALL)


def test_it_is_not_sent_again_where_the_call_does_not_fit_into_the_lease(world: World, pending: Message) -> None:
    [leased] = lease()

    assert not unacknowledged.begin_again(leased, LEASE + timedelta(seconds=1))


def test_whoever_lost_the_lease_writes_nothing(world: World, pending: Message) -> None:
    [lost] = lease()
    world.end_leases()
    [mine] = lease()

    wrote = (
        unacknowledged.begin_again(lost, CALL),
        unacknowledged.record_reached(lost, "delivered"),
        unacknowledged.record_waiting(lost),
        unacknowledged.record_unconfirmed(lost),
    )

    assert wrote == (False,) * 4
    assert unacknowledged.record_waiting(mine)


@pytest.mark.parametrize(("receipt", "status"), [("sent", "sent"), ("delivered", "delivered"), ("read", "delivered")])
def test_what_the_look_up_tells_is_shown(world: World, pending: Message, receipt: str, status: str) -> None:
    [leased] = lease()

    unacknowledged.record_reached(leased, receipt)  # type: ignore[arg-type]

    assert world.reload(pending).status == status
    assert world.receipt(pending) == receipt
    assert lease() == []


@pytest.mark.timeline("complaint/9")
def test_what_stays_unconfirmed_is_shown_as_failed_and_a_late_word_puts_it_right(
    world: World, session: WahaSession, pending: Message
) -> None:
    [leased] = lease()

    together(*[partial(unacknowledged.record_unconfirmed, leased)] * 2)

    assert world.reload(pending).status is MessageStatus.FAILED
    [said] = world.texts()
    assert "Not confirmed: “Hello?”" in said
    take(webhook(session, "message.ack", acked(pending, 2)))
    assert world.reload(pending).status is MessageStatus.DELIVERED
    assert world.receipt(pending) == "delivered"


def given_up_then(pending: Message, *, text: str | None = None) -> Message:
    """What is queued in its place, after nobody had confirmed it."""
    [leased] = lease()
    unacknowledged.record_unconfirmed(leased)
    with tenant_transaction(pending.tenant_id):
        if text is None:
            deciding.decide(Act.SEND_AGAIN, pending.id, user_id=ANA.key, new_id=uuid7())
        else:
            deciding.edit(pending.id, text, user_id=ANA.key, new_id=uuid7())
        return Message.get(Message.replay_of == pending.id)


def test_what_arrives_late_calls_off_what_would_repeat_it(world: World, session: WahaSession, pending: Message) -> None:
    again = given_up_then(pending)

    take(webhook(session, "message.ack", acked(pending, 2)))

    assert world.reload(pending).status is MessageStatus.DELIVERED
    assert world.reload(again).status is MessageStatus.FAILED
    assert sending.lease(10, LEASE) == []
    assert (world.reload(pending).slack_ts, world.receipt(pending)) == (pending.slack_ts, "delivered")
    assert world.receipt(again) is None
    with tenant_transaction(pending.tenant_id):
        assert dead_letters.failed(pending.tenant_id) == []


def test_what_arrives_late_leaves_another_text_alone(world: World, session: WahaSession, pending: Message) -> None:
    again = given_up_then(pending, text="Hello, once more?")

    take(webhook(session, "message.ack", acked(pending, 2)))

    assert lease_one().message_id == again.id


def test_what_repeats_it_and_has_begun_is_not_called_off(world: World, session: WahaSession, pending: Message) -> None:
    again = given_up_then(pending)
    leased = lease_one()
    sending.begin(leased, CALL)

    take(webhook(session, "message.ack", acked(pending, 2)))

    assert sending.record_sent(leased, waha_message_id=leased.waha_message_id)
    assert world.reload(again).slack_ts == pending.slack_ts


def test_a_message_that_waits_for_whatsapp_holds_up_none_behind_it(
    world: World, pending: Message, conversation: Conversation
) -> None:
    later = world.message(conversation)

    assert lease_one().message_id == later.id


def test_what_is_said_goes_to_the_channel_that_the_conversation_has_by_then(
    world: World, pending: Message, conversation: Conversation
) -> None:
    [leased] = lease()

    with tenant_transaction(pending.tenant_id):
        Conversation.update(slack_channel_id=None).where(Conversation.id == conversation.id).execute()
        given_up = beside(partial(unacknowledged.record_unconfirmed, leased))

    assert given_up.result(20)
    assert world.texts() == []
