"""A tenant's people: let in, shown, changed, kept out."""

from __future__ import annotations

from functools import partial

from bot.commands.colleagues import list_, show
from bot.commands.command import Command, Option, Turn, request_of
from bot.commands.persons import ROLES, look_up_person, named, new_user, person_of, role_in
from models import RoutePurpose, UserRole
from models.requests import CreateUser, UpdateUser
from operations import colleagues, invitations, routes, sessions, users
from operations.colleagues import Named, shown
from operations.permissions import Permission, may
from operations.slack_inbox import Answer
from operations.standing import Person
from slack.mrkdwn import escape, local_time

_look_up_new = partial(look_up_person, outside="and was not added. Choose a full member of this workspace.")
_FIELDS = {"first-name": "first_name", "last-name": "last_name", "email": "email"}


def add(turn: Turn) -> Answer:
    role = role_in(turn.asked.word(1))
    person = person_of(turn.asked)
    added = users.vouch(
        new_user(turn, role),
        person,
        user_id=turn.asked.new_id("user"),
        identity_id=turn.asked.new_id("identity"),
        by=turn.standing,
    )
    if added.was is not None:
        return Answer(_changed_role(turn, person, added.was, role))
    steps = _next_steps(turn, role)
    is_mine = person == turn.asked.person or may(Permission.SESSION_CONTROL, turn.standing.role, is_operator=False)
    go_on = "Next" if is_mine else "They go on with"
    return Answer(f"{shown(person)} is {role.value} in {_tenant(turn)} now.{f' {go_on}: {steps}.' if steps else ''}")


def _next_steps(turn: Turn, role: UserRole) -> str:
    """What the person may do first in that role, as far as it is not done already."""
    tenant_id = turn.standing.tenant_id
    if not may(Permission.SESSION_CONTROL, role, is_operator=False):
        return ""
    missing = [] if sessions.list_all(tenant_id) else ["`session add NAME`"]
    if not any(route.purpose == RoutePurpose.CONVERSATIONS for route, _ in routes.list_all(tenant_id)):
        missing.append("`channel link` in the channel for its conversations")
    return ", and ".join(missing)


def invite(turn: Turn) -> Answer:
    role = role_in(turn.asked.word(1))
    person = person_of(turn.asked)
    until = invitations.invite(
        new_user(turn, role), person, invitation_id=turn.asked.new_id("invitation"), by=turn.standing
    )
    return Answer(
        f"{shown(person)} is invited to {_tenant(turn)} as {role.value}, by a direct message, and can accept until "
        f"{local_time(until)}. You are told; `user remove {shown(person)}` takes it back."
    )


def update(turn: Turn) -> Answer:
    who = named(turn.command, turn.asked)
    fields = {field: turn.asked.option(option) for option, field in _FIELDS.items() if turn.asked.option(option)}
    if not fields:
        raise turn.command.misused("Nothing to change was given.")
    users.update(who, request_of(turn.command, UpdateUser, **fields), by=turn.standing)
    return Answer(f"{shown(who)} was changed. See `user show {shown(who)}`.")


def role(turn: Turn) -> Answer:
    who, wanted = named(turn.command, turn.asked), role_in(turn.asked.word(1))
    was = users.give_role(who, wanted, by=turn.standing)
    return Answer(_changed_role(turn, who, was, wanted))


def _changed_role(turn: Turn, who: Named, was: UserRole, wanted: UserRole) -> str:
    said = f"{shown(who)} was {was.value} in {_tenant(turn)}, is {wanted.value} now."
    theirs = colleagues.one(turn.standing.tenant_id, who)
    if theirs is None or theirs.is_active:
        return said
    return f"{said} They stay deactivated, so nothing lets them in: `user activate {shown(who)}` does."


def deactivate(turn: Turn) -> Answer:
    who = named(turn.command, turn.asked)
    users.deactivate(who, by=turn.standing)
    return Answer(
        f"{shown(who)} is deactivated in {_tenant(turn)}: whatever they type, click or reply is refused from now on. "
        f"What they did before stays. `user activate {shown(who)}` lets them in again."
    )


def about_deactivating(turn: Turn) -> str:
    who = named(turn.command, turn.asked)
    users.refuse_shutting_out(who, by=turn.standing, is_kept=True)
    return (
        f"Deactivate {shown(who)} in {_tenant(turn)}? They are logged out at once, and whatever they type, click or "
        "reply is refused until they are activated again."
    )


