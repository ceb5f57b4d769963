from __future__ import annotations

import peewee

from models.base import Json, Kept, OwnedByTenant, Timestamp, Words, belongs_to, owned_by_tenant, referred_to
from models.enums import TenantStatus, UserRole


class Tenant(Kept):
    """An organisation. Its people and channels are in one Slack workspace; null: in that of the settings."""

    name = peewee.CharField(max_length=100)
    status = Words(TenantStatus, default=TenantStatus.ACTIVE)
    description = peewee.TextField(null=True)
    settings = Json(default=dict)
    slack_team_id = peewee.TextField(null=True)

    class Meta:
        table_name = "tenants"


class User(OwnedByTenant):
    """A person inside one tenant; the same person in another tenant is another row."""

    email = peewee.CharField(max_length=255)
    password_hash = peewee.CharField(max_length=255, null=True)
    first_name = peewee.CharField(max_length=50, default="")
    last_name = peewee.CharField(max_length=50, default="")
    role = Words(UserRole)
    is_active = peewee.BooleanField(default=True)
    last_login_at = Timestamp(null=True)
    failed_logins = peewee.IntegerField(default=0)
    locked_until = Timestamp(null=True)
    preferences = Json(default=dict)

    class Meta:
        table_name = "users"
        constraints = (owned_by_tenant(), referred_to())


class SlackIdentity(OwnedByTenant):
    """Which user of a tenant a Slack user is."""

    user_id = peewee.UUIDField()
    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()

    class Meta:
        table_name = "slack_identities"
        constraints = (owned_by_tenant(), belongs_to("user_id", "users"))
