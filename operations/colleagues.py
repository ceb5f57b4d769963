"""The people of a tenant as they are found and shown, and the turn that whoever changes one of them takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from database import set_tenant
from models import SlackIdentity, User, UserRole
from operations.errors import NotFound
from operations.permissions import Permission
from operations.sql import lock, rows, value
from operations.standing import Person, Standing, memberships
from slack.mrkdwn import escape

# A person, or the e-mail address of somebody whom Slack does not offer any more.
Named = Person | str

_COLLEAGUES = """
    SELECT u.email, u.first_name, u.last_name, u.role, u.is_active, u.last_login_at, u.created_at, i.slack_user_id,
        i.slack_team_id, coalesce(p.outside, '') AS outside, u.password_hash IS NOT NULL AS has_password
    FROM users u
    LEFT JOIN slack_identities i ON i.tenant_id = u.tenant_id AND i.user_id = u.id AND i.deleted_at IS NULL
    LEFT JOIN slack_people p ON p.slack_team_id = i.slack_team_id AND p.slack_user_id = i.slack_user_id
    WHERE u.tenant_id = %(tenant)s AND u.deleted_at IS NULL
"""


@dataclass(frozen=True)
class Colleague:
    """A user of a tenant, and the Slack user who it is; `outside` is why Slack's word keeps them out, "" if not."""

    email: str
    first_name: str
    last_name: str
    role: str
    is_active: bool
    last_login_at: datetime | None
    created_at: datetime
    slack_user_id: str | None
    slack_team_id: str | None
    outside: str
    has_password: bool


def everybody(tenant_id: UUID) -> list[Colleague]:
    """The tenant's people, administrators first."""
    set_tenant(tenant_id)
    order = "ORDER BY array_position(%(roles)s, u.role), u.email"
    return rows(Colleague, f"{_COLLEAGUES} {order}", {"tenant": tenant_id, "roles": [role.value for role in UserRole]})


def one(tenant_id: UUID, named: Named) -> Colleague | None:
    """One of them; None where that is nobody in the tenant."""
    set_tenant(tenant_id)
    if isinstance(named, Person):
        found = rows(
            Colleague,
            f"{_COLLEAGUES} AND i.slack_team_id = %(team)s AND i.slack_user_id = %(user)s",
            {"tenant": tenant_id, "team": named.team_id, "user": named.user_id},
        )
    else:
        found = rows(Colleague, f"{_COLLEAGUES} AND u.email = %(email)s", {"tenant": tenant_id, "email": named.lower()})
    return found[0] if found else None


def of_person(tenant_id: UUID, person: Person) -> User | None:
    """Who a Slack user is in the tenant."""
    known: User | None = (
        User.select(User)
        .join(SlackIdentity, on=(SlackIdentity.user_id == User.id))
        .where(
            SlackIdentity.slack_team_id == person.team_id,
            SlackIdentity.slack_user_id == person.user_id,
            SlackIdentity.tenant_id == tenant_id,
            SlackIdentity.deleted_at.is_null(),
        )
        .first()
    )
    return known


def logged_in_until(tenant_id: UUID, user_id: UUID, person: Person) -> datetime | None:
    """The end of the person's longest login; None where they have none."""
    set_tenant(tenant_id)
    found: datetime | None = value(
        "SELECT max(expires_at) FROM logins WHERE tenant_id = %s AND user_id = %s AND slack_team_id = %s "
        "AND slack_user_id = %s AND ended_at IS NULL AND expires_at > clock_timestamp()",
        (tenant_id, user_id, person.team_id, person.user_id),
    )
    return found


def nobody(named: Named, by: Standing) -> NotFound:
    return NotFound(f"{shown(named)} is nobody in *{escape(by.tenant_name)}*. See `user list` for who is.")


def shown(named: Named) -> str:
    return f"<@{named.user_id}>" if isinstance(named, Person) else f"`{escape(named)}`"


def take_turns(tenant_id: UUID) -> None:
    """One change to a tenant's people at a time, in the running transaction."""
    set_tenant(tenant_id)
    lock(f"people:{tenant_id}")


def take_turns_as(by: Standing, permission: Permission) -> None:
    """The same for somebody who has just stood before the tenant: who lost the role while waiting changes nothing.

    Raises:
        NotAllowed: they did.
    """
    take_turns(by.tenant_id)
    now = next((one for one in memberships(by.person) if one.tenant_id == by.tenant_id), None)
    replace(by, role=now.role_held if now is not None else None).require(permission)


def found(named: Named, by: Standing) -> User:
    """Who is meant, with the turn taken."""
    take_turns_as(by, Permission.USER_MANAGE)
    user: User | None
    if isinstance(named, Person):
        user = of_person(by.tenant_id, named)
    else:
        user = User.live().where(User.tenant_id == by.tenant_id, User.email == named.lower()).first()
    if user is None:
        raise nobody(named, by)
    return user
