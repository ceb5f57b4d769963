"""What users of WAHA complain of and happens to messages: what was done about it, and what was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.servers import Server, session_config
from models import Conversation, MessageStatus, Tenant, WahaSession
from operations.webhook_inbox import store
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from tests.operations.builders import (
    CUSTOMER,
    HIDDEN,
    World,
    acked,
    handle_webhooks,
    hear,
    said,
    slack_reply,
    take,
    webhook,
)
from waha.client import WahaClient

WRITTEN = datetime(2026, 11, 22, 9, tzinfo=UTC)


def written(at: datetime, body: str = "Where is my order?", message_id: str = "3A01", **more: Any) -> dict[str, Any]:
    payload: dict[str, Any] = said(body, message_id, **more)
    return payload | {"timestamp": int(at.timestamp())}


@pytest.mark.timeline("complaint/6")
def test_a_webhook_that_comes_again_for_a_day_and_a_half_and_by_a_second_one_is_one_message_and_one_post(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    """The session's webhook and one of the server's own, both repeated by WAHA with the time of the first try."""
    own = webhook(session, "message.any", written(WRITTEN))
    of_the_server = webhook(session, "message", written(WRITTEN))
    late = webhook(session, "message.any", written(WRITTEN + timedelta(hours=36), "Thanks!", "3A02"))

    stored = [store([own, of_the_server, own])]
    handle_webhooks()
    stored += [store([late, own]), store([own, of_the_server])]
    handle_webhooks()

    assert stored == [2, 1, 0]
    assert world.sql("SELECT body FROM messages ORDER BY created_at") == [("Where is my order?",), ("Thanks!",)]
    assert [text.partition(": ")[2] for text in world.texts()] == ["Where is my order?", "Thanks!"]


@pytest.mark.timeline("complaint/12")
def test_a_hidden_id_is_the_customer_who_has_it_and_is_answered_under_it(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    thread = world.conversation(session, HIDDEN)
    take(webhook(session, "message.any", written(WRITTEN, chat_id=HIDDEN)))
    named = world.texts()

    hear(slack_reply(thread, "It leaves today."))
    both = {"_data": {"Info": {"SenderAlt": CUSTOMER.replace("@c.us", "@s.whatsapp.net")}}}
    later = written(WRITTEN + timedelta(days=1), "Thanks!", "3A02", chat_id=HIDDEN) | both
    take(webhook(session, "message.any", later))

    outbound = "SELECT chat_id, to_msisdn FROM messages WHERE direction = 'outbound'"
    assert "7700011122" not in "".join(named)
    assert world.sql(outbound) == [(HIDDEN, None)]
    assert set(world.sql("SELECT chat_id FROM conversation_chats")) == {(HIDDEN,), (CUSTOMER,)}
    assert world.value("SELECT count(*) FROM conversations WHERE deleted_at IS NULL") == 1


@pytest.mark.timeline("complaint/17")
@pytest.mark.parametrize(
    "media",
    [
        None,
        {"url": None, "mimetype": "image/jpeg"},
        {"url": None, "mimetype": "image/jpeg", "error": {"code": 13, "details": "failed with status code 403"}},
        {"url": "http://localhost:3000/api/files/s/gone.jpeg", "mimetype": "image/jpeg"},
    ],
    ids=["not downloaded", "filtered", "WhatsApp's 403", "gone after 180 s"],
)
def test_a_file_that_cannot_be_had_keeps_no_message_away_and_the_thread_says_where_to_see_it(
    world: World, session: WahaSession, conversation: Conversation, media: dict[str, Any] | None
) -> None:
    take(webhook(session, "message.any", written(WRITTEN, "My garden", hasMedia=True, media=media)))
    take(webhook(session, "message.any", written(WRITTEN + timedelta(minutes=5), "Still there?", "3A02")))

    first, second = world.texts()
    assert "open it on the phone_\nMy garden" in first
    assert second.endswith("Still there?")
    assert world.value("SELECT count(*) FROM webhook_events WHERE error IS NOT NULL") == 0


@pytest.mark.timeline("complaint/11")
async def test_a_browser_is_told_to_tell_the_receipts_of_groups(world: World, session: WahaSession) -> None:
    whatsapp = WhatsApp()
    shop, carla = whatsapp.phone("+4930901820", name="Acme"), whatsapp.phone("+4915123456789", name="Carla")
    group = whatsapp.group("Garden", [shop, carla])
    async with SandboxWaha(whatsapp, engine="WEBJS", pace=0.01) as waha, WahaClient(waha.url, waha.api_key) as client:
        ours: Any = SimpleNamespace(session_id=session.id, config={}, external_session_id="s1")
        config = session_config(ours, Server("main", client, "http://127.0.0.1:1/hook", "key"))
        await client.create_session("s1", config, start=True)
        await waha.pair("s1", shop)
        await client.send_text("s1", group.id, "Who waters today?")
        told = [one for one in waha.journal.events("message.ack.group") if one["payload"]["ackName"] == "DEVICE"]

    assert config["webjs"] == {"tagsEventsOn": True}
    assert {one["payload"]["participant"] for one in told} == {"4915123456789@c.us"}


@pytest.mark.timeline("complaint/11")
def test_a_receipt_of_a_group_moves_the_message_and_shows(
    world: World, session: WahaSession, conversation: Conversation
) -> None:
    message = world.message(conversation, status="sent", waha_message_id="3EB0AA", sent_at=WRITTEN)

    take(webhook(session, "message.ack.group", acked(message, 2)))

    assert world.reload(message).status is MessageStatus.DELIVERED
    assert world.receipt(message) == "delivered"
