"""A role in a tenant, offered to one Slack user, who alone can accept it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from database import set_tenant
from models import Invitation, Tenant, User, UserRole
from models.requests import CreateUser
from operations import audit, users, workspaces
from operations.colleagues import of_person, take_turns, take_turns_as
from operations.errors import Conflict, NotAllowed, NotFound
from operations.permissions import Permission
from operations.posting import tell_person
from operations.slack_people import known
from operations.sql import changed, database_now, value
from operations.standing import Person, Standing, kept_out
from slack.blocks import actions, button, sections
from slack.mrkdwn import escape, local_time

LASTS = timedelta(days=7)

ACCEPT: Final = "invitation.accept"
DECLINE: Final = "invitation.decline"

_MEANING: dict[UserRole, str] = {
    UserRole.TENANT_ADMIN: "you decide who works here and how",
    UserRole.MANAGER: "you run its WhatsApp accounts and channels, and write to customers",
    UserRole.AGENT: "you write to its customers",
    UserRole.AUDITOR: "you see what is done, and change nothing",
}

# The same for what is not there and for what was offered to somebody else: nobody learns which.
NOT_YOURS = "Nothing was changed. This invitation is not there any more, or it is for somebody else."


@dataclass(frozen=True)
class Open:
    """An invitation that its person looks at, and the tenant's name."""

    invitation: Invitation
    tenant_name: str


def invite(request: CreateUser, person: Person, *, invitation_id: UUID, by: Standing) -> datetime:
    """Offer somebody a role, in place of what was offered to them before; returns until when it can be accepted.

    Raises:
        Conflict: they are somebody here already, or the e-mail address is another's.
    """
    take_turns_as(by, Permission.USER_ADD)
    if (user := of_person(request.tenant_id, person)) is not None:
        said = f"<@{person.user_id}> is {user.role.value} in this tenant already"
        if user.role == request.role:
            raise Conflict(f"{said}; nothing was changed.")
        raise Conflict(f"{said}. For another role: `user role <@{person.user_id}> {request.role.value}`.")
    workspaces.refuse_elsewhere(request.tenant_id, person.team_id)
    users.refuse_taken_email(request.tenant_id, request.email)
    users.withdraw_invitations(request.tenant_id, person)
    invitation = Invitation.create(
        id=invitation_id,
        tenant_id=request.tenant_id,
        slack_team_id=person.team_id,
        slack_user_id=person.user_id,
        email=request.email,
        first_name=request.first_name,
        last_name=request.last_name,
        role=request.role,
        invited_by=by.person.key,
        expires_at=database_now() + LASTS,
    )
    after = {"role": request.role.value, "slack": person.key}
    audit.record(by.person.key, "user.invite", invitation, tenant_id=request.tenant_id, after=after)
    _tell_invited(invitation, by)
    return invitation.expires_at


def withdraw(person: Person, *, by: Standing) -> None:
    """Take back what was offered to somebody.

    Raises:
        NotFound: nothing is open.
    """
    take_turns_as(by, Permission.USER_MANAGE)
    found = open_to(by.tenant_id, person)
    if found is None:
        raise NotFound(f"<@{person.user_id}> has no open invitation to *{escape(by.tenant_name)}*; see `user list`.")
    users.withdraw_invitations(by.tenant_id, person)
    audit.record(by.person.key, "user.withdraw", found, tenant_id=by.tenant_id, before={"role": found.role.value})


def open_to(tenant_id: UUID, person: Person) -> Invitation | None:
    """What is offered to somebody and was not answered, expired or not."""
    mine = (one for one in open_ones(tenant_id) if (one.slack_team_id, one.slack_user_id) == _place(person))
    return next(mine, None)


def open_ones(tenant_id: UUID) -> list[Invitation]:
    """What is offered and was neither accepted nor refused, expired ones included."""
    set_tenant(tenant_id)
    mine = Invitation.select().where(
        Invitation.tenant_id == tenant_id,
        Invitation.accepted_at.is_null(),
        Invitation.declined_at.is_null(),
        Invitation.withdrawn_at.is_null(),
    )
    return list(mine.order_by(Invitation.created_at))


