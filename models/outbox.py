from __future__ import annotations

import peewee

from models.base import Json, Model, Stamp, Timestamp, Words, belongs_to, owned_by_tenant
from models.enums import PostKind


class PostLane(Model):
    """What is posted in order: a conversation, a channel, a person, the receipts of a channel."""

    name = peewee.TextField()
    next_seq = peewee.BigIntegerField(default=1)
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)

    class Meta:
        table_name = "post_lanes"


class SlackPost(Model):
    """Something that must appear in Slack."""

    tenant_id = peewee.UUIDField(null=True)
    conversation_id = peewee.UUIDField(null=True)
    message_id = peewee.UUIDField(null=True)
    lane_id = peewee.UUIDField()
    seq = peewee.BigIntegerField()
    kind = Words(PostKind)
    slot = peewee.TextField(null=True)
    slack_team_id = peewee.TextField()
    slack_channel_id = peewee.TextField()
    thread_ts = peewee.TextField(null=True)
    payload = Json()
    slack_ts = peewee.TextField(null=True)
    file_id = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    failures = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)
    post_started_at = Timestamp(null=True)
    posted_at = Timestamp(null=True)
    parked_at = Timestamp(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "slack_posts"
        constraints = (
            owned_by_tenant(),
            belongs_to("conversation_id", "conversations"),
            belongs_to("message_id", "messages"),
            peewee.SQL("FOREIGN KEY (lane_id) REFERENCES post_lanes (id) ON DELETE CASCADE"),
        )
