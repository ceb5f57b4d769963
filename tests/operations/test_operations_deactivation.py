"""A deactivated tenant keeps what comes and shows nothing, until it is activated; then in order, and each once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, RoutePurpose, Tenant, WahaSession, uuid7
from operations import deactivation, deletion, relaying, routes, sending
from operations.deactivation import Waiting, Woken
from operations.errors import Conflict
from operations.relaying import LeasedPost
from operations.routes import SlackChannel
from tests.operations.builders import (
    ALERTS,
    ANA,
    CUSTOMER,
    HIDDEN,
    LEASE,
    OPERATOR,
    SUPPORT,
    TEAM,
    World,
    acked,
    also_known_as,
    handle_webhooks,
    hear,
    said,
    slack_reply,
    take,
    together,
    webhook,
)

OTHER = "4917700000000@c.us"


def deactivate(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        deactivation.deactivate(tenant.id, event_id=uuid7(), operators=(OPERATOR.key,), actor=OPERATOR.key)


def activate(tenant: Tenant) -> Woken:
    with tenant_transaction(tenant.id):
        _, woken = deactivation.activate(tenant.id, event_id=uuid7(), operators=(OPERATOR.key,), actor=OPERATOR.key)
    return woken


def wrote(session: WahaSession, body: str, chat_id: str = CUSTOMER, **more: Any) -> Any:
    return webhook(session, "message.any", said(body, chat_id=chat_id, **more))


def lease_posts() -> list[LeasedPost]:
    return relaying.lease(20, LEASE, LEASE)


def posted() -> list[str]:
    """Posts everything that may go; what was said, in the order in which it went."""
    texts = []
    while posts := lease_posts():
        for post in posts:
            texts.append(str(post.payload.get("text", post.payload.get("receipt"))))
            assert relaying.record_posted(post, f"1700000009.{len(texts):06}")
    return texts


def holds_something(tenant: Tenant) -> bool:
    with tenant_transaction(tenant.id):
        return deactivation.waiting(tenant.id).to_show > 0


@pytest.fixture
def channel(world: World, tenant: Tenant) -> None:
    """#support shows the conversations, #alerts what is told of the tenant."""
    world.route(tenant)
    world.route(tenant, ALERTS, RoutePurpose.ALERTS)


@pytest.mark.usefixtures("channel")
def test_what_customers_write_meanwhile_becomes_rows_and_no_posts(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    deactivate(tenant)
    take(wrote(session, "Hello?"), wrote(session, "I am new.", OTHER))

    assert world.sql("SELECT body, status FROM messages ORDER BY created_at") == [
        ("Hello?", "delivered"),
        ("I am new.", "delivered"),
    ]
    assert world.texts() == []
    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL") == 0


@pytest.mark.usefixtures("channel")
def test_the_alerts_channel_is_told_what_stops_and_what_is_kept(world: World, tenant: Tenant) -> None:
    deactivate(tenant)

    [told] = posted()

    assert told.startswith("⏸ *Acme* was deactivated: nothing is sent to its customers")
    assert "It is kept, and its sessions stay linked." in told
    assert world.texts(ALERTS) == [told]


def test_without_an_alerts_channel_the_operators_are_told(world: World, tenant: Tenant) -> None:
    deactivate(tenant)
    activate(tenant)

    assert [text.partition(" *Acme*")[0] for text in world.privately(OPERATOR)] == ["⏸", "▶️"]


@pytest.mark.usefixtures("channel")
def test_what_waited_is_posted_in_order_and_once_when_the_tenant_is_active_again(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "before"))
    deactivate(tenant)
    take(wrote(session, "first"), wrote(session, "second"))
    silent = posted()

    woken = activate(tenant)
    take(wrote(session, "after"))
    shown = [text for text in posted() if "*Acme*" not in text]

    assert [text for text in silent if "*Acme*" not in text] == []
    assert woken == Woken(shown=2, older=0, to_send=0)
    who = "*+4915••••••789*"
    assert shown == [
        f"{who}: before",
        "— 2 messages arrived while this tenant was deactivated. —",
        f"{who}: first",
        f"{who}: second",
        f"{who}: after",
    ]
    assert posted() == []