def activate(turn: Turn) -> Answer:
    who = named(turn.command, turn.asked)
    user = users.activate(who, by=turn.standing)
    return Answer(f"{shown(who)} is {user.role.value} in {_tenant(turn)} again.")


def remove(turn: Turn) -> Answer:
    who = named(turn.command, turn.asked)
    if (invited := _only_invited(turn)) is not None:
        invitations.withdraw(invited, by=turn.standing)
        return Answer(f"The invitation of {shown(who)} to {_tenant(turn)} is withdrawn.")
    users.remove(who, by=turn.standing)
    return Answer(
        f"{shown(who)} is nobody in {_tenant(turn)} any more. What they wrote stays; `user add` lets them in anew."
    )


def about_removing(turn: Turn) -> str:
    if (invited := _only_invited(turn)) is not None:
        return f"Withdraw the invitation of {shown(invited)} to {_tenant(turn)}?"
    who = named(turn.command, turn.asked)
    users.refuse_shutting_out(who, by=turn.standing, is_kept=False)
    return (
        f"Remove {shown(who)} from {_tenant(turn)}? They are logged out at once and have no role there "
        "any more. What they wrote to customers stays."
    )


def _only_invited(turn: Turn) -> Person | None:
    """Who is meant, if they were invited and have not answered."""
    who, tenant_id = named(turn.command, turn.asked), turn.standing.tenant_id
    if not isinstance(who, Person) or colleagues.one(tenant_id, who) is not None:
        return None
    return who if invitations.open_to(tenant_id, who) is not None else None


def _tenant(turn: Turn) -> str:
    return f"*{escape(turn.standing.tenant_name)}*"


_EMAIL = Option("email", "ADDRESS", "ana@example.org")
_ROLE_LABEL = {ROLES: "Role"}

COMMANDS = (
    Command(
        noun="user",
        verb="invite",
        needs=("@person", ROLES),
        options=(_EMAIL,),
        summary="offer somebody a role, which they accept or decline",
        example="user invite @ana AGENT",
        permission=Permission.USER_ADD,
        prepare=_look_up_new,
        run=invite,
        request=CreateUser,
        labels=_ROLE_LABEL,
    ),
    Command(
        noun="user",
        verb="add",
        needs=("@person", ROLES),
        options=(_EMAIL,),
        summary="give somebody a role at once, or another one",
        example="user add @ana AGENT",
        permission=Permission.USER_ADD,
        prepare=_look_up_new,
        run=add,
        request=CreateUser,
        labels=_ROLE_LABEL,
    ),
    Command(
        noun="user",
        verb="list",
        summary="who works here, in which role, and who is invited",
        example="user list",
        permission=Permission.USER_SHOW,
        run=list_,
        pages=True,
    ),
    Command(
        noun="user",
        verb="show",
        needs=("@person",),
        summary="one person and what is known of them",
        example="user show @ana",
        permission=Permission.USER_SHOW,
        run=show,
    ),
    Command(
        noun="user",
        verb="update",
        needs=("@person",),
        options=(Option("first-name", "NAME", "Ana"), Option("last-name", "NAME", "Castro"), _EMAIL),
        summary="another name or e-mail address",
        example="user update @ana --first-name Ana --email ana@example.org",
        permission=Permission.USER_MANAGE,
        run=update,
        request=UpdateUser,
    ),
    Command(
        noun="user",
        verb="role",
        needs=("@person", ROLES),
        summary="give somebody another role",
        example="user role @ana MANAGER",
        permission=Permission.USER_MANAGE,
        run=role,
    ),
    Command(
        noun="user",
        verb="deactivate",
        needs=("@person",),
        summary="keep somebody out until they are activated again",
        example="user deactivate @ana",
        permission=Permission.USER_MANAGE,
        confirm=about_deactivating,
        run=deactivate,
    ),
    Command(
        noun="user",
        verb="activate",
        needs=("@person",),
        summary="let somebody in again who was deactivated",
        example="user activate @ana",
        permission=Permission.USER_MANAGE,
        run=activate,
    ),
    Command(
        noun="user",
        verb="remove",
        needs=("@person",),
        summary="take somebody out, or take an invitation back",
        example="user remove @ana",
        permission=Permission.USER_MANAGE,
        confirm=about_removing,
        run=remove,
    ),
)
