"""What a click or a form asks for, as work for the desk; and the forms that clicks open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from bot.buttons import BY_ACTION, BY_FORM, Button, Form, press
from bot.call import Call, submission_of
from bot.commands import COMMANDS, forms
from bot.commands.forms import FORM
from database import in_database, transaction
from operations import slack_inbox
from operations.errors import Refused
from operations.slack_events import Body, incoming
from operations.slack_inbox import Answer
from settings.logs import get_logger
from slack.blocks import Block, plain, section
from slack.client import SlackClient
from slack.errors import SlackError, SlackRefused

NO_LONGER = "This button does nothing any more. See `help` for what can be asked for."
NO_FORM = "Slack did not open the form in time. Click again."
FORM_GONE = "Nothing was changed: this form is not known any more. Click the button again."
NOTHING_TO_SAY = Answer("")

_TOO_LATE_FOR_A_FORM = frozenset({"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"})

log = get_logger(__name__)

Work = Callable[[], Answer]


async def work_of_a_click(call: Call, slack: SlackClient) -> Work:
    """What is to be done in the transaction. A click whose form was opened leaves nothing to do.

    Raises:
        Refused: with the sentence for the person.
    """
    if call.submission is not None:
        return partial(_submitted, call)
    button = BY_ACTION.get(call.click.action_id) if call.click is not None else None
    if button is None or call.click is None:
        raise Refused(NO_LONGER)
    if button.form is None:
        return partial(_clicked, button, call)
    # Before the transaction: Slack waits 3 s for a form, and takes it once.
    view = await in_database(_view, button.form, button, call)
    await open_form(slack, call.trigger_id, view)
    return form_is_open


def form_is_open() -> Answer:
    """What is left to do after a form was opened: the person sees it, and it opens once."""
    return NOTHING_TO_SAY


async def with_origin(call: Call) -> Call:
    """A form with what was clicked to open it: Slack says neither where that was nor how to answer.

    What is not known, or was somebody else's click, leaves the call as it is.
    """
    if call.submission is None or (origin_id := _uuid(call.submission.origin)) is None:
        return call
    kept = await in_database(slack_inbox.kept, origin_id)
    row = incoming(kept.body) if kept is not None else None
    if kept is None or row is None or (origin := Call.of(row, kept.body, kept.age)).person != call.person:
        return call
    return replace(
        call,
        click=origin.click,
        channel_id=origin.channel_id,
        response_url=origin.response_url,
        respond_until=origin.respond_until,
        is_from_home=origin.is_from_home,
    )


def errors_in(body: Body) -> Mapping[str, str]:
    """What is wrong with what was entered in a form; shown in it before anything is kept."""
    if body.get("type") != "view_submission":
        return {}
    submission = submission_of(body)
    if submission.callback_id.startswith(FORM):
        name = submission.callback_id.removeprefix(FORM)
        command = next((command for command in COMMANDS if command.name == name), None)
        return forms.errors(command, submission.values) if command is not None else {}
    button = BY_FORM.get(submission.callback_id)
    return button.form.errors(submission.values) if button is not None and button.form is not None else {}


def notice(text: str) -> Block:
    """A form that only says something, in place of the one that was sent."""
    return {"type": "modal", "title": plain("WhatsApp"), "close": plain("Close"), "blocks": [section(text)]}


def _clicked(button: Button[Any], call: Call) -> Answer:
    if isinstance(button.does, Form):
        raise TypeError(f"{button.action_id} opens a form.")
    return button.does(press(button, call))


def _submitted(call: Call) -> Answer:
    button = BY_FORM.get(call.submission.callback_id) if call.submission is not None else None
    if button is None or button.form is None or call.submission is None:
        raise Refused(NO_LONGER)
    if call.click is None or call.click.action_id != button.action_id:
        raise Refused(FORM_GONE)
    return button.form.run(press(button, call), call.submission.values)


def _view(form: Form[Any], button: Button[Any], call: Call) -> Block:
    with transaction():
        return form.view(press(button, call))


async def open_form(slack: SlackClient, trigger_id: str, view: Block) -> None:
    """Open a form.

    Raises:
        Refused: Slack did not, with the sentence for the person.
    """
    try:
        await slack.open_view(trigger_id, view)
    except SlackRefused as error:
        if error.reason in _TOO_LATE_FOR_A_FORM:
            raise Refused(NO_FORM) from error
        raise Refused(f"{error.sentence} {error.next_step}") from error
    except SlackError as error:
        log.warning("form was not opened", reason=str(error))
        raise Refused(NO_FORM) from error


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
