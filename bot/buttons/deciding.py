"""The buttons under a message that did not simply leave."""

from __future__ import annotations

from functools import partial

from bot.buttons.button import Button, of_messages
from bot.buttons.editing import EDIT
from bot.buttons.written_over import OnMessages, decided
from operations import deciding
from operations.buttons import LABELS, RETRY_ALL, Act
from operations.errors import Refused
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.wording import counted


def decide(act: Act, press: OnMessages) -> Answer:
    said = deciding.decide(act, press.about[0].id, user_id=press.actor, new_id=press.call.new_id("message"))
    decided(press, LABELS[act])
    return Answer(said)


def retry_all(press: OnMessages) -> Answer:
    """Each by itself: what somebody else decided meanwhile is left, and keeps the others from nothing."""
    again = 0
    # In the order of their places, and of their conversations: two who retry wait for each other, and not in a circle.
    for message in sorted(press.about, key=lambda message: (str(message.conversation_id), message.seq or 0)):
        try:
            new_id = press.call.new_id(f"message {message.id}")
            deciding.decide(Act.RETRY, message.id, user_id=press.actor, new_id=new_id)
            again += 1
        except Refused:
            continue
    left = len(press.about) - again
    rest = f" {counted(left, 'message')} had been decided before, or may have left." if left else ""
    return Answer(f"{counted(again, 'message')} {'is' if again == 1 else 'are'} sent again.{rest}")


BUTTONS = (
    *(
        Button(act.value, Permission.MESSAGE_SEND, of_messages, partial(decide, act))
        for act in Act
        if act is not Act.EDIT  # which needs a text
    ),
    Button(Act.EDIT.value, Permission.MESSAGE_SEND, of_messages, EDIT),
    Button(RETRY_ALL, Permission.MESSAGE_SEND, of_messages, retry_all),
)
