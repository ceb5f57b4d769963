from __future__ import annotations

import difflib
from dataclasses import replace

from bot.commands.command import Asked, Command, Option, Turn, request_of
from models import RoutePurpose, UserRole
from models.requests import CreateUser
from operations import routes, sessions, users
from operations.errors import BadInput, NotAllowed
from operations.permissions import Permission, may
from operations.slack_inbox import Answer
from operations.standing import Person
from slack.answers import Person as SlackPerson
from slack.client import SlackClient
from slack.command_text import UserMention
from slack.mrkdwn import escape

_LONGEST_NAME = 50
_ROLES = "|".join(role.value for role in UserRole)
_OTHER_WORDS = {"ADMIN": UserRole.TENANT_ADMIN}


async def look_up_person(asked: Asked, slack: SlackClient) -> Asked:
    """Ask Slack who is meant.

    Raises:
        BadInput: the first word mentions nobody.
        NotAllowed: whoever it is does not belong to this workspace, or is no person.
    """
    mention = asked.words[0]
    if not isinstance(mention, UserMention):
        raise BadInput(
            f"`{escape(mention.text)}` names nobody. Type `@` and choose the person from the list that Slack offers."
        )
    person = await slack.user_info(mention.user_id)
    _refuse_outsiders(person, asked.person.team_id)
    return replace(asked, slack_person=person)


async def way_in(person: Person, slack: SlackClient) -> str:
    """What somebody without a role can do, where `user add` would refuse them; else ""."""
    known = await slack.user_info(person.user_id)
    reason = _why_not(known, person.team_id)
    return reason and (
        f"You have no role in any tenant here, and none can be given to you: <@{known.id}> {reason}. "
        "Ask an administrator of this Slack workspace for a full account."
    )


def _refuse_outsiders(person: SlackPerson, team_id: str) -> None:
    if reason := _why_not(person, team_id):
        raise NotAllowed(f"<@{person.id}> {reason}, and was not added. Choose a full member of this workspace.")


def _why_not(person: SlackPerson, team_id: str) -> str:
    if person.is_bot or person.id == "USLACKBOT":
        return "is a bot"
    if person.deleted:
        return "has a deactivated Slack account"
    if person.is_stranger or person.team_id not in {"", team_id}:
        return "belongs to another company"
    if person.is_restricted or person.is_ultra_restricted:
        return "is a guest"
    return ""


def add(turn: Turn) -> Answer:
    asked = turn.asked
    person = asked.slack_person
    if person is None:
        raise LookupError("look_up_person has to run first.")
    role = _role(asked.word(1))
    email = asked.option("email") or person.email
    if not email:
        raise BadInput(f"Slack shows no e-mail address of <@{person.id}>. Add `--email ana@example.org`.")
    first_name, _, last_name = (person.real_name or person.name).partition(" ")
    request = request_of(
        turn.command,
        CreateUser,
        tenant_id=turn.standing.tenant_id,
        email=email,
        role=role,
        first_name=first_name[:_LONGEST_NAME],
        last_name=last_name[:_LONGEST_NAME],
    )
    added = users.add(
        request,
        Person(asked.person.team_id, person.id),
        user_id=asked.new_id("user"),
        identity_id=asked.new_id("identity"),
        actor=turn.actor,
    )
    tenant = escape(turn.standing.tenant_name)
    if added.was is not None:
        return Answer(f"<@{person.id}> was {added.was.value} in *{tenant}*, is {role.value} now.")
    return Answer(f"<@{person.id}> is {role.value} in *{tenant}* now.{_next_step(turn, role)}")


def _next_step(turn: Turn, role: UserRole) -> str:
    """What the person may do first in that role, as far as it is not done already."""
    tenant_id = turn.standing.tenant_id
    if not may(Permission.SESSION_CONTROL, role, is_operator=False):
        return ""
    missing = [] if sessions.list_all(tenant_id) else ["`session add NAME`"]
    if not any(route.purpose == RoutePurpose.CONVERSATIONS for route, _ in routes.list_all(tenant_id)):
        missing.append("`channel link` in the channel for its conversations")
    return f" Next: {', and '.join(missing)}." if missing else ""


def _role(typed: str) -> UserRole:
    word = typed.upper().replace("-", "_")
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word]
    try:
        return UserRole(word)
    except ValueError:
        near = difflib.get_close_matches(word, list(UserRole), n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadInput(f"`{escape(typed)}` is no role.{meant} There are {', '.join(UserRole)}.") from None


COMMANDS = (
    Command(
        noun="user",
        verb="add",
        needs=("@person", _ROLES),
        options=(Option("email", "ADDRESS", "ana@example.org"),),
        summary="give somebody a role, or another one",
        example="user add @ana AGENT",
        permission=Permission.USER_ADD,
        prepare=look_up_person,
        run=add,
    ),
)