def open_for(person: Person, invitation_id: UUID) -> Open:
    """The invitation, its tenant set and the turn taken, for the one to whom it was sent.

    Raises:
        NotFound: it is not there, or was sent to somebody else.
        NotAllowed: Slack does not count the person as one of the workspace's own any more.
        Conflict: it was used, withdrawn, or has expired; or whoever sent it is kept out by now.
    """
    tenant_id = value("SELECT tenant_of_invitation(%s, %s, %s)", (invitation_id, person.team_id, person.user_id))
    if tenant_id is None:
        raise NotFound(NOT_YOURS)
    if (kept := known(person)) is not None and kept.outside:
        raise NotAllowed(kept_out(kept.outside))
    take_turns(tenant_id)
    invitation = Invitation.get(Invitation.tenant_id == tenant_id, Invitation.id == invitation_id)
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound(NOT_YOURS)
    if reason := _why_closed(invitation):
        again = f"Ask <@{_inviter(invitation).user_id}> to invite you again if it is still wanted."
        raise Conflict(f"Nothing was changed: {reason} {'' if invitation.accepted_at else again}".rstrip())
    if _is_kept_out(_inviter(invitation), tenant_id):
        raise Conflict(
            "Nothing was changed: Slack keeps out whoever invited you, so the invitation does not count any more. Ask "
            f"another administrator of *{escape(tenant.name)}* to invite you."
        )
    return Open(invitation, tenant.name)


def accept(offered: Open, person: Person, *, user_id: UUID, identity_id: UUID) -> User:
    """Become what was offered.

    Raises:
        Conflict: the e-mail address is another's by now.
    """
    invitation = offered.invitation
    _close(invitation, "accepted_at")
    request = CreateUser(
        tenant_id=invitation.tenant_id,
        email=invitation.email,
        role=invitation.role,
        first_name=invitation.first_name,
        last_name=invitation.last_name,
    )
    added = users.add(
        request,
        person,
        user_id=user_id,
        identity_id=identity_id,
        actor=invitation.invited_by,
        is_accepted=True,
    )
    _tell_inviter(offered, "accepted")
    return added.user


def decline(offered: Open, person: Person) -> None:
    """Refuse what was offered."""
    invitation = offered.invitation
    _close(invitation, "declined_at")
    audit.record(person.key, "invitation.decline", invitation, tenant_id=invitation.tenant_id)
    _tell_inviter(offered, "declined")


def _close(invitation: Invitation, column: str) -> None:
    changed(
        f"UPDATE invitations SET {column} = clock_timestamp() WHERE tenant_id = %s AND id = %s",  # noqa: S608 - ours
        (invitation.tenant_id, invitation.id),
    )


def _why_closed(invitation: Invitation) -> str:
    if invitation.accepted_at is not None:
        return "you accepted this invitation already. See `whoami`."
    if invitation.declined_at is not None:
        return "you declined this invitation."
    if invitation.withdrawn_at is not None:
        return "this invitation was withdrawn, or replaced by a newer one."
    if invitation.expires_at <= database_now():
        return "this invitation has expired."
    return ""


def _is_kept_out(inviter: Person, tenant_id: UUID) -> bool:
    """Whether Slack keeps out whose role in the tenant the invitation rests on; operators need none."""
    kept = known(inviter)
    return kept is not None and bool(kept.outside) and of_person(tenant_id, inviter) is not None


def _tell_invited(invitation: Invitation, by: Standing) -> None:
    text = (
        f"<@{by.person.user_id}> invites you to *{escape(by.tenant_name)}* as {invitation.role.value}: "
        f"{_MEANING[invitation.role]}. Accept it until {local_time(invitation.expires_at)}; only you can."
    )
    buttons = actions(
        button("Accept", ACCEPT, value=str(invitation.id), style="primary"),
        button("Decline", DECLINE, value=str(invitation.id)),
    )
    tell_person(
        invitation.slack_team_id,
        invitation.slack_user_id,
        text,
        tenant_id=invitation.tenant_id,
        slot=f"invitation:{invitation.id}",
        blocks=[*sections(text), buttons],
    )


def _tell_inviter(offered: Open, what: str) -> None:
    invitation, inviter = offered.invitation, _inviter(offered.invitation)
    text = (
        f"<@{invitation.slack_user_id}> {what} your invitation to *{escape(offered.tenant_name)}* as "
        f"{invitation.role.value}."
    )
    slot = f"invitation:{invitation.id}:{what}"
    tell_person(inviter.team_id, inviter.user_id, text, tenant_id=invitation.tenant_id, slot=slot)


def _place(person: Person) -> tuple[str, str]:
    return person.team_id, person.user_id


def _inviter(invitation: Invitation) -> Person:
    team_id, _, user_id = invitation.invited_by.partition("/")
    return Person(team_id, user_id)
