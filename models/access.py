"""How a Slack user comes to be let in: what Slack says of them, invitations, the tenant they chose, pages, logins."""

from __future__ import annotations

import peewee

from models.base import Model, Stamp, Timestamp, Words, belongs_to, owned_by_tenant
from models.enums import Outside, PagePurpose, UserRole


class SlackPerson(Model):
    """What Slack says of a person; `outside` is null for a full member of the workspace."""

    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    outside = Words(Outside, null=True)
    checked_at = Stamp()

    class Meta:
        table_name = "slack_people"


class Invitation(Model):
    """A role offered to one Slack user, who alone can accept it."""

    tenant_id = peewee.UUIDField()
    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    email = peewee.CharField(max_length=255)
    first_name = peewee.CharField(max_length=50, default="")
    last_name = peewee.CharField(max_length=50, default="")
    role = Words(UserRole)
    invited_by = peewee.TextField()
    expires_at = Timestamp()
    accepted_at = Timestamp(null=True)
    declined_at = Timestamp(null=True)
    withdrawn_at = Timestamp(null=True)

    class Meta:
        table_name = "invitations"
        constraints = (owned_by_tenant(),)


class TenantChoice(Model):
    """The tenant that a person's commands are about where nothing else says it."""

    tenant_id = peewee.UUIDField()
    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()

    class Meta:
        table_name = "tenant_choices"
        constraints = (owned_by_tenant(),)


class PageLink(Model):
    """A link to one of our pages, for one person and once; only a fingerprint of it is kept."""

    tenant_id = peewee.UUIDField()
    user_id = peewee.UUIDField()
    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    purpose = Words(PagePurpose)
    token_hash = peewee.TextField()
    expires_at = Timestamp()
    used_at = Timestamp(null=True)

    class Meta:
        table_name = "page_links"
        constraints = (owned_by_tenant(), belongs_to("user_id", "users"))


class Login(Model):
    """A password was given: until it ends, the person is let in where the tenant asks for one."""

    tenant_id = peewee.UUIDField()
    user_id = peewee.UUIDField()
    slack_team_id = peewee.TextField()
    slack_user_id = peewee.TextField()
    expires_at = Timestamp()
    ended_at = Timestamp(null=True)

    class Meta:
        table_name = "logins"
        constraints = (owned_by_tenant(), belongs_to("user_id", "users"))
