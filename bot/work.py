"""What was asked, as work for the desk: a command in whichever way it comes, a click, a form."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bot.call import Call
from bot.commands import COMMANDS, Asked, Command, Installation, forms
from bot.commands.carrying_out import cancel, carry_out, check
from bot.commands.command import Prepare
from bot.commands.forms import Tenants
from bot.commands.parsing import command_of
from bot.interactions import Work, form_is_open, open_form, work_of_a_click
from bot.outsiders import look, require_known
from bot.taking_up import asked_in, is_about_a_command, is_answer, is_cancelled
from database import in_database
from operations.errors import AmbiguousTenant, Refused
from operations.permissions import Permission
from operations.slack_inbox import Answer
from settings.logs import get_logger
from slack.client import SlackClient
from slack.errors import SlackError, SlackRefused

TOO_LATE = (
    "Not sent: this could not be done when you asked, and by now you may have reached the customer otherwise. "
    "Send it again if it is still wanted."
)

log = get_logger(__name__)


async def work_of(call: Call, slack: SlackClient, installation: Installation) -> Work:
    """What is to be done in the transaction. A command whose form was opened leaves nothing to do.

    Raises:
        Refused: with the sentence for the person.
    """
    is_known = await look(call, slack) or call.person.key in installation.operators
    if not is_about_a_command(call):
        require_known(None, is_known=is_known)
        return await work_of_a_click(call, slack)
    bare = command_of(call.typed, COMMANDS) if call.typed is not None else None
    if bare is not None and bare.has_form:
        require_known(bare.permission, is_known=is_known)
        return await _form(bare, call, slack, installation)
    command, asked = await asked_in(call)
    require_known(command.permission, is_known=is_known)
    if is_cancelled(call):
        return partial(cancel, asked)
    _require_in_time(command, call)
    if command.prepare is not None:
        await in_database(check, command, asked, installation)
        asked = await _prepared(command.prepare, asked, slack)
        _require_in_time(command, call)
    work = partial(carry_out, command, asked, installation)
    return partial(_in_place, work) if is_answer(call) else work


def _require_in_time(command: Command, call: Call) -> None:
    if command.permission is Permission.MESSAGE_SEND and call.is_late:
        raise Refused(TOO_LATE)


async def _form(command: Command, call: Call, slack: SlackClient, installation: Installation) -> Work:
    """Open the form of a command, for whoever may send it; where that fails, say how it is typed."""
    asked = Asked(call.event_id, call.person, call.channel_id, tenant_id=call.tenant_id)
    tenants: Tenants = ()
    try:
        await in_database(check, command, asked, installation)
    except AmbiguousTenant as question:
        tenants = question.choices
    try:
        await open_form(slack, call.trigger_id, forms.view(command, call.event_id, tenants))
    except Refused as refusal:
        how = "" if command.takes_secrets else ", so type it whole"
        raise command.misused(f"Its form did not open{how}.") from refusal
    return form_is_open


async def _prepared(prepare: Prepare, asked: Asked, slack: SlackClient) -> Asked:
    try:
        return await prepare(asked, slack)
    except SlackRefused as error:
        raise Refused(f"{error.sentence} {error.next_step}") from error
    except (SlackError, TimeoutError) as error:
        log.warning("Slack could not be asked", event_id=asked.event_id, reason=str(error))
        raise Refused("Slack did not say what is needed for this, so nothing was changed. Try again.") from error


def _in_place(work: Work) -> Answer:
    """What is done because of a question stands where the question stood."""
    return replace(work(), replaces=True)
