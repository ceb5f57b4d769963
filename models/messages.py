from __future__ import annotations

import peewee

from models.base import Json, OwnedByTenant, Stamp, Timestamp, Words, belongs_to, owned_by_tenant, referred_to
from models.enums import Direction, MessageStatus


class Message(OwnedByTenant):
    """A WhatsApp message in either direction. `docs/states.md` draws its life."""

    session_id = peewee.UUIDField()
    conversation_id = peewee.UUIDField(null=True)
    seq = peewee.BigIntegerField(null=True)
    direction = Words(Direction)
    to_msisdn = peewee.CharField(max_length=20, null=True)
    from_msisdn = peewee.CharField(max_length=20, null=True)
    chat_id = peewee.TextField(null=True)
    body = peewee.TextField(default="")
    status = Words(MessageStatus, default=MessageStatus.QUEUED)
    waha_message_id = peewee.CharField(max_length=255, null=True)
    raw_payload = Json(null=True)
    message_type = peewee.CharField(max_length=50, default="text")
    media_url = peewee.CharField(max_length=500, null=True)
    metadata = Json(default=dict)
    error_message = peewee.TextField(null=True)
    sent_at = Timestamp(null=True)
    delivered_at = Timestamp(null=True)
    read_at = Timestamp(null=True)
    slack_team_id = peewee.TextField(null=True)
    slack_channel_id = peewee.TextField(null=True)
    slack_ts = peewee.TextField(null=True)
    slack_part = peewee.IntegerField(null=True)
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)
    send_started_at = Timestamp(null=True)
    blocks_since = Timestamp(null=True)
    parked_at = Timestamp(null=True)
    hold_reason = peewee.TextField(null=True)
    replay_of = peewee.UUIDField(null=True)
    confirmed_at = Timestamp(null=True)
    id_confirmed = peewee.BooleanField(default=False)
    awaits_ack_since = Timestamp(null=True)
    resent_at = Timestamp(null=True)
    promised_for = Timestamp(null=True)

    class Meta:
        table_name = "messages"
        constraints = (
            owned_by_tenant(),
            referred_to(),
            belongs_to("session_id", "waha_sessions"),
            belongs_to("conversation_id", "conversations"),
            belongs_to("replay_of", "messages"),
        )
