"""Events in any order, again, under both names of a customer, and handled by two daemons at once: one thread."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models import Conversation, Tenant, WahaSession
from operations.lanes import MOST_ATTEMPTS
from operations.webhook_inbox import NewWebhook, due_lanes, process, store
from tests.operations.builders import (
    CUSTOMER,
    HIDDEN,
    HOUSE,
    World,
    also_known_as,
    handle_webhooks,
    said,
    take,
    together,
    webhook,
)

WRITTEN_AT = 1767000000
_numbers = itertools.count(1)


def wrote(session: WahaSession, body: str, message_id: str = "", chat_id: str = CUSTOMER, **more: Any) -> NewWebhook:
    return webhook(session, "message.any", said(body, message_id, chat_id, **more))


def edited(session: WahaSession, body: str, original: str, **more: Any) -> NewWebhook:
    return webhook(
        session, "message.edited", said(body, f"E{original}{body[-1]}") | {"editedMessageId": original} | more
    )


def revoked(session: WahaSession, original: str) -> NewWebhook:
    return webhook(session, "message.revoked", {"before": said("", original), "revokedMessageId": original})


def reacted(session: WahaSession, target: str, chat_id: str = CUSTOMER) -> NewWebhook:
    reaction = {"text": "👍", "messageId": f"false_{chat_id}_{target}"}
    return webhook(session, "message.reaction", said("", f"R{target}", chat_id) | {"reaction": reaction})


def acked(session: WahaSession, message_id: str, ack: int) -> NewWebhook:
    return webhook(session, "message.ack", {"id": f"true_{CUSTOMER}_{message_id}", "fromMe": True, "ack": ack})


def come_back(world: World) -> None:
    """As if the pause of everything that waits were over, again until no more of it can be handled."""
    before = -1
    while before != (before := still_open(world)):
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")
        handle_webhooks()


def give_up_waiting(world: World) -> None:
    """As if what waits for a message had waited for a minute."""
    world.sql("UPDATE webhook_events SET created_at = now() - interval '61 seconds'")
    come_back(world)


def still_open(world: World) -> int:
    found: int = world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL")
    return found


def test_a_receipt_before_its_message_is_applied_when_that_comes(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(acked(session, "PHONE1", 3), acked(session, "PHONE1", 2))
    early = still_open(world)

    take(wrote(session, "From my phone", "PHONE1", from_me=True))

    assert early == 2
    assert world.sql("SELECT status, read_at IS NOT NULL FROM messages") == [("delivered", True)]
    assert still_open(world) == 0


def test_an_edit_before_its_original_is_said_behind_it_once(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    edit = edited(session, "At five", "3A01")

    take(edit, edited(session, "At five", "3A01"))
    early = world.texts()
    take(wrote(session, "At four", "3A01"), wrote(session, "Is that fine?"))

    assert early == []
    texts = world.texts()
    assert Counter(text.rsplit("\n")[-1] for text in texts)["At five"] == 1
    assert texts[0].endswith("At four")
    assert world.value("SELECT metadata->>'edited_body' FROM messages WHERE waha_message_id = '3A01'") == "At five"


def test_an_edit_that_was_written_before_the_present_text_changes_nothing(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "At four", "3A01"), edited(session, "At six", "3A01", timestamp=WRITTEN_AT + 20))

    take(edited(session, "At five", "3A01", timestamp=WRITTEN_AT + 10))

    assert world.value("SELECT metadata->>'edited_body' FROM messages") == "At six"
    assert not any("At five" in text for text in world.texts())


def test_a_deletion_before_its_original_is_said_behind_it(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(revoked(session, "3A01"))
    early = world.texts()
    take(wrote(session, "At four", "3A01"))

    assert early == []
    assert world.texts() == ["*+4915••••••789*: At four", "_The customer deleted a message on WhatsApp: “At four”_"]


def test_a_customers_two_names_do_not_overtake_each_other(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "Hello", **also_known_as(HIDDEN)))
    one, two, three = wrote(session, "1", chat_id=HIDDEN), wrote(session, "2"), wrote(session, "3", chat_id=HIDDEN)
    store([one, two, three])

    process(two.lane, house=HOUSE)
    process(one.lane, house=HOUSE)
    come_back(world)

    assert [text[-1] for text in world.texts()] == ["o", "1", "2", "3"]


def test_a_reaction_is_said_once_whatever_names_it_comes_under(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "At four", "3A01", **also_known_as(HIDDEN)))

    take(reacted(session, "3A01"), reacted(session, "3A01", HIDDEN), reacted(session, "3A01"))

    assert world.texts()[1:] == ["_The customer reacted 👍 to “At four”_"]


def test_what_is_about_a_message_that_never_comes_is_said_after_a_minute(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(
        reacted(session, "OLD1"),
        edited(session, "At five", "OLD2"),
        revoked(session, "OLD3"),
        acked(session, "OLD4", 2),
    )
    early = world.texts()
    give_up_waiting(world)

    assert early == []
    assert sorted(world.texts()) == [
        "_The customer deleted a message on WhatsApp_",
        "_The customer edited a message; it reads now:_\nAt five",
        "_The customer reacted 👍_",
    ]
    assert still_open(world) == 0


def test_what_waits_for_a_message_holds_up_no_other(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(reacted(session, "OLD1"), wrote(session, "1"), edited(session, "x", "OLD2"), wrote(session, "2"))

    assert [text[-1] for text in world.texts()] == ["1", "2"]
    assert world.value("SELECT max(attempts) FROM webhook_events") == 0


def test_what_is_about_an_id_that_no_index_takes_holds_up_no_other(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    overlong = "".join(str(uuid4()) for _ in range(300))
    take(edited(session, "x", overlong), wrote(session, "1"))

    give_up_waiting(world)

    assert world.texts()[0].endswith("1")
    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL AND parked_at IS NULL") == 0


def test_a_customer_known_by_one_id_is_completed_by_the_other(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant)
    take(wrote(session, "Hi", "3A01"))

    take(wrote(session, "Hi", "3A01", HIDDEN), wrote(session, "Again", "3A02", HIDDEN))

    assert world.sql("SELECT msisdn, lid FROM contacts") == [("4915123456789", HIDDEN)]
    assert world.value("SELECT count(*) FROM conversations") == 1
    assert len(world.texts()) == 3, "a card and two messages"


def test_a_customer_whom_we_wrote_to_first_has_a_name_once_they_tell_it(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant)
    take(wrote(session, "Are you there?", "PHONE1", from_me=True))

    take(wrote(session, "Yes", **also_known_as(HIDDEN)))

    assert world.sql("SELECT name, msisdn, lid FROM contacts") == [("Berta", "4915123456789", HIDDEN)]


def test_two_customers_who_prove_to_be_one_are_one_contact(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.route(tenant)
    take(wrote(session, "Hi", "3A01"), wrote(session, "Hello", "3A02", HIDDEN))

    take(wrote(session, "Hello", "3A02"))

    assert world.sql("SELECT msisdn, lid FROM contacts WHERE deleted_at IS NULL") == [("4915123456789", HIDDEN)]
    assert world.value("SELECT count(*) FROM conversations WHERE deleted_at IS NULL") == 1


def test_replies_of_two_threads_that_prove_to_be_one_customers_leave_in_order(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    older, younger = world.conversation(session, CUSTOMER), world.conversation(session, HIDDEN)
    first, second, third = world.message(older, "1"), world.message(younger, "2"), world.message(younger, "3")

    take(wrote(session, "Hi", **also_known_as(HIDDEN)))

    queue = world.sql(
        "SELECT body FROM messages WHERE conversation_id = %s AND status = 'queued' ORDER BY seq", older.id
    )
    assert [body for (body,) in queue] == [first.body, second.body, third.body]


def test_what_a_customer_writes_under_two_chat_ids_stays_in_the_order_in_which_it_came(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "0", **also_known_as(HIDDEN)))
    chats = [HIDDEN, CUSTOMER, CUSTOMER, HIDDEN, CUSTOMER, HIDDEN, HIDDEN]
    store([wrote(session, str(number), chat_id=chat) for number, chat in enumerate(chats, start=1)])
    lane_of_customer, lane_of_hidden = sorted(due_lanes(10))

    for lane in [lane_of_customer, lane_of_hidden] * len(chats):
        process(lane, house=HOUSE)
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")

    assert [text[-1] for text in world.texts()] == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert world.value("SELECT max(attempts) FROM webhook_events") == 0


def test_a_customers_two_lanes_take_turns_without_a_pause(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "0", **also_known_as(HIDDEN)))
    store([wrote(session, str(number), chat_id=(CUSTOMER, HIDDEN)[number % 2]) for number in range(1, 9)])

    while still_open(world):
        due = due_lanes(10)
        assert due, "both lanes wait for a pause to end"
        for lane in due:
            process(lane, house=HOUSE)

    assert [text[-1] for text in world.texts()] == list("012345678")


@pytest.mark.parametrize(("seconds", "is_late"), [(-60, True), (-3, True), (-2, False), (0, False), (5, False)])
def test_a_message_that_was_written_before_the_one_above_it_is_marked_late(
    world: World, session: WahaSession, conversation: Conversation, *, seconds: int, is_late: bool
) -> None:
    at = WRITTEN_AT + seconds
    take(wrote(session, "first", timestamp=WRITTEN_AT), wrote(session, "second", timestamp=at))

    second = world.texts()[1]
    assert second.startswith(f"_⏱ written <!date^{at}^") is is_late
    assert second.endswith("second")
    assert world.sql("SELECT metadata->'late' FROM messages WHERE body = 'second'") == [(True if is_late else None,)]


def test_a_message_of_the_far_future_makes_none_behind_it_late(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "odd", timestamp=4_000_000_000), wrote(session, "second", timestamp=WRITTEN_AT))

    assert world.texts()[1].startswith("*")


def test_what_is_read_from_the_history_is_not_marked_late(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    take(wrote(session, "first", timestamp=WRITTEN_AT))

    take(webhook(session, "message.any", said("recovered", timestamp=WRITTEN_AT - 60), id="history_false_3A07"))

    assert world.texts()[1] == "*+4915••••••789*: recovered"


def everything(session: WahaSession) -> list[NewWebhook]:
    """What WAHA tells of one chat, in the order in which it happened; some of it twice by itself."""
    berta, hidden = also_known_as(HIDDEN), also_known_as(CUSTOMER)
    return [
        wrote(session, "Hi", "3A01", **berta),
        webhook(session, "message", said("Hi", "3A01", **berta)),
        wrote(session, "Hi", "3A01", HIDDEN, **hidden),
        wrote(session, "At four?", "3A02", **berta),
        edited(session, "At five?", "3A02"),
        wrote(session, "Yes", "PHONE1", from_me=True, **berta),
        acked(session, "PHONE1", 2),
        acked(session, "PHONE1", 3),
        reacted(session, "3A01"),
        reacted(session, "3A01", HIDDEN),
        wrote(session, "Wrong chat", "3A03", HIDDEN, **hidden),
        revoked(session, "3A03"),
    ]


def outcome(world: World, session: WahaSession, channel: str) -> tuple[Any, ...]:
    rows = world.sql(
        "SELECT waha_message_id, direction, status, body, read_at IS NOT NULL, metadata->>'edited_body', "
        "metadata->'revoked', metadata->'late' FROM messages WHERE session_id = %s ORDER BY waha_message_id",
        session.id,
    )
    contacts = world.sql("SELECT name, msisdn, lid FROM contacts WHERE tenant_id = %s", session.tenant_id)
    return rows, contacts, Counter(world.texts(channel)), still_open(world)


def place(world: World) -> tuple[WahaSession, str]:
    """A tenant for one example alone, to whom a customer has written once."""
    number = next(_numbers)
    world.sql("DELETE FROM webhook_events")
    tenant, channel = world.tenant(f"Tenant {number}"), f"C{number}"
    world.route(tenant, channel)
    session = world.session(tenant)
    take(wrote(session, "Good day", "3A00", **also_known_as(HIDDEN)))
    return session, channel


def in_pieces(events: list[NewWebhook], cuts: list[int]) -> None:
    for start, end in itertools.pairwise(sorted({0, *cuts, len(events)})):
        take(*events[start:end])


def test_any_order_and_repetition_gives_the_same_thread(world: World) -> None:
    session, channel = place(world)
    take(*everything(session))
    come_back(world)
    expected = outcome(world, session, channel)
    numbers = range(len(everything(session)))

    @settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(
        order=st.permutations(numbers),
        again=st.lists(st.sampled_from(numbers), max_size=6),
        cuts=st.lists(st.sampled_from(numbers), max_size=3),
    )
    def check(order: list[int], again: list[int], cuts: list[int]) -> None:
        session, channel = place(world)
        events = everything(session)
        in_pieces([events[number] for number in [*order, *again]], cuts)
        come_back(world)

        assert outcome(world, session, channel) == expected

    check()


def test_two_daemons_at_the_same_moment_give_the_same_thread(world: World) -> None:
    session, channel = place(world)
    take(*everything(session))
    come_back(world)
    expected = outcome(world, session, channel)

    def work() -> None:
        while lanes := due_lanes(10):
            for lane in lanes:
                process(lane, house=HOUSE)

    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(len(everything(session)))))
    def check(order: list[int]) -> None:
        session, channel = place(world)
        events = everything(session)
        store([events[number] for number in order])
        together(work, work)
        come_back(world)

        assert outcome(world, session, channel) == expected

    check()


def test_ten_thousand_behind_a_poisoned_one_go_on(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    store([wrote(session, "poison", message_id="nul\x00id")])
    [lane] = due_lanes(10)
    for _ in range(MOST_ATTEMPTS):
        process(lane, house=HOUSE)
        world.sql("UPDATE webhook_events SET next_attempt_at = now()")
    store([wrote(session, str(number)) for number in range(300)])
    world.sql(
        "INSERT INTO webhook_events (id, server, session, event_id, event_name, lane, body) "
        "SELECT gen_random_uuid(), 'main', %s, 'more' || n, 'engine.event', %s, %s FROM generate_series(1, 9700) n",
        session.external_session_id,
        lane,
        webhook(session, "engine.event", {}).body,
    )

    while process(lane, house=HOUSE, most=500):
        pass

    assert world.sql("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL") == [(1,)]
    assert len(world.texts()) == 300
