"""A customer who is known and is erased, as the tests of erasures need them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from database import tenant_transaction
from models import Conversation, Tenant, WahaSession
from operations import customers, erasing
from operations.customers import Known
from operations.erasing import Extent
from tests.operations.builders import (
    ANA,
    CUSTOMER,
    HIDDEN,
    World,
    also_known_as,
    hear,
    said,
    slack_reply,
    take,
    webhook,
)

NUMBER = "+49 151 23456789"
GROUP = "12036304@g.us"
SECRET = "I am ill."
TEXTS = """
SELECT count(*) FROM (
    SELECT c::text FROM contacts c UNION ALL SELECT v::text FROM conversations v
    UNION ALL SELECT h::text FROM conversation_chats h UNION ALL SELECT m::text FROM messages m
    UNION ALL SELECT p.payload::text FROM slack_posts p UNION ALL SELECT a::text FROM audit_entries a
    UNION ALL SELECT convert_from(w.body, 'UTF8') FROM webhook_events w
    UNION ALL SELECT convert_from(s.body, 'UTF8') FROM slack_events s
    UNION ALL SELECT e::text FROM erasures e
) AS everything (text) WHERE text ~ %s
"""


def find(tenant: Tenant, typed: str = NUMBER) -> Known:
    with tenant_transaction(tenant.id):
        return customers.find(tenant.id, typed)


def erase(tenant: Tenant, typed: str = NUMBER) -> Extent:
    with tenant_transaction(tenant.id):
        known = customers.find(tenant.id, typed)
        return erasing.erase(tenant.id, known, asker=ANA, actor=ANA.key, new_id=uuid4())


def wrote(session: WahaSession, text: str, chat_id: str = CUSTOMER, **more: Any) -> Any:
    return webhook(session, "message.any", said(text, chat_id=chat_id, **also_known_as(HIDDEN) | more))


def show_everything(world: World) -> None:
    """As if the relay had posted what is queued."""
    world.sql(
        "UPDATE slack_posts SET posted_at = now(), slack_ts = '1700000009.' || lpad(seq::text, 6, '0') "
        "WHERE posted_at IS NULL AND kind = 'post'"
    )
    world.sql(
        "UPDATE conversations c SET slack_thread_ts = p.slack_ts FROM slack_posts p "
        "WHERE p.conversation_id = c.id AND p.payload ? 'root' AND c.slack_thread_ts IS NULL"
    )


def begin_thread(world: World, tenant: Tenant, session: WahaSession) -> UUID:
    """A customer with both names who wrote and was answered; nothing is on its way."""
    world.user(tenant)
    world.route(tenant)
    take(wrote(session, SECRET))
    show_everything(world)
    [(conversation_id,)] = world.sql("SELECT id FROM conversations WHERE tenant_id = %s", tenant.id)
    with tenant_transaction(tenant.id):
        conversation = Conversation.get_by_id(conversation_id)
    hear(slack_reply(conversation, f"About this: {SECRET}"))
    world.sql("UPDATE messages SET status = 'delivered' WHERE direction = 'outbound'")
    found: UUID = conversation_id
    return found
