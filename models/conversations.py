from __future__ import annotations

import peewee

from models.base import Json, Model, OwnedByTenant, Timestamp, Words, belongs_to, owned_by_tenant, referred_to
from models.enums import ConversationState, RoutePurpose


class Contact(OwnedByTenant):
    """A customer of a tenant, by phone number or by WhatsApp's hidden id (lid), often only later by both."""

    name = peewee.TextField(default="")
    msisdn = peewee.CharField(max_length=20, null=True)
    lid = peewee.TextField(null=True)
    metadata = Json(default=dict)

    class Meta:
        table_name = "contacts"
        constraints = (owned_by_tenant(), referred_to())


class Conversation(OwnedByTenant):
    """What one customer or group and one session say to each other: a thread in Slack."""

    session_id = peewee.UUIDField()
    contact_id = peewee.UUIDField(null=True)
    title = peewee.TextField(default="")
    state = Words(ConversationState, default=ConversationState.OPEN)
    assignee_id = peewee.UUIDField(null=True)
    slack_team_id = peewee.TextField(null=True)
    slack_channel_id = peewee.TextField(null=True)
    slack_thread_ts = peewee.TextField(null=True)
    next_message_seq = peewee.BigIntegerField(default=0)
    send_lease_token = peewee.UUIDField(null=True)
    send_lease_expires_at = Timestamp(null=True)
    last_inbound_at = Timestamp(null=True)
    newest_written_at = Timestamp(null=True)
    sends_from = Timestamp(null=True)
    begun_at = Timestamp(null=True)

    class Meta:
        table_name = "conversations"
        constraints = (
            owned_by_tenant(),
            referred_to(),
            belongs_to("session_id", "waha_sessions"),
            belongs_to("contact_id", "contacts"),
            belongs_to("assignee_id", "users", on_delete="RESTRICT"),
        )


class ConversationChat(Model):
    """A chat id of a conversation: `@lid`, `@c.us` and national number forms may all be one customer.

    `known_as` is what WhatsApp called it when it was asked at `checked_at`; None then: it knows no such number.
    """

    tenant_id = peewee.UUIDField()
    session_id = peewee.UUIDField()
    conversation_id = peewee.UUIDField()
    chat_id = peewee.TextField()
    checked_at = Timestamp(null=True)
    known_as = peewee.TextField(null=True)

    class Meta:
        table_name = "conversation_chats"
        constraints = (
            owned_by_tenant(),
            belongs_to("session_id", "waha_sessions"),
            belongs_to("conversation_id", "conversations"),
        )


class ChannelRoute(OwnedByTenant):
    """Which Slack channel is used for what. Without a session it holds for all sessions of the tenant."""

    session_id = peewee.UUIDField(null=True)
    slack_team_id = peewee.TextField()
    slack_channel_id = peewee.TextField()
    slack_channel_name = peewee.TextField(default="")
    purpose = Words(RoutePurpose)

    class Meta:
        table_name = "channel_routes"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))
