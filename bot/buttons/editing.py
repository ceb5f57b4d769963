"""The form with the text of a message that is sent in another wording."""

from __future__ import annotations

from collections.abc import Mapping

from bot.buttons.button import Errors, Form
from bot.buttons.written_over import OnMessages, decided
from operations import deciding
from operations.buttons import LABELS, Act
from operations.errors import BadInput, Refused
from operations.slack_inbox import Answer
from slack.blocks import Block, context, plain
from slack.mrkdwn import entities, to_whatsapp

# Slack's field takes no more.
LONGEST = 3000
_TEXT = "text"


def view(press: OnMessages) -> Block:
    """The form.

    Raises:
        Refused: there is nothing to edit any more, or the text does not fit into Slack's field.
    """
    message = press.about[0]
    if Act.EDIT not in deciding.acts_of(message):
        raise Refused(f"Nothing was changed. {deciding.state_of(message).value}")
    text = deciding.text_of(message)
    if len(text) > LONGEST:
        raise BadInput("This text is too long for a form. Write it again in the thread.")
    field = {
        "type": "plain_text_input",
        "action_id": _TEXT,
        "multiline": True,
        "max_length": LONGEST,
        "focus_on_load": True,
    }
    return {
        "type": "modal",
        "callback_id": EDIT.callback_id,
        "private_metadata": str(press.call.event_id),
        "title": plain("Edit the message"),
        "submit": plain("Send"),
        "close": plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": _TEXT,
                "label": plain("Text"),
                "hint": plain("The customer gets this in place of what did not reach them."),
                "element": field | ({"initial_value": text} if text else {}),
            },
            context("What the customer did not get stays in the list of messages, as it was."),
        ],
    }


def errors(values: Mapping[str, str]) -> Errors:
    text = values.get(_TEXT, "")
    if not text.strip():
        return {_TEXT: "Write what the customer should get."}
    if len(text) > LONGEST:
        return {_TEXT: f"At most {LONGEST:,} characters fit here; these are {len(text):,}."}
    return {}


def send(press: OnMessages, values: Mapping[str, str]) -> Answer:
    # A form's text is plain: only its emoji are written as in a message.
    text = to_whatsapp(entities(values[_TEXT]))
    said = deciding.edit(press.about[0].id, text, user_id=press.actor, new_id=press.call.new_id("message"))
    decided(press, LABELS[Act.EDIT])
    return Answer(said)


EDIT = Form(callback_id=Act.EDIT.value, view=view, errors=errors, run=send)
