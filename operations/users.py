from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from database import set_tenant
from models import SlackIdentity, User, UserRole, now_utc
from models.requests import CreateUser
from operations import audit
from operations.errors import Conflict
from operations.standing import Person
from slack.mrkdwn import escape


@dataclass(frozen=True)
class Added:
    """A user in the role that was asked for; `was` is the former role of somebody who had another."""

    user: User
    was: UserRole | None = None


def add(request: CreateUser, person: Person, *, user_id: UUID, identity_id: UUID, actor: str) -> Added:
    """A user of the tenant, and the Slack user who it is; who is somebody here already gets the other role.

    Raises:
        Conflict: the Slack user has this role already, or the e-mail address is another's.
    """
    set_tenant(request.tenant_id)
    if (known := _known(request.tenant_id, person)) is not None:
        if known.role == request.role:
            raise Conflict(f"<@{person.user_id}> is {known.role} in this tenant already; nothing was changed.")
        return _give_role(known, request.role, actor=actor)
    user: User | None = User.live().where(User.tenant_id == request.tenant_id, User.email == request.email).first()
    if user is None:
        user = User.create(id=user_id, **request.model_dump())
    elif SlackIdentity.live().where(SlackIdentity.user_id == user.id).exists():
        raise Conflict(f"`{escape(request.email)}` is another Slack user's address in this tenant; give `--email`.")
    SlackIdentity.create(
        id=identity_id,
        tenant_id=request.tenant_id,
        user_id=user.id,
        slack_team_id=person.team_id,
        slack_user_id=person.user_id,
    )
    audit.record(
        actor,
        "user.add",
        user,
        tenant_id=request.tenant_id,
        after={"role": request.role.value, "slack": person.key},
    )
    return _give_role(user, request.role, actor=actor) if user.role != request.role else Added(user)


def _known(tenant_id: UUID, person: Person) -> User | None:
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


def _give_role(user: User, role: UserRole, *, actor: str) -> Added:
    was = user.role
    User.update(role=role, updated_at=now_utc()).where(User.tenant_id == user.tenant_id, User.id == user.id).execute()
    audit.record(
        actor,
        "user.role",
        user,
        tenant_id=user.tenant_id,
        before={"role": was.value},
        after={"role": role.value},
    )
    return Added(user, was)


def list_all(tenant_id: UUID) -> list[User]:
    set_tenant(tenant_id)
    return list(User.live().where(User.tenant_id == tenant_id).order_by(User.email))
