"""The people of a tenant: let in, given a role, kept out. One of their administrators is always left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import peewee

from database import database
from models import SlackIdentity, User, UserRole, now_utc, uuid7
from models.requests import CreateUser, UpdateUser
from operations import audit, logins, workspaces
from operations.colleagues import Named, found, of_person, shown, take_turns, take_turns_as
from operations.errors import Conflict
from operations.permissions import Permission, may
from operations.sql import changed, value
from operations.standing import Person, Standing
from slack.mrkdwn import escape

_OTHER_ADMINS = """
    SELECT EXISTS (
        SELECT 1 FROM users u
        JOIN slack_identities i ON i.tenant_id = u.tenant_id AND i.user_id = u.id AND i.deleted_at IS NULL
        LEFT JOIN slack_people p ON p.slack_team_id = i.slack_team_id AND p.slack_user_id = i.slack_user_id
        WHERE u.tenant_id = %s AND u.id <> %s AND u.role = 'TENANT_ADMIN' AND u.is_active AND u.deleted_at IS NULL
            AND p.outside IS NULL
    )
"""


@dataclass(frozen=True)
class Added:
    """A user in the role that was asked for; `was` is the former role of somebody who had another."""

    user: User
    was: UserRole | None = None


def vouch(request: CreateUser, person: Person, *, user_id: UUID, identity_id: UUID, by: Standing) -> Added:
    """Add somebody at the word of a person who may, and still may when their turn comes.

    Raises:
        NotAllowed: they lost the role while waiting.
        Conflict: as `add` says.
    """
    take_turns_as(by, Permission.USER_ADD)
    return add(request, person, user_id=user_id, identity_id=identity_id, actor=by.person.key)


def add(
    request: CreateUser,
    person: Person,
    *,
    user_id: UUID,
    identity_id: UUID,
    actor: str,
    is_accepted: bool = False,
) -> Added:
    """A user of the tenant, and the Slack user who it is; who is somebody here already gets the other role.

    With `is_accepted` the actor invited the person, who accepts just now.

    Raises:
        Conflict: the Slack user has this role already, the e-mail address is another's, or nobody would be left who
            administers the tenant.
    """
    take_turns(request.tenant_id)
    if (known := of_person(request.tenant_id, person)) is not None:
        if known.role == request.role:
            way_in = "" if known.is_active else f" They are deactivated: see `user activate <@{person.user_id}>`."
            raise Conflict(f"<@{person.user_id}> is {known.role} in this tenant already; nothing was changed.{way_in}")
        return Added(known, _give_role(known, request.role, named=person, actor=actor))
    workspaces.refuse_elsewhere(request.tenant_id, person.team_id)
    refuse_taken_email(request.tenant_id, request.email)
    user: User | None = User.live().where(User.tenant_id == request.tenant_id, User.email == request.email).first()
    if user is None:
        user = User.create(id=user_id, **request.model_dump())
    SlackIdentity.create(
        id=identity_id,
        tenant_id=request.tenant_id,
        user_id=user.id,
        slack_team_id=person.team_id,
        slack_user_id=person.user_id,
    )
    withdraw_invitations(request.tenant_id, person)
    after = {"role": request.role.value, "slack": person.key}
    if is_accepted:
        after |= {"invited_by": actor}
        audit.record(person.key, "invitation.accept", user, tenant_id=request.tenant_id, after=after)
    else:
        audit.record(actor, "user.add", user, tenant_id=request.tenant_id, after=after)
    changes = user.role != request.role
    return Added(user, _give_role(user, request.role, named=person, actor=actor) if changes else None)


def update(named: Named, request: UpdateUser, *, by: Standing) -> User:
    """Another name or e-mail address.

    Raises:
        NotFound: that is nobody here.
        Conflict: the address is another user's.
    """
    user = found(named, by)
    changes = {name: new for name, new in request.changes().items() if getattr(user, name) != new}
    if not changes:
        raise Conflict(f"{shown(named)} is known so already; nothing was changed.")
    try:
        with database.atomic():
            _write(user, **changes)
    except peewee.IntegrityError as error:
        raise Conflict(
            f"`{escape(request.email)}` is the address of another user of this tenant; see `user list`."
        ) from error
    # Which fields, and not what is in them: the audit outlives the person.
    audit.record(by.person.key, "user.update", user, tenant_id=by.tenant_id, after={"fields": sorted(changes)})
    return user


def give_role(named: Named, role: UserRole, *, by: Standing) -> UserRole:
    """Another role; returns the former one.

    Raises:
        NotFound: that is nobody here.
        Conflict: it is their role already, or nobody would be left who administers the tenant.
    """
    user = found(named, by)
    if user.role is role:
        raise Conflict(f"{shown(named)} is {role.value} in this tenant already; nothing was changed.")
    return _give_role(user, role, named=named, actor=by.person.key)


def deactivate(named: Named, *, by: Standing) -> User:
    """Keep somebody out until they are activated again; what they did before stays.

    Raises:
        NotFound: that is nobody here.
        Conflict: they are deactivated already, or nobody would be left who administers the tenant.
    """
    user = found(named, by)
    if not user.is_active:
        raise _deactivated_already(named)
    _refuse_last_admin(user, named)
    _write(user, is_active=False)
    _shut_out(user)
    audit.record(
        by.person.key,
        "user.deactivate",
        user,
        tenant_id=by.tenant_id,
        before={"is_active": True},
        after={"is_active": False},
    )
    return user


def activate(named: Named, *, by: Standing) -> User:
    """Let somebody in again, in the role they had.

    Raises:
        NotFound: that is nobody here.
        Conflict: they are not deactivated.
    """
    user = found(named, by)
    if user.is_active:
        raise Conflict(f"{shown(named)} is not deactivated; nothing was changed.")
    _write(user, is_active=True)
    audit.record(
        by.person.key,
        "user.activate",
        user,
        tenant_id=by.tenant_id,
        before={"is_active": False},
        after={"is_active": True},
    )
    return user


def refuse_shutting_out(named: Named, *, by: Standing, is_kept: bool) -> None:
    """Before it is asked back whether somebody is to be removed, or deactivated where `is_kept`.

    Raises:
        NotFound: that is nobody here.
        Conflict: they are deactivated already, or nobody would be left who administers the tenant.
    """
    user = found(named, by)
    if is_kept and not user.is_active:
        raise _deactivated_already(named)
    _refuse_last_admin(user, named)


def remove(named: Named, *, by: Standing) -> User:
    """Take somebody out of the tenant; what they did there stays, and they can be added anew.

    Raises:
        NotFound: that is nobody here.
        Conflict: nobody would be left who administers the tenant.
    """
    user = found(named, by)
    _refuse_last_admin(user, named)
    take_out(user, actor=by.person.key)
    return user


def take_out(user: User, *, actor: str) -> None:
    """Take somebody out whoever is left, with the turn taken."""
    _shut_out(user)
    gone = {"deleted_at": now_utc(), "deletion_id": uuid7()}
    _write(user, **gone)
    SlackIdentity.update(**gone).where(
        SlackIdentity.tenant_id == user.tenant_id,
        SlackIdentity.user_id == user.id,
        SlackIdentity.deleted_at.is_null(),
    ).execute()
    audit.record(actor, "user.remove", user, tenant_id=user.tenant_id, before={"role": user.role.value})


def refuse_taken_email(tenant_id: UUID, email: str) -> None:
    """An address belongs to one Slack user.

    Raises:
        Conflict: it is another's.
    """
    user: User | None = User.live().where(User.tenant_id == tenant_id, User.email == email).first()
    if user is not None and SlackIdentity.live().where(SlackIdentity.user_id == user.id).exists():
        raise Conflict(f"`{escape(email)}` is another Slack user's address in this tenant; give `--email`.")


def withdraw_invitations(tenant_id: UUID, person: Person) -> int:
    """Close what was offered to somebody and is still open; returns how many."""
    return changed(
        "UPDATE invitations SET withdrawn_at = clock_timestamp() WHERE tenant_id = %s AND slack_team_id = %s "
        "AND slack_user_id = %s AND accepted_at IS NULL AND declined_at IS NULL AND withdrawn_at IS NULL",
        (tenant_id, person.team_id, person.user_id),
    )


def _give_role(user: User, role: UserRole, *, named: Named, actor: str) -> UserRole:
    was = user.role
    _refuse_last_admin(user, named)
    _write(user, role=role)
    if not may(Permission.USER_ADD, role, is_operator=False):
        _withdraw_sent(user)
    audit.record(
        actor, "user.role", user, tenant_id=user.tenant_id, before={"role": was.value}, after={"role": role.value}
    )
    return UserRole(was)


def _deactivated_already(named: Named) -> Conflict:
    return Conflict(f"{shown(named)} is deactivated already; nothing was changed.")


def _refuse_last_admin(user: User, named: Named) -> None:
    """A tenant without anybody who may let people in could only be helped by an operator."""
    if user.role is not UserRole.TENANT_ADMIN or not user.is_active:
        return
    if not value(_OTHER_ADMINS, (user.tenant_id, user.id)):
        raise Conflict(
            f"{shown(named)} is the last active TENANT_ADMIN of this tenant, so nothing was changed. Make "
            "somebody else one first: `user role @person TENANT_ADMIN`."
        )


def _write(user: User, **changes: Any) -> None:
    User.update(**changes, updated_at=now_utc()).where(User.tenant_id == user.tenant_id, User.id == user.id).execute()
    for name, new in changes.items():
        setattr(user, name, new)


def _shut_out(user: User) -> None:
    """Whatever lets somebody in, or lets them let others in, ends at once."""
    logins.end_all(user.tenant_id, user.id)
    _withdraw_sent(user)


def _withdraw_sent(user: User) -> None:
    """What somebody offered to others is worth no more than their own right to let them in."""
    changed(
        "UPDATE invitations SET withdrawn_at = clock_timestamp() WHERE tenant_id = %s AND accepted_at IS NULL "
        "AND declined_at IS NULL AND withdrawn_at IS NULL AND invited_by IN (SELECT slack_team_id || '/' || "
        "slack_user_id FROM slack_identities WHERE tenant_id = %s AND user_id = %s)",
        (user.tenant_id, user.tenant_id, user.id),
    )
