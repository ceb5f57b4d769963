from __future__ import annotations

from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, Tenant, UserRole, WahaSession
from operations import relaying, slack_inbox
from operations.lanes import MOST_ATTEMPTS
from operations.posting import queue_in_thread
from operations.slack_events import incoming
from operations.standing import Person
from tests.operations.builders import (
    ANA,
    CALL,
    CUSTOMER,
    LEASE,
    TEAM,
    World,
    handle_slack_events,
    hear,
    slack_reply,
    take,
    together,
    webhook,
)

BEN = Person(TEAM, "UBEN")


def queued(world: World) -> list[str]:
    return [body for (body,) in world.sql("SELECT body FROM messages WHERE direction = 'outbound' ORDER BY seq")]


@pytest.fixture
def conversation(world: World, tenant: Tenant, session: WahaSession) -> Conversation:
    """A customer with a thread in #support, and ana, who may answer."""
    world.user(tenant, ANA)
    world.route(tenant)
    return world.conversation(session, CUSTOMER)


def test_a_reply_in_a_thread_is_queued_for_the_customer(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "It leaves *today*.", ts="1800000000.000001"))

    [message] = world.sql(
        "SELECT body, status, chat_id, to_msisdn, from_msisdn, seq, slack_ts, metadata->>'slack_user_id' FROM messages"
    )
    expected = (CUSTOMER, "4915123456789", "4930901820", 1, "1800000000.000001", "UANA")
    assert message == ("It leaves *today*.", "queued", *expected)
    assert world.privately() == []


def test_replies_are_queued_in_the_order_in_which_they_came(world: World, conversation: Conversation) -> None:
    hear(*[slack_reply(conversation, str(number)) for number in range(5)])

    assert queued(world) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "text",
    [
        "// who takes it?",
        "//who",
        "  \n // who",
        "*// who takes it?*",
        "_//_ who",
        "&gt; // who",
        "\u200b// who",
        "~`//` who",
        "\uff0f\uff0f who",
        "\u2022 // who",
        "1. // who",
    ],
)
def test_internal_talk_never_leaves(world: World, conversation: Conversation, text: str) -> None:
    hear(slack_reply(conversation, text))

    assert queued(world) == []
    assert world.privately() == []
    assert world.value("SELECT count(*) FROM slack_events WHERE processed_at IS NOT NULL") == 1


def test_a_link_is_not_internal(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "See <https://example.org/track>"))

    assert queued(world) == ["See https://example.org/track"]


@pytest.mark.parametrize(
    "more",
    [
        {"thread_ts": None},
        {"thread_ts": "1800000000.000001"},
        {"bot_id": "B1"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "channel_join"},
        {"user": None},
        {"type": "reaction_added"},
    ],
    ids=["no thread", "the root itself", "a bot", "an edit", "a deletion", "a join", "nobody", "a reaction"],
)
def test_what_is_no_reply_of_a_person_is_not_sent(
    world: World, conversation: Conversation, more: dict[str, Any]
) -> None:
    hear(slack_reply(conversation, "Hi", ts="1800000000.000001", **more))

    assert queued(world) == []
    assert world.privately() == []


@pytest.mark.parametrize("subtype", ["thread_broadcast", "me_message"])
def test_every_kind_of_writing_is_sent(world: World, conversation: Conversation, subtype: str) -> None:
    hear(slack_reply(conversation, "Hi", subtype=subtype))

    assert queued(world) == ["Hi"]


def test_a_thread_that_is_not_ours_is_left_alone(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "Lunch?", thread_ts="1600000000.000001"))

    assert queued(world) == []
    assert world.privately() == []


@pytest.mark.parametrize(
    ("channel_now", "hint"), [(None, "Run `channel link` where it should go on."), ("CNEXT", "It goes on in <#CNEXT>.")]
)
def test_an_answer_where_a_conversation_was_shown_before_is_not_sent_and_its_writer_is_told(
    world: World, session: WahaSession, conversation: Conversation, channel_now: str | None, hint: str
) -> None:
    new = world.conversation(session, thread_ts=None)
    with tenant_transaction(new.tenant_id):
        queue_in_thread(new, "Berta", is_root=True)
    relaying.record_posted(relaying.lease(1, LEASE, LEASE)[0], "1700000005.000001")
    world.sql(
        "UPDATE conversations SET slack_channel_id = %s, slack_thread_ts = NULL WHERE id = %s", channel_now, new.id
    )

    hear(
        slack_reply(new, "Hi", thread_ts="1700000005.000001"),
        slack_reply(new, "// Hm", thread_ts="1700000005.000001"),
    )

    assert queued(world) == []
    [told] = world.privately()
    assert told == f"Not sent to the customer: their conversation is no longer shown in this thread. {hint}"


