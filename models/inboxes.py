from __future__ import annotations

import peewee

from models.base import Json, Model, Stamp, Timestamp, Words, owned_by_tenant
from models.enums import SlackEventKind

GIVEN_BY_POSTGRESQL = peewee.SQL("GENERATED ALWAYS AS IDENTITY")


class WebhookEvent(Model):
    """What WAHA posted, as it arrived. `position` is given by PostgreSQL and orders a lane."""

    position = peewee.BigIntegerField(constraints=[GIVEN_BY_POSTGRESQL])
    tenant_id = peewee.UUIDField(null=True)
    server = peewee.TextField()
    session = peewee.TextField()
    event_id = peewee.TextField()
    event_name = peewee.TextField()
    lane = peewee.TextField()
    body = peewee.BlobField()
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    processed_at = Timestamp(null=True)
    parked_at = Timestamp(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "webhook_events"
        constraints = (owned_by_tenant(),)


class SlackEvent(Model):
    """An event, command or click of Slack, as it arrived."""

    position = peewee.BigIntegerField(constraints=[GIVEN_BY_POSTGRESQL])
    tenant_id = peewee.UUIDField(null=True)
    key = peewee.TextField()
    kind = Words(SlackEventKind)
    slack_team_id = peewee.TextField()
    slack_channel_id = peewee.TextField(default="")
    slack_user_id = peewee.TextField(default="")
    lane = peewee.TextField()
    body = peewee.BlobField()
    answer = Json(null=True)
    answered_at = Timestamp(null=True)
    about = peewee.TextField(default="")
    edition = peewee.TextField(default="")
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    processed_at = Timestamp(null=True)
    parked_at = Timestamp(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "slack_events"
        constraints = (owned_by_tenant(),)
