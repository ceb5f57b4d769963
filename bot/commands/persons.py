"""Whom a word of a command names, and which role."""

from __future__ import annotations

import difflib
from dataclasses import replace

from bot.commands.command import Asked, Command, Turn, request_of
from database import in_database
from models import UserRole
from models.requests import CreateUser
from operations import slack_people
from operations.colleagues import Named
from operations.errors import BadInput, NotAllowed
from operations.sql import database_now
from operations.standing import Person
from slack.answers import Person as SlackPerson
from slack.client import SlackClient
from slack.command_text import UserMention
from slack.mrkdwn import escape

ROLES = "|".join(role.value for role in UserRole)
_LONGEST_NAME = 50
_OTHER_WORDS = {"ADMIN": UserRole.TENANT_ADMIN}


async def look_up_person(asked: Asked, slack: SlackClient, *, outside: str) -> Asked:
    """Ask Slack who is meant by the first word, and keep what it says: their replies are checked against that.

    `outside` follows "@gina is a guest" where the workspace does not count them as its own.

    Raises:
        BadInput: the word mentions nobody.
        NotAllowed: whoever it is does not belong to this workspace, or is no person.
    """
    mention = asked.words[0]
    if not isinstance(mention, UserMention):
        raise BadInput(
            f"`{escape(mention.text)}` names nobody. Type `@` and choose the person from the list that Slack offers."
        )
    asked_at = await in_database(database_now)
    found = await slack.user_info(mention.user_id)
    why = slack_people.outside_of(found, asked.person.team_id)
    await in_database(slack_people.remember, Person(asked.person.team_id, found.id), why, at=asked_at)
    if why is not None:
        raise NotAllowed(f"<@{found.id}> {slack_people.REASONS[why]}, {outside}")
    return replace(asked, slack_person=found)


def looked_up(asked: Asked) -> SlackPerson:
    if asked.slack_person is None:
        raise LookupError("look_up_person has to run first.")
    return asked.slack_person


def person_of(asked: Asked) -> Person:
    """Whom Slack was asked about."""
    return Person(asked.person.team_id, looked_up(asked).id)


def new_user(turn: Turn, role: UserRole) -> CreateUser:
    """The request that makes a user of whom Slack was asked about."""
    found = looked_up(turn.asked)
    email = turn.asked.option("email") or found.email
    if not email:
        raise BadInput(f"Slack shows no e-mail address of <@{found.id}>. Add `--email ana@example.org`.")
    first_name, _, last_name = (found.real_name or found.name).partition(" ")
    return request_of(
        turn.command,
        CreateUser,
        tenant_id=turn.standing.tenant_id,
        email=email,
        role=role,
        first_name=first_name[:_LONGEST_NAME],
        last_name=last_name[:_LONGEST_NAME],
    )


def named(command: Command, asked: Asked) -> Named:
    """Whom the first word names: a mention, or the e-mail address of somebody whom Slack does not offer any more.

    Raises:
        BadInput: it is neither.
    """
    word = asked.words[0]
    if isinstance(word, UserMention):
        return Person(asked.person.team_id, word.user_id)
    name, at, host = word.text.partition("@")
    if not (name and at and host):
        raise command.misused(
            f"`{escape(word.text)}` names nobody. Type `@` and choose the person from the list that Slack offers, or "
            "give the e-mail address that `user list` shows."
        )
    return word.text


def role_in(typed: str) -> UserRole:
    """`agent`, `AGENT`, `admin`.

    Raises:
        BadInput: there is no such role.
    """
    word = typed.upper().replace("-", "_")
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word]
    try:
        return UserRole(word)
    except ValueError:
        near = difflib.get_close_matches(word, list(UserRole), n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise BadInput(f"`{escape(typed)}` is no role.{meant} There are {', '.join(UserRole)}.") from None