@pytest.mark.parametrize("how_often", ["the same event", "another event id", "again later"])
def test_a_reply_that_slack_delivers_twice_is_one_message(
    world: World, conversation: Conversation, how_often: str
) -> None:
    reply = slack_reply(conversation, "Hi", ts="1800000000.000001")
    again = reply if how_often == "the same event" else reply | {"event_id": "EvOTHER"}

    hear(reply)
    if how_often == "again later":
        world.sql("DELETE FROM slack_events")
    hear(again)

    assert queued(world) == ["Hi"]


def test_a_reply_in_another_edition_is_still_the_same_message(world: World, conversation: Conversation) -> None:
    reply = slack_reply(conversation, "Hi", ts="1800000000.000001")

    hear(
        reply, slack_reply(conversation, "Hi, also in the channel", ts="1800000000.000001", subtype="thread_broadcast")
    )

    assert queued(world) == ["Hi"]
    assert world.value("SELECT next_message_seq FROM conversations") == 1


def test_names_and_references_are_written_out_for_the_customer(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.user(tenant, BEN, first_name="Ben")

    hear(slack_reply(conversation, "<@UBEN> and <@USTRANGER> see &lt;this&gt; :tada:"))

    assert queued(world) == ["@Ben and @someone see <this> 🎉"]


@pytest.mark.parametrize(
    ("arrange", "refusal"),
    [
        ("DELETE FROM slack_identities", "you have no role here"),
        ("UPDATE slack_identities SET deleted_at = now()", "you have no role here"),
        ("UPDATE users SET role = 'AUDITOR'", "that needs TENANT_ADMIN, MANAGER or AGENT, and you are AUDITOR"),
        ("UPDATE users SET is_active = false", "Your account in *Acme* is deactivated"),
        ("UPDATE tenants SET status = 'inactive'", "*Acme* is deactivated"),
        ("UPDATE tenants SET deleted_at = now()", "*Acme* was deleted. Ask an operator for `tenant restore Acme`."),
        ("UPDATE waha_sessions SET deleted_at = now()", "the session of this conversation was removed"),
        ("UPDATE conversations SET deleted_at = now()", "the session of this conversation was removed"),
    ],
)
def test_a_reply_that_may_not_be_sent_is_refused_with_the_reason_and_to_its_writer_alone(
    world: World, conversation: Conversation, arrange: str, refusal: str
) -> None:
    world.sql(arrange)

    hear(slack_reply(conversation, "Hi"))

    assert queued(world) == []
    [told] = world.privately()
    assert told.startswith("Not sent to the customer: ")
    assert refusal in told
    assert world.sql("SELECT kind, thread_ts FROM slack_posts") == [("ephemeral", conversation.slack_thread_ts)]


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"subtype": "file_share", "files": [{"id": "F1"}]}, "files cannot be sent yet"),
        ({"user_team": "TOTHER"}, "You belong to another company's Slack workspace"),
        ({"user": "USTRANGER"}, "you have no role here"),
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused(
    world: World, conversation: Conversation, more: dict[str, Any], refusal: str
) -> None:
    hear(slack_reply(conversation, "Hi", **more))

    assert queued(world) == []
    [told] = world.privately(Person(TEAM, more.get("user", ANA.user_id)))
    assert refusal in told


def test_a_reply_without_text_is_refused(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "  "))

    assert queued(world) == []
    assert world.privately() == ["Not sent to the customer: there is no text in it."]


@pytest.mark.parametrize("role", [UserRole.TENANT_ADMIN, UserRole.MANAGER, UserRole.AGENT])
def test_whoever_writes_to_customers_may_reply(
    world: World, tenant: Tenant, conversation: Conversation, role: UserRole
) -> None:
    world.user(tenant, BEN, role)

    hear(slack_reply(conversation, "Hi", person=BEN))

    assert queued(world) == ["Hi"]


