from __future__ import annotations

import peewee

from models.base import Model, Stamp, Timestamp, Words
from models.enums import Cause, Side


class CatchUp(Model):
    """Up to when a WhatsApp session or a Slack channel was read again for what had been missed."""

    side = Words(Side)
    place = peewee.TextField()
    caught_up_to = Timestamp(null=True)
    begins_at = Timestamp(null=True)
    account = peewee.TextField(null=True)
    mark = peewee.TextField(null=True)
    requested_at = Timestamp(null=True)
    requested_for = Words(Cause, null=True)
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    not_before = Timestamp(null=True)
    tried_mark = peewee.TextField(null=True)
    gap_since = Timestamp(null=True)
    gap_read_at = Timestamp(null=True)
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "catch_ups"
