"""What looking after sessions remembers: incidents, rhythms, the health of numbers, and who looks at their home."""

from __future__ import annotations

import peewee

from models.base import Json, Model, Stamp, Timestamp, Words, belongs_to, owned_by_tenant
from models.enums import HealthLevel, IncidentKind, Suspicion


class Incident(Model):
    """Trouble from its beginning to its end, told in one message.

    `done` is what was done about it, in order, as {"at": ISO time, "what": sentence}; `said` is what its message says
    by now. With `part_of` another incident tells of it. Of an incident without a tenant the operators are told. Once it
    is `closed_at`, nothing is left to be told.
    """

    tenant_id = peewee.UUIDField(null=True)
    session_id = peewee.UUIDField(null=True)
    server = peewee.TextField(null=True)
    kind = Words(IncidentKind)
    cause = peewee.TextField(default="")
    part_of = peewee.UUIDField(null=True)
    began_at = Timestamp()
    ended_at = Timestamp(null=True)
    done = Json(default=list)
    details = Json(default=dict)
    blind_from = Timestamp(null=True)
    blind_to = Timestamp(null=True)
    recovered = peewee.IntegerField(default=0)
    muted_at = Timestamp(null=True)
    muted_by = peewee.TextField(null=True)
    post_id = peewee.UUIDField(null=True)
    said = peewee.TextField(null=True)
    told_at = Timestamp(null=True)
    closed_at = Timestamp(null=True)

    class Meta:
        table_name = "incidents"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))


class SessionWatch(Model):
    """How quiet a session usually is, and what was found when it was quieter.

    `rhythm` is the longest usual silence in seconds by hour of the week in UTC: {"0": 900} is Monday, 00:00 to 00:59.
    """

    tenant_id = peewee.UUIDField()
    session_id = peewee.UUIDField()
    rhythm = Json(default=dict)
    learned_at = Timestamp(null=True)
    checked_at = Timestamp(null=True)
    suspected_at = Timestamp(null=True)
    restarted_at = Timestamp(null=True)
    canary_id = peewee.TextField(null=True)
    canary_sent_at = Timestamp(null=True)
    canary_seen_at = Timestamp(null=True)
    heard_at = Timestamp(null=True)
    next_check_at = Stamp()
    suspicion = Words(Suspicion, null=True)
    missed_from = Timestamp(null=True)
    named_at = Timestamp(null=True)
    given_up_at = Timestamp(null=True)
    canary_taken_at = Timestamp(null=True)
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)

    class Meta:
        table_name = "session_watches"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))


class NumberHealth(Model):
    """How close an account is to being restricted by WhatsApp, as last measured; shares are between 0 and 1."""

    tenant_id = peewee.UUIDField()
    session_id = peewee.UUIDField()
    level = Words(HealthLevel, default=HealthLevel.UNKNOWN)
    reasons = Json(default=list)
    new_contacts = peewee.IntegerField(default=0)
    unanswered_share = peewee.FloatField(null=True)
    ack_failure_share = peewee.FloatField(null=True)
    ack_failure_share_before = peewee.FloatField(null=True)
    restricted_until = Timestamp(null=True)
    capping = Json(null=True)
    slow_factor = peewee.FloatField(default=1.0)
    told_level = peewee.TextField(null=True)
    measured_at = Timestamp(null=True)

    class Meta:
        table_name = "number_healths"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))


class HomeView(Model):
    """Who opened the app's home in Slack, and a fingerprint of what it shows them."""

    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    opened_at = Stamp()
    checked_at = Timestamp(null=True)
    published_at = Timestamp(null=True)
    fingerprint = peewee.TextField(default="")

    class Meta:
        table_name = "home_views"


class Outage(Model):
    """A time in which Slack could not be reached, told by another way. `waited`: posts that waited at its end."""

    kind = peewee.TextField()
    reason = peewee.TextField()
    began_at = Timestamp()
    ended_at = Timestamp(null=True)
    waited = peewee.BigIntegerField(default=0)
    told_at = Timestamp(null=True)
    end_told_at = Timestamp(null=True)
    tries = peewee.IntegerField(default=0)
    next_try_at = Stamp()

    class Meta:
        table_name = "outages"
