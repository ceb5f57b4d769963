from __future__ import annotations

import difflib
from dataclasses import replace

from bot.commands.command import Asked, Command, Option, Turn, request_of
from models import UserRole
from models.requests import CreateUser
from operations import users
from operations.errors import BadInput, NotAllowed
from operations.permissions import Permission
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
        CreateUser,
        tenant_id=turn.standing.tenant_id,
        email=email,
        role=role,
        first_name=first_name[:_LONGEST_NAME],
        last_name=last_name[:_LONGEST_NAME],
    )
    users.add(
        request,
        Person(asked.person.team_id, person.id),
        user_id=asked.new_id("user"),
        identity_id=asked.new_id("identity"),
        actor=turn.actor,
    )
    return Answer(
        f"<@{person.id}> is {role.value} in *{escape(turn.standing.tenant_name)}* now. "
        "Next: `session add NAME`, and `channel link` in the channel for its conversations."
    )


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
        options=(Option("email", "ADDRESS"),),
        summary="give somebody a role",
        example="user add @ana AGENT",
        permission=Permission.USER_ADD,
        prepare=look_up_person,
        run=add,
    ),
)
