"""Slack is asked who somebody is before they are answered: guests and people of other companies are let in nowhere."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from weakref import WeakKeyDictionary

from bot.call import Call
from database import in_database, transaction
from models import Outside
from operations import slack_people
from operations.errors import NotAllowed, Refused
from operations.permissions import FOR_ANYBODY, Permission
from operations.slack_people import Known
from operations.sql import database_now
from operations.standing import Person, kept_out
from settings.logs import get_logger
from slack.client import SlackClient
from slack.errors import SlackError, SlackRefused

# A click's form has to be open within 3 s of it, and this comes first.
LOOK_SECONDS = 1.5
# Who was not answered is not asked again at each command of a person who waits for it.
PAUSE_SECONDS = 30.0
_MOST_PAUSED = 1000

NOT_SAID = "Slack did not say who you are, so nothing was done. Try again."

log = get_logger(__name__)


class _Paused:
    """Whom Slack said nothing of a moment ago; of the newest alone, so that it stays small."""

    def __init__(self) -> None:
        self._until: OrderedDict[Person, float] = OrderedDict()

    def begin(self, person: Person) -> None:
        self._until.pop(person, None)
        self._until[person] = time.monotonic() + PAUSE_SECONDS
        if len(self._until) > _MOST_PAUSED:
            self._until.popitem(last=False)

    def __contains__(self, person: Person) -> bool:
        return self._until.get(person, 0.0) > time.monotonic()


_paused: WeakKeyDictionary[SlackClient, _Paused] = WeakKeyDictionary()


async def look(call: Call, slack: SlackClient) -> bool:
    """Ask Slack about who asks, unless it was asked lately; False when nothing is known of them at all.

    Where Slack is slow, away or refuses, what was kept before counts, and for a moment it is not asked again.

    Raises:
        NotAllowed: they are of another workspace, who may click in channels that both share.
    """
    person = call.person
    if person.team_id != call.slack_team_id:
        raise NotAllowed(kept_out(Outside.STRANGER))
    kept = await in_database(_known, person)
    paused = _paused.setdefault(slack, _Paused())
    if kept is not None and (kept.is_fresh or person in paused):
        return True
    return await _said(person, slack, event_id=call.event_id) or kept is not None


async def meet(person: Person, slack: SlackClient) -> bool:
    """The same for somebody who asks for nothing; whether Slack said something that was not known before."""
    kept = await in_database(_known, person)
    is_due = (kept is None or not kept.is_fresh) and person not in _paused.setdefault(slack, _Paused())
    return is_due and await _said(person, slack)


async def _said(person: Person, slack: SlackClient, **facts: object) -> bool:
    try:
        await ask(person, slack)
    except (SlackError, TimeoutError) as error:
        _paused.setdefault(slack, _Paused()).begin(person)
        log_unsaid(error, **facts)
        return False
    return True


def log_unsaid(error: SlackError | TimeoutError, **facts: object) -> None:
    """A refusal stays one until somebody acts; whatever else it is passes."""
    if isinstance(error, SlackRefused):
        log.error("Slack refuses to say who somebody is", reason=str(error), next_step=error.next_step, **facts)
    else:
        log.warning("Slack does not say who somebody is", reason=str(error) or type(error).__name__, **facts)


async def ask(person: Person, slack: SlackClient) -> None:
    """Ask Slack about somebody, and keep what it says.

    Raises:
        SlackError: it does not say.
        TimeoutError: it does not say in time.
    """
    asked_at = await in_database(database_now)
    async with asyncio.timeout(LOOK_SECONDS):
        found = await slack.user_info(person.user_id)
    await in_database(slack_people.remember, person, slack_people.outside_of(found, person.team_id), at=asked_at)


def require_known(permission: Permission | None, *, is_known: bool) -> None:
    """What is open to anybody is open to somebody of whom nothing is known; nothing else is.

    Raises:
        Refused: it is something else.
    """
    if not is_known and permission not in FOR_ANYBODY:
        raise Refused(NOT_SAID)


def way_in(person: Person) -> str:
    """What somebody without a role can do, where none can be given to them; else ""."""
    kept = _known(person)
    if kept is None or not kept.outside:
        return ""
    reason = slack_people.REASONS[Outside(kept.outside)]
    return (
        f"You have no role in any tenant here, and none can be given to you: <@{person.user_id}> {reason}. "
        "Ask an administrator of this Slack workspace for a full account."
    )


def _known(person: Person) -> Known | None:
    with transaction():
        return slack_people.known(person)
