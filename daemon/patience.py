"""What is done when WAHA does not carry out an order: it is asked again, later each time, which is said once."""

from __future__ import annotations

from datetime import timedelta

from database import in_database
from operations import actions
from operations.actions import LeasedAction
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import WahaError

log = get_logger(__name__)

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=5)


async def later(action: LeasedAction, error: WahaError, promise: str) -> None:
    """Try again; `promise` is what the asker may expect, as the end of a sentence without its full stop."""
    log.warning("not carried out yet", action_id=action.action_id, kind=action.kind, reason=error.sentence)
    if not action.payload.get("told"):
        text = f"WAHA server `{foreign(action.server)}` did not do it yet: {foreign(error.sentence)} {promise}."
        await in_database(actions.tell_once, action, text)
    pause = min(_FIRST_PAUSE * 2 ** min(action.attempts, 10), _LONGEST_PAUSE)
    await in_database(actions.later, action, pause, error.sentence)
