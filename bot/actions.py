"""Everything that a person can ask for in Slack, and who may: the page of it is made from the one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.buttons import BUTTONS
from bot.commands import COMMANDS
from models import UserRole
from operations.permissions import Permission, may

OPERATOR = "operator"
NOBODY = "anybody else"
COLUMNS = (*(role.value for role in UserRole), OPERATOR, NOBODY)


@dataclass(frozen=True)
class Action:
    """One thing to ask for. `is_by_role` is what operators may do only with a role in the tenant."""

    name: str
    permission: Permission
    is_by_role: bool = False

    def is_open_to(self, who: str) -> bool:
        """Whether one of `COLUMNS` may."""
        role = UserRole(who) if who in set(UserRole) else None
        return may(self.permission, role, is_operator=who == OPERATOR and not self.is_by_role)


REPLY = Action("a reply in a conversation's thread", Permission.MESSAGE_SEND, is_by_role=True)

ACTIONS = (
    *(Action(command.name, command.permission) for command in COMMANDS),
    *(Action(f"button {button.action_id}", button.permission, is_by_role=True) for button in BUTTONS),
    REPLY,
)


def page(root: str) -> str:
    """The table of permissions as a page of Markdown."""
    return "\n".join(_lines(root)) + "\n"


def _lines(root: str) -> Iterator[str]:
    yield "# Permissions"
    yield ""
    yield f"Made by `make manifest` from the table that the checks read. Commands are typed after `{root}`. Each is"
    yield "checked when it is typed, again when a button below it is clicked or its form is sent, for whoever does so,"
    yield "and a reply when it is sent. Whoever is deactivated, a guest, of another company, or has a password to enter"
    yield "counts as *anybody else* until that is over, whatever their role, but for operators: they remain operators,"
    yield "and only a role of theirs does not count. What is not in this table, nobody may do."
    yield ""
    yield f"| | permission | {' | '.join(COLUMNS)} |"
    yield f"|---|---|{'---|' * len(COLUMNS)}"
    for action in ACTIONS:
        cells = " | ".join("yes" if action.is_open_to(who) else "" for who in COLUMNS)
        yield f"| {action.name} | `{action.permission}` | {cells} |"
    yield ""
    yield "The buttons below a command's answer, which confirm it, choose its tenant or turn its pages, need what the"
    yield "command needs. An operator decides about messages only with a role in the tenant, which leaves an entry in"
    yield "the audit."
