"""A button and a form as values: who may use them is checked when they are used, for whoever does.

A button about messages:

    Button("message.retry", Permission.MESSAGE_SEND, of_messages, retry)

About rows of another kind, which a function of its own finds for whoever clicks, or refuses:

    def of_invitation(call: Call, value: str, permission: Permission) -> Invitation:
        return invitations.open_for(call.person, id_in(value))

    def accept(press: Press[Invitation]) -> Answer:
        return Answer(invitations.accept(press.about, …), replaces=True)

    Button("invitation.accept", Permission.ONESELF, of_invitation, accept)

The buttons below the answer to a command need none of this: see `Turn.page_button` and `Command.confirm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from bot.call import Call, Click
from models import Message
from operations.clicked import stand_before
from operations.errors import BadInput, Refused
from operations.permissions import FOR_ANYBODY, ROLES_OF, Permission
from operations.slack_inbox import Answer
from slack.blocks import Block

S = TypeVar("S")

MOST_MESSAGES = 50

NOT_A_MESSAGE = "Nothing was changed: this button does not say which message it is about. See `message failed`."
NOT_KNOWN = "Nothing was changed: this button does not say what it is about."
TOO_LATE = (
    "Nothing was done: it could not be done when you clicked, and by now you may have reached the customer otherwise. "
    "Click again if it is still wanted."
)


@dataclass(frozen=True)
class Press(Generic[S]):
    """A button about to do its work, inside the transaction: `about` is there, and the person may do it."""

    call: Call
    click: Click
    about: S

    @property
    def actor(self) -> str:
        return self.call.person.key


Stand = Callable[[Call, str, Permission], S]
"""Finds what the value of a button names, for whoever clicks, inside a transaction whose tenant it sets.

The value is the client's word. Raises `Refused` where the person may not, and the same sentence where nothing is there.
"""

Errors = Mapping[str, str]
"""By block id, what is wrong with what was entered; shown in the form, which stays open."""


@dataclass(frozen=True)
class Form(Generic[S]):
    """What opens at a click. `run` gets the press of its button and what was entered."""

    callback_id: str
    view: Callable[[Press[S]], Block]
    errors: Callable[[Mapping[str, str]], Errors]
    run: Callable[[Press[S], Mapping[str, str]], Answer]


@dataclass(frozen=True)
class Button(Generic[S]):
    """One thing that can be clicked: it does its work at once, or opens a form.

    `if_late` is said instead where whoever clicked has stopped waiting; "" for what is as right later.
    """

    action_id: str
    permission: Permission
    stand: Stand[S]
    does: Callable[[Press[S]], Answer] | Form[S]
    if_late: str = ""

    def __post_init__(self) -> None:
        # An empty entry would let in whoever is let in by mistake: better nothing starts.
        if not ROLES_OF.get(self.permission) and self.permission not in FOR_ANYBODY:
            raise ValueError(f"Nobody may click {self.action_id}: it needs a permission that some role has.")

    @property
    def form(self) -> Form[S] | None:
        return self.does if isinstance(self.does, Form) else None


def press(button: Button[S], call: Call) -> Press[S]:
    """The button as this person clicked it; inside a transaction, whose tenant it sets.

    Raises:
        Refused: with the sentence for the person.
    """
    if call.click is None:
        raise BadInput(NOT_KNOWN)
    too_late = button.if_late or (TOO_LATE if button.permission is Permission.MESSAGE_SEND else "")
    if call.is_late and too_late:
        raise Refused(too_late)
    return Press(call, call.click, button.stand(call, call.click.value, button.permission))


def of_messages(call: Call, value: str, permission: Permission) -> list[Message]:
    """The messages whose ids a button carries.

    Raises:
        Refused: with the sentence for the person.
    """
    return stand_before(call.person, _ids_in(value), permission)


def value_of(messages: Sequence[Message]) -> str:
    """What a button carries: ids, which mean nothing to anybody else and are checked at the click."""
    return ",".join(str(message.id) for message in messages[:MOST_MESSAGES])


def id_in(value: str) -> UUID:
    """The one id that a button carries.

    Raises:
        BadInput: it carries something else.
    """
    try:
        return UUID(value)
    except ValueError as error:
        raise BadInput(NOT_KNOWN) from error


def _ids_in(value: str) -> list[UUID]:
    try:
        found = list(dict.fromkeys(UUID(part) for part in value.split(",")))
    except ValueError as error:
        raise BadInput(NOT_A_MESSAGE) from error
    if len(found) > MOST_MESSAGES:
        raise BadInput(NOT_A_MESSAGE)
    return found
