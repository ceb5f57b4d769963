from __future__ import annotations

from uuid import UUID

from database import set_tenant
from models import SlackIdentity, User
from models.requests import CreateUser
from operations import audit
from operations.errors import Conflict
from operations.standing import Person
from slack.mrkdwn import escape


def add(request: CreateUser, person: Person, *, user_id: UUID, identity_id: UUID, actor: str) -> User:
    """A user of the tenant, and the Slack user who it is.

    Raises:
        Conflict: the Slack user is somebody here already, or the e-mail address is another's.
    """
    set_tenant(request.tenant_id)
    _refuse_known(request, person)
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
    return user


def _refuse_known(request: CreateUser, person: Person) -> None:
    known = (
        User.select(User.role)
        .join(SlackIdentity, on=(SlackIdentity.user_id == User.id))
        .where(
            SlackIdentity.slack_team_id == person.team_id,
            SlackIdentity.slack_user_id == person.user_id,
            SlackIdentity.tenant_id == request.tenant_id,
            SlackIdentity.deleted_at.is_null(),
        )
        .first()
    )
    if known is not None:
        raise Conflict(f"<@{person.user_id}> is {known.role} in this tenant already; nothing was changed.")


def list_all(tenant_id: UUID) -> list[User]:
    set_tenant(tenant_id)
    return list(User.live().where(User.tenant_id == tenant_id).order_by(User.email))
