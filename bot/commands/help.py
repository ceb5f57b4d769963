from __future__ import annotations

from collections.abc import Sequence

from bot.commands.command import Command, Turn
from models import UserRole
from operations.errors import BadInput, NoRole
from operations.permissions import Permission, may, who_may
from operations.slack_inbox import Answer
from operations.standing import memberships
from slack.mrkdwn import escape

TITLE = "*WhatsApp from Slack.*"


def help_command(table: Sequence[Command]) -> Command:
    """`help` over a table that does not hold it yet."""

    def run(turn: Turn) -> Answer:
        topic = [word.text.lower() for word in turn.asked.words]
        return Answer(_about(topic, table) if topic else _askable(turn, table))

    return Command(
        noun="help",
        verb="",
        takes=("TOPIC", "COMMAND"),
        summary="what can be asked for",
        example="help session add",
        permission=Permission.ONESELF,
        run=run,
    )


def _askable(turn: Turn, table: Sequence[Command]) -> str:
    """What the person may ask for in any of their tenants, and why no more where something keeps them out.

    Raises:
        NoRole: they are nobody anywhere.
    """
    person, operators = turn.asked.person, turn.installation.operators
    if not operators:
        return _overview(table)  # the refusal of a command for operators says how to become one
    is_operator = person.key in operators
    mine = memberships(person)
    roles: list[UserRole | None] = [one.role_held for one in mine] or [None]
    found = [
        command for command in table if any(may(command.permission, role, is_operator=is_operator) for role in roles)
    ]
    if not mine and not is_operator:
        raise NoRole(
            f"{TITLE} You have no role in any tenant here. Ask an administrator of your tenant to run "
            f"`user invite <@{person.user_id}> AGENT`. Until then you can ask for:\n{_list(found)}"
        )
    # Help itself was given: there is nothing to do again.
    reasons = dict.fromkeys(one.closed_because.replace(", then do this again", "") for one in mine)
    names = [f"*{escape(one.tenant_name)}*" for one in mine if not one.closed_because]
    where = ", ".join(names) if len(names) < len(mine) and not is_operator else ""
    return "\n".join([*filter(None, reasons), _overview(found, where)])


def _overview(table: Sequence[Command], where: str = "") -> str:
    """`where` are the tenants that the list is about, as far as others are closed to the person."""
    nouns = ", ".join(f"`help {noun}`" for noun in _nouns(table))
    return "\n".join(
        [
            f"{TITLE} In {where} you can ask for:" if where else f"{TITLE} You can ask for:",
            _list(table),
            f"Each takes `--tenant NAME` where it is not clear which tenant is meant. More about: {nouns}.",
        ]
    )


def _list(table: Sequence[Command]) -> str:
    return "\n".join(f"• `{command.usage}`: {command.summary}" for command in table)


def _about(topic: Sequence[str], table: Sequence[Command]) -> str:
    """Help about a noun, or about a noun with its verb."""
    found = [command for command in table if command.name.split()[: len(topic)] == list(topic)]
    if not found:
        nouns = ", ".join(f"`help {noun}`" for noun in _nouns(table))
        raise BadInput(f"There is no help about `{escape(' '.join(topic))}`. There is: {nouns}.")
    return "\n".join([f"*{' '.join(topic).capitalize()}*", *(_lines(command) for command in found)])


def _lines(command: Command) -> str:
    about = f"{command.summary}. For {who_may(command.permission)}. {command.manner}".rstrip()
    example = f"\n      For example: `{command.example}`" if not command.takes_secrets else ""
    return f"• `{command.usage}`: {about}{example}"


def _nouns(table: Sequence[Command]) -> list[str]:
    return list(dict.fromkeys(command.noun for command in table))
