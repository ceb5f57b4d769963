from __future__ import annotations

import peewee

from models.base import Json, Model, OwnedByTenant, Stamp, Timestamp, Words, belongs_to, owned_by_tenant, referred_to
from models.enums import ActionKind, DesiredState, Engine, ServerState, SessionStatus


class WahaServer(Model):
    """A WAHA server of the settings, and what was last seen of it."""

    name = peewee.TextField()
    state = Words(ServerState, default=ServerState.UNKNOWN)
    error_message = peewee.TextField(null=True)
    version = peewee.TextField(null=True)
    engine = peewee.TextField(null=True)
    start_timestamp = peewee.BigIntegerField(null=True)
    webhook_hmac_key = peewee.TextField(null=True)
    observed_at = Timestamp(null=True)
    state_changed_at = Timestamp(null=True)
    announced_state = peewee.TextField(null=True)
    poll_lease_token = peewee.UUIDField(null=True)
    poll_lease_expires_at = Timestamp(null=True)
    draining_since = Timestamp(null=True)
    worker_id = peewee.TextField(null=True)
    last_webhook_at = Timestamp(null=True)
    checks_from = Timestamp(null=True)

    class Meta:
        table_name = "waha_servers"


class WahaSession(OwnedByTenant):
    """A WhatsApp account of a tenant on a WAHA server: what people want of it and what was observed."""

    external_session_id = peewee.CharField(max_length=255)
    name = peewee.CharField(max_length=40)
    status = Words(SessionStatus, default=SessionStatus.STOPPED)
    engine = Words(Engine, default=Engine.GOWS)
    metadata = Json(default=dict)
    config = Json(default=dict)
    last_activity_at = Timestamp(null=True)
    error_message = peewee.TextField(null=True)
    server = peewee.TextField()
    desired_state = Words(DesiredState, default=DesiredState.RUNNING)
    status_observed_at = Timestamp(null=True)
    status_changed_at = Timestamp(null=True)
    announced_status = peewee.TextField(null=True)
    caught_up_to = Timestamp(null=True)
    ids_refused_at = Timestamp(null=True)
    hold_until = Timestamp(null=True)
    restricted_until = Timestamp(null=True)
    control_attempts = peewee.IntegerField(default=0)
    next_control_at = Stamp()
    limits = Json(default=dict)
    restarts = peewee.IntegerField(default=0)
    restarts_on = peewee.DateField(null=True)
    gave_up_on = peewee.DateField(null=True)
    controlled_at = Timestamp(null=True)
    paced_until = Timestamp(null=True)
    wanted_since = Timestamp(null=True)

    class Meta:
        table_name = "waha_sessions"
        constraints = (owned_by_tenant(), referred_to())


class SessionCheck(Model):
    """A change of a session's status, as observed."""

    tenant_id = peewee.UUIDField()
    session_id = peewee.UUIDField()
    status = peewee.TextField()
    raw_status = peewee.TextField()
    source = peewee.TextField()
    observed_at = Timestamp()

    class Meta:
        table_name = "session_checks"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))


class WahaAction(Model):
    """Something asked of WAHA besides a message, and who asked."""

    tenant_id = peewee.UUIDField()
    session_id = peewee.UUIDField()
    kind = Words(ActionKind)
    payload = Json(default=dict)
    result = Json(null=True)
    slack_team_id = peewee.TextField(default="")
    slack_user_id = peewee.TextField(default="")
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = Stamp()
    lease_token = peewee.UUIDField(null=True)
    lease_expires_at = Timestamp(null=True)
    done_at = Timestamp(null=True)
    parked_at = Timestamp(null=True)
    error = peewee.TextField(null=True)

    class Meta:
        table_name = "waha_actions"
        constraints = (owned_by_tenant(), belongs_to("session_id", "waha_sessions"))
