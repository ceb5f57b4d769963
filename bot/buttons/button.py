"""A button and a form as values: who may use them is checked when they are used, for whoever does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bot.call import Call, Click
from models import Message
from operations.clicked import show_decision, stand_before
from operations.errors import BadInput, Refused
from operations.permissions import ROLES_OF, Permission
from operations.slack_inbox import Answer
from slack.blocks import Block

MOST_MESSAGES = 50

NOT_A_MESSAGE = "Nothing was changed: this button does not say which message it is about. See `message failed`."
TOO_LATE = (
    "Nothing was done: it could not be done when you clicked, and by now you may have reached the customer otherwise. "
    "Click again if it is still wanted."
)


@dataclass(frozen=True)
class Press:
    """A button about to do its work, inside the transaction: its messages are there, and the person may do it."""

    call: Call
    click: Click
    messages: Sequence[Message]

    @property
    def message(self) -> Message:
        return self.messages[0]

    @property
    def actor(self) -> str:
        return self.call.person.key

    def decided(self, what: str) -> None:
        """Rewrite what was clicked without its buttons. What only one person sees is not kept by Slack, and stays."""
        if self.click.text and self.click.message_ts:
            show_decision(
                self.message,
                channel_id=self.call.channel_id,
                ts=self.click.message_ts,
                text=f"{self.click.text}\n<@{self.call.person.user_id}> chose *{what}*.",
            )


Errors = Mapping[str, str]
"""By block id, what is wrong with what was entered; shown in the form, which stays open."""


@dataclass(frozen=True)
class Form:
    """What opens at a click. `run` gets the press of its button and what was entered."""

    callback_id: str
    view: Callable[[Press], Block]
    errors: Callable[[Mapping[str, str]], Errors]
    run: Callable[[Press, Mapping[str, str]], Answer]


@dataclass(frozen=True)
class Button:
    """One thing that can be clicked: it does its work at once, or opens a form."""

    action_id: str
    permission: Permission
    does: Callable[[Press], Answer] | Form

    def __post_init__(self) -> None:
        # An empty entry would let in whoever is let in by mistake: better nothing starts.
        if not ROLES_OF.get(self.permission):
            raise ValueError(f"Nobody may click {self.action_id}: it needs a permission that some role has.")

    @property
    def form(self) -> Form | None:
        return self.does if isinstance(self.does, Form) else None


def press(button: Button, call: Call) -> Press:
    """The button as this person clicked it; inside a transaction, whose tenant it sets.

    Raises:
        Refused: with the sentence for the person.
    """
    if call.click is None:
        raise BadInput(NOT_A_MESSAGE)
    if call.is_late and button.permission is Permission.MESSAGE_SEND:
        raise Refused(TOO_LATE)
    message_ids = _ids_in(call.click.value)
    return Press(call, call.click, stand_before(call.person, message_ids, button.permission))


def value_of(messages: Sequence[Message]) -> str:
    """What a button carries: ids, which mean nothing to anybody else and are checked at the click."""
    return ",".join(str(message.id) for message in messages[:MOST_MESSAGES])


def _ids_in(value: str) -> list[UUID]:
    try:
        found = list(dict.fromkeys(UUID(part) for part in value.split(",")))
    except ValueError as error:
        raise BadInput(NOT_A_MESSAGE) from error
    if len(found) > MOST_MESSAGES:
        raise BadInput(NOT_A_MESSAGE)
    return found
