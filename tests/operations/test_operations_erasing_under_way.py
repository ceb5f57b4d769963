"""An erasure while the relay, the inboxes or a workspace are at it: no words stay, and nobody else's go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

import pytest

from database import connection, database, set_tenant, tenant_transaction, transaction
from models import Conversation, Tenant, WahaSession, uuid7
from operations import customers, erasing, relaying, replies, slack_inbox, webhook_inbox, workspaces
from operations.errors import Conflict
from operations.queueing import start
from operations.slack_events import incoming
from operations.slack_inbox import Answer, Teller
from operations.sql import value
from operations.workspaces import Place, Tokens
from tests.operations.builders import (
    ANA,
    CUSTOMER,
    TEAM,
    World,
    beside,
    handle_webhooks,
    hear,
    said,
    slack_reply,
    take,
    webhook,
)
from tests.operations.erasures import GROUP, NUMBER, SECRET, TEXTS, begin_thread, erase

R = TypeVar("R")

OTHER = "4915100000001@c.us"
WAITING = "SELECT kind FROM slack_posts WHERE posted_at IS NULL AND parked_at IS NULL"


@pytest.fixture(autouse=True)
def thread(world: World, tenant: Tenant, session: WahaSession) -> UUID:
    world.sql("UPDATE waha_sessions SET metadata = '{}'")
    return begin_thread(world, tenant, session)


def connect() -> int:
    place = Place(TEAM, "Example", "U0BOT", "B0BOT")
    with transaction():
        return workspaces.connect(place, Tokens("xoxb-1"), workspace_id=uuid7(), actor=ANA.key)


def test_deletions_wait_for_their_workspace_however_long_it_is_gone(world: World, tenant: Tenant) -> None:
    connect()
    erase(tenant)
    workspaces.lost(TEAM, "account_inactive")
    world.sql("UPDATE slack_posts SET created_at = now() - interval '25 hours'")

    assert connect() == 1

    assert world.sql(WAITING) == [("delete",)]


def test_other_tokens_for_a_workspace_that_is_served_park_nothing(world: World) -> None:
    connect()
    world.sql("UPDATE slack_posts SET posted_at = NULL, conversation_id = NULL")
    world.sql("UPDATE slack_posts SET created_at = now() - interval '25 hours'")

    assert connect() == world.value("SELECT count(*) FROM slack_posts")


@pytest.mark.parametrize("chat", [{}, {"chat_id": GROUP, "participant": CUSTOMER}], ids=["their own chat", "a group"])
def test_a_post_that_was_leased_before_does_not_begin_meanwhile(
    chat: dict[str, Any], world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(webhook(session, "message.any", said("Hello group", chat_id=GROUP, participant=OTHER)))
    world.sql("UPDATE slack_posts SET posted_at = now() WHERE posted_at IS NULL")
    take(webhook(session, "message.any", said("Second words", **chat)))
    posts = relaying.lease(5, timedelta(minutes=1), timedelta(minutes=1))
    [post] = [one for one in posts if "Second words" in str(one.payload)]

    with transaction():  # what the erasure is to empty at its end is held here
        database.execute_sql("SELECT 1 FROM slack_events FOR UPDATE")
        erased = beside(lambda: erase(tenant))
        began = waiting_for(erased, lambda: relaying.begin(post, timedelta(seconds=10)))

    assert erased.result(10).messages == 3
    assert began.result(10) is False
    assert world.value(TEXTS, "Second words") == 0


def waiting_for(other: Future[Any], call: Callable[[], R]) -> Future[R]:
    """Begin a call that is stopped by what another one holds, which itself still waits."""
    running: Future[R] = Future()

    def run() -> None:
        try:
            with connection():
                running.set_result(call())
        except BaseException as error:  # noqa: BLE001 - `result()` raises it in the test's own thread
            running.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    deadline = time.monotonic() + 10
    while value("SELECT count(*) FROM pg_locks WHERE NOT granted") < 2:
        assert not running.done(), "It waited for nothing."
        assert not other.done(), "The other one waits no longer."
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return running


def test_a_post_about_a_group_message_that_is_being_made_refuses_the_erasure(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(webhook(session, "message.any", said("Second words", chat_id=GROUP, participant=CUSTOMER)))
    world.sql("UPDATE slack_posts SET post_started_at = now() WHERE posted_at IS NULL AND kind = 'post'")

    with pytest.raises(Conflict, match="is being posted"):
        erase(tenant)


def test_what_others_of_a_group_write_about_the_customer_is_not_lost(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(webhook(session, "message.any", said("Hello group", chat_id=GROUP, participant=CUSTOMER)))
    webhook_inbox.store(
        [
            webhook(session, "message.any", said("Ask @4915123456789", chat_id=GROUP, participant=OTHER)),
            webhook(session, "message.any", said(SECRET, chat_id=GROUP, participant=CUSTOMER)),
        ]
    )

    erase(tenant)
    handle_webhooks()

    assert world.sql("SELECT body FROM messages") == [("Ask @4915123456789",)]
    assert world.value(TEXTS, SECRET) == 0


def test_who_replies_while_the_customer_is_erased_is_told(world: World, tenant: Tenant, thread: UUID) -> None:
    with tenant_transaction(tenant.id):
        conversation = Conversation.get_by_id(thread)
    late = slack_reply(conversation, "How are you?")

    with tenant_transaction(tenant.id):
        known = customers.find(tenant.id, NUMBER)
        erasing.erase(tenant.id, known, asker=ANA, actor=ANA.key, new_id=uuid7())
        heard = beside(lambda: hear(late))
    heard.result(10)
    assert world.sql("SELECT attempts, error FROM slack_events WHERE processed_at IS NULL") == [
        (0, "The conversation is gone.")
    ]
    world.sql("UPDATE slack_events SET next_attempt_at = now() WHERE processed_at IS NULL")
    hear(slack_reply(conversation, "And now?"), slack_reply(conversation, "// It seems they left."))

    assert world.privately() == [replies.ERASED] * 2
    assert world.value("SELECT count(*) FROM messages") == 0


def sends(world: World, session: WahaSession) -> UUID:
    """Ana writes to the customer by a command, and it was answered; returns the row in which it arrived."""
    body = {"command": "/wa", "text": f"send {NUMBER} {SECRET}", "team_id": TEAM, "user_id": ANA.user_id}
    row = incoming({**body, "channel_id": "C1", "trigger_id": f"1.{uuid7().hex}"})
    assert row is not None
    slack_inbox.store(row)

    def send() -> Answer:
        set_tenant(session.tenant_id)
        start(session, chat_id=CUSTOMER, body=SECRET, message_id=uuid5(row.id, "message"), writer_id=ANA.user_id)
        return Answer(f"Sent: {SECRET}")

    slack_inbox.answer(row.id, send, Teller(uuid7(), timedelta(minutes=1)))
    slack_inbox.answered(row.id)
    world.sql("UPDATE messages SET status = 'delivered'")
    world.sql("UPDATE slack_posts SET posted_at = now() WHERE posted_at IS NULL")
    return row.id


KEPT = "SELECT convert_from(body, 'UTF8'), answer->>'text', tenant_id FROM slack_events WHERE id = %s"


def test_the_command_that_wrote_to_the_customer_is_emptied(world: World, tenant: Tenant, session: WahaSession) -> None:
    command_id = sends(world, session)

    erase(tenant)

    assert world.sql(KEPT, command_id) == [('{"event": {}}', "", tenant.id)]


def test_no_tenant_empties_what_was_asked_for_another(world: World, tenant: Tenant, session: WahaSession) -> None:
    command_id = sends(world, session)
    before = world.sql(KEPT, command_id)

    with tenant_transaction(world.tenant("Globex").id):
        assert value("SELECT empty_slack_events(%s::text[], %s::uuid[])", ([], [command_id])) == 0

    assert world.sql(KEPT, command_id) == before
