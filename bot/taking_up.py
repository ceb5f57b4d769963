"""From what arrived to a command with its words: typed, filled into its form, or asked back and answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from bot.call import Call
from bot.commands import COMMANDS, Asked, Command
from bot.commands.command import PAGE
from bot.commands.forms import FORM, filled_in
from bot.commands.parsing import command_of, parse
from bot.commands.questions import CANCEL, CHOOSE, CONFIRM
from database import in_database
from operations import slack_inbox
from operations.errors import Refused
from operations.slack_events import incoming

# Longer ago than this, what was about to be done may look different, and nobody remembers what was asked.
QUESTION_LIVES = timedelta(minutes=15)

NOT_YOURS = "Nothing was done: this question was not put to you, or is not known any more. Ask for it yourself."
TOO_OLD = "Nothing was done: this question is older than 15 minutes. Ask for it again."
FORM_GONE = "Nothing was done: this form is not known any more. Give the command again."
NO_PAGES = "Nothing was done: this button does not belong to that command."


def is_about_a_command(call: Call) -> bool:
    """Whether a command is asked for, in whichever way."""
    return (
        call.typed is not None
        or (call.submission is not None and call.submission.callback_id.startswith(FORM))
        or is_answer(call)
    )


def is_answer(call: Call) -> bool:
    """Whether a button below the answer to a command was clicked."""
    return call.submission is None and _kind(call) in {CONFIRM, CANCEL, CHOOSE, PAGE}


def is_cancelled(call: Call) -> bool:
    """Whether it was the one that takes the command back."""
    return is_answer(call) and _kind(call) == CANCEL


async def asked_in(call: Call) -> tuple[Command, Asked]:
    """The command that is asked for, with all its words; who asks is checked where it is carried out.

    Raises:
        Refused: it is not understood, or the button or form is somebody else's, or of long ago.
    """
    if call.typed is not None:
        asked = Asked(call.event_id, call.person, call.channel_id, tenant_id=call.tenant_id)
        return parse(call.typed, asked, COMMANDS)
    if call.submission is not None:
        return await _filled_in(call)
    return await _answered(call)


async def _filled_in(call: Call) -> tuple[Command, Asked]:
    submission = call.submission
    origin = await _origin(submission.origin, call, FORM_GONE) if submission is not None else None
    command = command_of(origin[0].typed or "", COMMANDS) if origin is not None else None
    if submission is None or origin is None or command is None or submission.callback_id != f"{FORM}{command.name}":
        raise Refused(FORM_GONE)
    asked = Asked(call.event_id, call.person, origin[0].channel_id, tenant_id=origin[0].tenant_id)
    return command, filled_in(command, asked, submission.values)


async def _answered(call: Call) -> tuple[Command, Asked]:
    """What was asked before the question, as the button below that answers it."""
    kind, (event_id, tenant_id, rest) = _kind(call), _parts(call)
    origin, age = await _origin(event_id, call, NOT_YOURS)
    if age > QUESTION_LIVES and kind != PAGE:
        raise Refused(TOO_OLD)
    if (origin.typed is None and origin.submission is None) or (kind == CHOOSE and tenant_id is None):
        raise Refused(NOT_YOURS)
    command, asked = await asked_in(origin)
    if kind == PAGE:
        if not command.pages:
            raise Refused(NO_PAGES)
        return command, replace(asked, tenant_id=tenant_id, cursor=rest)
    return command, replace(
        asked, tenant_id=tenant_id or asked.tenant_id, was_asked_back=True, is_confirmed=kind == CONFIRM
    )


async def _origin(event_id: str, call: Call, sentence: str) -> tuple[Call, timedelta]:
    """What was kept before, and how long ago, if the same person asked it."""
    found = _uuid(event_id)
    kept = await in_database(slack_inbox.kept, found) if found is not None else None
    row = incoming(kept.body) if kept is not None else None
    origin = Call.of(row, kept.body, kept.age) if kept is not None and row is not None else None
    if kept is None or origin is None or origin.person != call.person:
        raise Refused(sentence)
    return origin, kept.age


def _kind(call: Call) -> str:
    """An action id without what only tells the buttons of one message apart."""
    return ".".join(call.click.action_id.split(".")[:2]) if call.click is not None else ""


def _parts(call: Call) -> tuple[str, UUID | None, str]:
    event_id, _, more = (call.click.value if call.click is not None else "").partition(" ")
    tenant_id, _, rest = more.partition(" ")
    return event_id, _uuid(tenant_id), rest


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