def test_somebody_of_another_tenant_may_not_reply_here(world: World, conversation: Conversation) -> None:
    world.user(world.tenant("Globex"), BEN, UserRole.TENANT_ADMIN)

    hear(slack_reply(conversation, "Hi", person=BEN))

    assert queued(world) == []
    assert "you have no role here" in world.privately(BEN)[0]


def test_a_reply_under_a_root_that_is_not_recorded_yet_waits_for_it(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    new = world.conversation(session, thread_ts=None)
    with tenant_transaction(tenant.id):
        queue_in_thread(new, "Berta", is_root=True)
    [root] = relaying.lease(1, LEASE, LEASE)
    relaying.begin(root, CALL)

    hear(slack_reply(new, "Hi", thread_ts="1700000005.000001"))
    early = queued(world)
    relaying.record_posted(root, "1700000005.000001")
    world.make_all_due()
    handle_slack_events()

    assert early == []
    assert queued(world) == ["Hi"]
    assert world.value("SELECT attempts FROM slack_events") == 0


def test_a_reply_waits_for_no_post_that_began_after_it(world: World, conversation: Conversation) -> None:
    """Else a busy channel, in which something is always on its way, would keep it waiting for ever."""
    with tenant_transaction(conversation.tenant_id):
        queue_in_thread(conversation, "Berta")
    reply = incoming(slack_reply(conversation, "Lunch?", thread_ts="1600000000.000001"))
    assert reply is not None
    slack_inbox.store(reply)
    relaying.begin(relaying.lease(1, LEASE, LEASE)[0], CALL)

    handle_slack_events()

    assert world.value("SELECT count(*) FROM slack_events WHERE processed_at IS NOT NULL") == 1


def test_a_reply_that_cannot_be_handled_is_set_aside_and_its_writer_is_told(
    world: World, conversation: Conversation
) -> None:
    world.sql("DELETE FROM conversation_chats")
    hear(slack_reply(conversation, "Hi"), slack_reply(conversation, "// behind it"))

    for _ in range(MOST_ATTEMPTS):
        world.make_all_due()
        handle_slack_events()

    assert world.sql("SELECT attempts, processed_at FROM slack_events WHERE parked_at IS NOT NULL") == [(5, None)]
    assert "Hi" not in world.value("SELECT error FROM slack_events WHERE parked_at IS NOT NULL")
    assert world.value("SELECT count(*) FROM slack_events WHERE processed_at IS NOT NULL") == 1
    assert world.privately() == [
        "Not sent to the customer: something went wrong on our side. Write it again, or ask an operator."
    ]


def test_a_thread_whose_first_event_waits_is_not_offered(world: World, conversation: Conversation) -> None:
    world.sql("DELETE FROM conversation_chats")

    hear(slack_reply(conversation, "Hi"), slack_reply(conversation, "2"))

    assert slack_inbox.due_lanes(10) == []
    assert world.value("SELECT sum(attempts) FROM slack_events") == 1


def test_u0000_in_a_reply_does_no_harm(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "a\x00b"))

    assert queued(world) == ["a\ufffdb"]


def test_replies_handled_by_three_daemons_keep_their_order_and_are_sent_once(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    threads = [conversation, *(world.conversation(session) for _ in range(4))]
    for number in range(20):
        for thread in threads:
            row = incoming(slack_reply(thread, f"{number:02}"))
            assert row is not None
            slack_inbox.store(row)

    together(*[handle_slack_events] * 3)

    rows = world.sql("SELECT conversation_id, array_agg(body ORDER BY seq) FROM messages GROUP BY conversation_id")
    assert dict(rows) == {thread.id: [f"{number:02}" for number in range(20)] for thread in threads}


def test_replies_and_messages_of_one_customer_at_the_same_time_wait_in_no_circle(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    def customer() -> None:
        for number in range(15):
            take(webhook(session, "message.any", {"id": f"false_{CUSTOMER}_3A{number}", "body": str(number)}))

    def agent() -> None:
        for number in range(15):
            hear(slack_reply(conversation, str(number)))

    def relay() -> None:
        for _ in range(60):
            for post in relaying.lease(5, LEASE, LEASE):
                if relaying.begin(post, CALL):
                    relaying.record_posted(post, "1700000005.000001")

    together(customer, agent, relay, relay)

    assert sorted(world.sql("SELECT seq FROM messages")) == [(seq,) for seq in range(1, 31)]
