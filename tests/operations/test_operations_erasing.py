"""A customer is erased: all of them, nobody else, once, and for good."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from database import tenant_transaction
from models import Tenant, WahaSession
from operations import customers, erasing, made_files, webhook_inbox
from operations.customer_export import promised
from operations.erasing import Extent
from operations.errors import BadInput, Conflict, NotFound
from tests.operations.builders import (
    ANA,
    CUSTOMER,
    HIDDEN,
    HOUSE,
    SUPPORT,
    World,
    handle_webhooks,
    said,
    take,
    together,
    webhook,
)
from tests.operations.erasures import (
    GROUP,
    NUMBER,
    SECRET,
    TEXTS,
    begin_thread,
    erase,
    find,
    wrote,
)


def exported(tenant: Tenant, typed: str = NUMBER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made_files.content(promised(find(tenant, typed)), tenant.id))
    return found


@pytest.fixture
def thread(world: World, tenant: Tenant, session: WahaSession) -> UUID:
    return begin_thread(world, tenant, session)


@pytest.mark.usefixtures("thread")
def test_nothing_of_the_customer_is_left_but_a_fingerprint_and_the_entry(world: World, tenant: Tenant) -> None:
    reached = erase(tenant)

    assert reached == Extent(contacts=1, conversations=1, messages=2, unsent=0, threads=1)
    for left in (SECRET, "23456789", "7700011122", "Berta"):
        assert world.value(TEXTS, left) == 0
    assert world.sql("SELECT action, after->>'messages' FROM audit_entries WHERE action = 'contact.erase'") == [
        ("contact.erase", "2")
    ]
    assert world.value("SELECT count(*) FROM erasures") == 2


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("typed", [NUMBER, CUSTOMER, HIDDEN, "berta"])
def test_a_customer_is_found_by_each_of_their_names(typed: str, tenant: Tenant) -> None:
    assert find(tenant, typed) == find(tenant)


@pytest.mark.usefixtures("thread")
def test_another_tenants_customer_of_the_same_number_stays(world: World, tenant: Tenant) -> None:
    other = world.tenant("Globex")
    world.route(other, "CGLOBEX")
    take(wrote(world.session(other, "globex"), "Hello Globex"))
    before = exported(other)

    erase(tenant)

    after = exported(other)
    assert after | {"made_at": ""} == before | {"made_at": ""}
    assert after["conversations"][0]["messages"][0]["body"] == "Hello Globex"
    with pytest.raises(NotFound, match="Nothing is kept here about"):
        find(tenant)


@pytest.mark.usefixtures("thread")
def test_another_customer_of_the_tenant_stays(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(webhook(session, "message.any", said("Me too", chat_id="4915100000001@c.us")))

    erase(tenant)

    assert world.sql("SELECT body FROM messages") == [("Me too",)]
    assert world.value("SELECT count(*) FROM webhook_events WHERE body <> ''") == 1


@pytest.mark.usefixtures("thread")
def test_older_messages_stay_away_when_they_are_told_again(world: World, tenant: Tenant, session: WahaSession) -> None:
    erase(tenant)

    take(wrote(session, SECRET), wrote(session, SECRET, chat_id=HIDDEN))
    take(webhook(session, "message.any", said(SECRET, from_me=True)))

    assert world.value(TEXTS, SECRET) == 0
    assert world.sql("SELECT count(*) FROM conversations") == [(0,)]
    assert world.sql("SELECT DISTINCT processed_at IS NULL FROM webhook_events") == [(False,)]


@pytest.mark.usefixtures("thread")
def test_what_becomes_of_an_old_message_is_emptied_too(world: World, tenant: Tenant, session: WahaSession) -> None:
    erase(tenant)

    edit = said(f"{SECRET} Very.", editedMessageId="3AOLD")
    reaction = said("", reaction={"text": "👍", "messageId": f"false_{CUSTOMER}_3AOLD"})
    revoked = {"before": said(SECRET, "3AOLD"), "revokedMessageId": "3AOLD"}
    take(webhook(session, "message.edited", edit), webhook(session, "message.reaction", reaction))
    take(webhook(session, "message.revoked", revoked))
    world.sql("UPDATE webhook_events SET created_at = now() - interval '2 minutes'")
    world.make_all_due()
    handle_webhooks()

    assert world.sql("SELECT DISTINCT body = '', processed_at IS NOT NULL FROM webhook_events") == [(True, True)]


@pytest.mark.usefixtures("thread")
def test_what_the_customer_writes_later_begins_anew(world: World, tenant: Tenant, session: WahaSession) -> None:
    erase(tenant)

    take(wrote(session, "Hello again", timestamp=int(time.time()) + 60))

    assert world.sql("SELECT m.body, c.name FROM messages m, contacts c") == [("Hello again", "Berta")]


@pytest.mark.usefixtures("thread")
def test_what_arrived_and_was_not_handled_yet_is_never_shown(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    webhook_inbox.store([wrote(session, SECRET)])

    erase(tenant)
    handle_webhooks()

    assert world.value(TEXTS, SECRET) == 0
    assert world.value("SELECT count(*) FROM messages") == 0


@pytest.mark.usefixtures("thread")
def test_what_they_wrote_in_a_group_goes_and_the_others_words_stay(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.sql("UPDATE waha_sessions SET metadata = '{}'")
    take(
        webhook(session, "message.any", said(SECRET, chat_id=GROUP, participant=CUSTOMER)),
        webhook(session, "message.any", said("Get well", chat_id=GROUP, participant="4915100000001@c.us")),
    )

    reached = erase(tenant)

    assert reached.messages == 3
    assert world.sql("SELECT body FROM messages") == [("Get well",)]
    assert world.value(TEXTS, SECRET) == 0


def test_deletions_in_slack_are_ordered_once_and_no_row_of_the_customer_holds_them(
    world: World, tenant: Tenant, thread: UUID
) -> None:
    shown = world.value("SELECT slack_thread_ts FROM conversations WHERE id = %s", thread)

    erase(tenant)

    assert world.sql("SELECT kind, slack_channel_id, payload->>'ts', conversation_id FROM slack_posts") == [
        ("delete", SUPPORT, shown, None)
    ]


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize(
    ("under_way", "why"),
    [
        ("UPDATE conversations SET send_lease_expires_at = now() + interval '1 minute'", "on its way"),
        (
            "UPDATE messages SET status = 'queued', send_started_at = now() WHERE direction = 'outbound'",
            "a message to this customer is on its way",
        ),
        ("UPDATE slack_posts SET posted_at = NULL, post_started_at = now()", "is being posted"),
        ("UPDATE slack_events SET processed_at = NULL", "a reply to this customer is being handled"),
    ],
)
def test_while_something_is_on_its_way_nothing_is_erased(
    under_way: str, why: str, world: World, tenant: Tenant
) -> None:
    world.sql(under_way)

    with pytest.raises(Conflict, match=why):
        erase(tenant)

    assert world.value("SELECT count(*) FROM messages") == 2
    assert world.value("SELECT count(*) FROM erasures") == 0


@pytest.mark.usefixtures("thread")
def test_what_waits_to_be_sent_is_not_sent_any_more(world: World, tenant: Tenant) -> None:
    world.sql("UPDATE messages SET status = 'queued' WHERE direction = 'outbound'")

    assert erase(tenant).unsent == 1

    assert world.value("SELECT count(*) FROM messages") == 0


@pytest.mark.usefixtures("thread")
def test_a_crash_before_the_commit_leaves_everything(world: World, tenant: Tenant) -> None:
    def crash() -> None:
        with tenant_transaction(tenant.id):
            erase(tenant)
            raise MemoryError

    with pytest.raises(MemoryError):
        crash()

    assert world.value("SELECT count(*) FROM messages") == 2
    assert world.value("SELECT count(*) FROM slack_posts WHERE kind = 'delete'") == 0
    assert erase(tenant).messages == 2


@pytest.mark.usefixtures("thread")
def test_a_message_that_arrives_meanwhile_waits_and_is_then_too_old(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    late = wrote(session, SECRET)

    def arrive() -> int:
        webhook_inbox.store([late])
        return webhook_inbox.process(late.lane, house=HOUSE)

    with tenant_transaction(tenant.id):
        known = customers.find(tenant.id, NUMBER)
        erasing.erase(tenant.id, known, asker=ANA, actor=ANA.key, new_id=uuid4())
        assert together(arrive) == [0]
    handle_webhooks()

    assert world.value(TEXTS, SECRET) == 0
    assert world.value("SELECT count(*) FROM webhook_events WHERE processed_at IS NULL") == 0


def test_a_group_or_a_name_of_several_is_not_guessed(world: World, tenant: Tenant, session: WahaSession) -> None:
    for chat_id in ("4915100000001@c.us", "4915100000002@c.us"):
        take(webhook(session, "message.any", said("Hi", chat_id=chat_id, _data={"Info": {"PushName": "Cem"}})))

    with pytest.raises(BadInput, match="no person"):
        find(tenant, GROUP)
    with pytest.raises(BadInput, match=r"Several customers are called `Cem`: \+4915•+001, \+4915•+002"):
        find(tenant, "Cem")


@pytest.mark.usefixtures("thread")
def test_an_export_tells_all_of_it_in_order(tenant: Tenant) -> None:
    found = exported(tenant)

    assert [(one["direction"], one["body"]) for one in found["conversations"][0]["messages"]] == [
        ("inbound", SECRET),
        ("outbound", f"About this: {SECRET}"),
    ]
    assert (found["contacts"][0]["name"], found["contacts"][0]["msisdn"]) == ("Berta", "4915123456789")
    assert found["chat_ids"] == sorted([CUSTOMER, HIDDEN])
    assert found["messages_in_groups"] == []


@pytest.mark.usefixtures("thread")
def test_an_export_that_is_made_after_the_erasure_holds_nothing(tenant: Tenant) -> None:
    promise = promised(find(tenant))

    erase(tenant)

    made = json.loads(made_files.content(promise, tenant.id))
    assert (made["contacts"], made["conversations"], made["chat_ids"]) == ([], [], [])