@pytest.mark.usefixtures("channel")
def test_a_customer_who_is_new_meanwhile_gets_a_thread_afterwards(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    deactivate(tenant)
    take(wrote(session, "I am new.", OTHER))

    assert activate(tenant).shown == 1
    card, divider, message = world.texts()
    assert card.startswith("*WhatsApp contact* · +4917••••••000")
    assert divider == "— 1 message arrived while this tenant was deactivated. —"
    assert message.endswith("I am new.")


@pytest.mark.usefixtures("channel")
def test_what_is_older_than_a_day_is_counted_also_where_it_was_queued_before(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "queued before"))
    deactivate(tenant)
    take(wrote(session, "held"))
    world.sql("UPDATE messages SET created_at = now() - interval '25 hours'")
    take(wrote(session, "recent"))

    woken = activate(tenant)

    assert woken == Woken(shown=1, older=2, to_send=0)
    shown = [text for text in posted() if "*Acme*" not in text]
    assert shown == [
        "— 1 message arrived while this tenant was deactivated. 2 older than a day are kept and not shown. —",
        "*+4915••••••789*: recent",
    ]
    assert world.value("SELECT count(*) FROM messages WHERE hold_reason LIKE 'older than a day%%'") == 2


@pytest.mark.usefixtures("channel")
def test_a_message_of_which_a_part_stands_in_slack_already_is_completed(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "x" * 5000))
    [first] = lease_posts()
    relaying.record_posted(first, "1700000009.000001")
    deactivate(tenant)
    world.sql("UPDATE messages SET created_at = now() - interval '25 hours'")

    assert activate(tenant).older == 0
    assert [len(text) < 2000 for text in posted() if "x" in text] == [True]


@pytest.mark.usefixtures("channel")
def test_a_post_that_has_begun_is_finished(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "begun"))
    [post] = lease_posts()
    assert relaying.begin(post, LEASE / 2)
    deactivate(tenant)
    world.end_leases()

    again = [one for one in lease_posts() if one.post_id == post.post_id]

    assert [one.post_started_at is not None for one in again] == [True]


@pytest.mark.usefixtures("channel")
def test_an_edit_of_what_waits_is_told_once_and_behind_it(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    deactivate(tenant)
    take(wrote(session, "tomorow", message_id="3A0000000000000001"))
    take(
        webhook(
            session,
            "message.edited",
            said("tomorrow", "3A0000000000000002") | {"editedMessageId": "3A0000000000000001"},
        )
    )

    activate(tenant)

    assert [text for text in world.texts() if "tomor" in text] == [
        "*+4915••••••789*: tomorow",
        "_+4915••••••789 edited a message; it reads now:_\ntomorrow",
    ]


@pytest.mark.usefixtures("channel")
def test_two_chats_that_prove_to_be_one_customer_meanwhile_are_shown_in_order(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    deactivate(tenant)
    take(wrote(session, "by the number"), wrote(session, "by the hidden id", HIDDEN))
    take(wrote(session, "by both", HIDDEN, **also_known_as(CUSTOMER)))

    assert activate(tenant).shown == 3
    assert [text.partition(": ")[2] for text in world.texts()[2:]] == ["by the number", "by the hidden id", "by both"]


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("reason", ["no channel", "its tenant is deactivated"])
def test_what_is_joined_to_a_shown_conversation_while_silent_is_shown_when_activated(
    world: World, tenant: Tenant, session: WahaSession, reason: str
) -> None:
    take(wrote(session, "before"))
    deactivate(tenant)
    take(wrote(session, "by the hidden id", HIDDEN))
    world.sql("UPDATE messages SET hold_reason = %s WHERE hold_reason IS NOT NULL", reason)
    before = world.texts()

    take(wrote(session, "by both", HIDDEN, **also_known_as(CUSTOMER)))

    assert world.texts() == before
    assert activate(tenant).shown == 2
    assert [text.partition(": ")[2] for text in world.texts()[-2:]] == ["by the hidden id", "by both"]


def test_what_has_no_channel_after_all_waits_for_one(world: World, tenant: Tenant, session: WahaSession) -> None:
    deactivate(tenant)
    take(wrote(session, "Hello?"))

    assert activate(tenant) == Woken(shown=0, older=0, to_send=0)
    assert world.value("SELECT hold_reason FROM messages") == "no channel"
    with tenant_transaction(tenant.id):
        linked = routes.link(
            tenant.id,
            SlackChannel(TEAM, SUPPORT, "support"),
            RoutePurpose.CONVERSATIONS,
            session=None,
            route_id=uuid7(),
            actor=ANA.key,
        )
    assert linked.held == 1


def test_nobody_is_told_of_a_missing_channel_while_nothing_is_shown_anyway(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    deactivate(tenant)
    take(wrote(session, "Hello?"))

    assert not [text for text in world.privately(OPERATOR) if "no channel" in text]


@pytest.mark.usefixtures("channel")
def test_a_message_that_arrives_during_the_activation_waits_for_its_end(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    deactivate(tenant)
    with tenant_transaction(tenant.id):
        deactivation.activate(tenant.id, event_id=uuid7(), operators=(), actor=OPERATOR.key)
        together(lambda: take(wrote(session, "just now")))
    world.make_all_due()
    handle_webhooks()

    assert world.texts() == ["*+4915••••••789*: just now"]
    assert world.value("SELECT count(*) FROM messages WHERE hold_reason IS NOT NULL") == 0


@pytest.mark.usefixtures("channel")
def test_whoever_switches_while_customers_write_everything_is_shown_once_and_in_order(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    texts = [f"number {number}" for number in range(16)]
    is_written = threading.Event()

    def write() -> None:
        for text in texts:
            take(wrote(session, text))
        is_written.set()

    def switch() -> None:
        while not is_written.is_set():
            deactivate(tenant)
            while not holds_something(tenant) and not is_written.is_set():
                pass
            activate(tenant)

    together(write, switch)
    world.make_all_due()
    handle_webhooks()

    lines = [text.partition(": ")[2] for text in posted() if text.startswith("*+4915")]
    assert lines == texts
    assert [text for text in world.texts() if "arrived while this tenant was deactivated" in text]
    assert world.value("SELECT count(*) FROM messages WHERE hold_reason IS NOT NULL") == 0


def test_messages_wait_until_the_tenant_is_active_again(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    message = world.message(conversation)
    deactivate(tenant)
    silent = sending.lease(10, LEASE)
    with tenant_transaction(tenant.id):
        waiting = deactivation.waiting(tenant.id)

    woken = activate(tenant)

    assert silent == []
    assert waiting == Waiting(to_send=1, to_show=0)
    assert woken.to_send == 1
    assert [one.message_id for one in sending.lease(10, LEASE)] == [message.id]


def test_a_message_that_waited_meanwhile_is_as_old_as_it_is_and_so_asks_first(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    message = world.message(conversation)
    world.sql("UPDATE messages SET created_at = now() - interval '31 minutes'")
    deactivate(tenant)
    activate(tenant)

    [leased] = sending.lease(10, LEASE)
    sending.record_stale(leased)

    assert (leased.age > timedelta(minutes=30), leased.is_confirmed) == (True, False)
    assert world.reload(message).parked_at is not None
    assert world.texts()[-1].startswith("⏸ Not sent: “It leaves today.” waited 31 minutes. Is it still wanted?")


@pytest.mark.usefixtures("channel")
def test_what_waits_for_longer_than_a_day_has_other_reasons_and_stays(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "to a workspace without the app"))
    world.sql("UPDATE slack_posts SET next_attempt_at = now() + interval '10 years'")
    deactivate(tenant)
    activate(tenant)

    assert [text for text in posted() if "workspace" in text] == []


@pytest.mark.usefixtures("channel")
def test_a_receipt_waits_with_the_conversation_and_is_shown_afterwards(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation)
    [leased] = sending.lease(10, LEASE)
    sending.begin(leased, LEASE / 2)
    sending.record_sent(leased, waha_message_id=leased.waha_message_id)
    deactivate(tenant)
    take(webhook(session, "message.ack", acked(world.reload(message), 3)))

    silent = [post for post in lease_posts() if post.kind == "react"]
    activate(tenant)

    assert silent == []
    assert [post.payload["receipt"] for post in lease_posts() if post.kind == "react"] == ["read"]


@pytest.mark.usefixtures("channel")
def test_a_reply_in_a_thread_is_refused_privately(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    world.user(tenant)
    deactivate(tenant)

    hear(slack_reply(conversation, "It leaves today."))

    [told] = [text for text in posted() if "Not sent" in text]
    assert told == (
        "Not sent to the customer: *Acme* is deactivated. It is not sent later either: write it again once an operator "
        "has run `tenant activate Acme`."
    )
    assert world.value("SELECT count(*) FROM messages") == 0


def test_what_is_so_already_is_not_done_again(world: World, tenant: Tenant) -> None:
    with pytest.raises(Conflict, match=r"\*Acme\* is active already"):
        activate(tenant)
    deactivate(tenant)
    with pytest.raises(Conflict, match=r"\*Acme\* is deactivated already"):
        deactivate(tenant)

    assert world.sql("SELECT action, before->>'status', after->>'status' FROM audit_entries") == [
        ("tenant.deactivate", "active", "inactive")
    ]


@pytest.mark.usefixtures("channel")
def test_a_deleted_tenants_posts_wait_for_its_return(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "before"))
    deletion_id = uuid7()
    deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor=OPERATOR.key)
    told = posted()

    deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor=OPERATOR.key)

    assert [text.partition(":")[0] for text in told] == ["🗑️ *Acme* was deleted"]
    assert posted() == ["*+4915••••••789*: before"]
