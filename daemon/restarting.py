"""Restarts a session once for each time that it is asked for, whatever dies on the way, and says how it ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.servers import Server
from database import in_database
from models import DesiredState, WahaSession
from operations import actions
from operations.actions import LeasedAction
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import SessionUnknown, WahaError
from waha.status import status_of

log = get_logger(__name__)

_LOOK_AGAIN_AFTER = timedelta(seconds=2)
_PATIENCE = timedelta(minutes=2)
_ENDS = {
    "working": "🟢 Session `{name}` was restarted and works. See `session show {name}`.",
    "scan_qr": "🟠 Session `{name}` was restarted and wants its phone linked: `session qr {name}`.",
    "failed": "🔴 Session `{name}` was restarted and failed again. See `session show {name}` for what to do.",
}


async def restart(action: LeasedAction, server: Server, *, now: datetime) -> None:
    """Call, then look until it has ended; what an earlier try began is looked at first."""
    session = await in_database(actions.session_of, action)
    is_called = bool(action.payload.get("called"))
    if not is_called and (session.deleted_at is not None or session.desired_state == DesiredState.STOPPED):
        await in_database(actions.give_up, action, _not_wanted(action))
    elif is_called or _was_heard(action, session):
        await _look(action, server, now)
    elif await _call(action, server, now):
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, "It was told to restart.")


async def _call(action: LeasedAction, server: Server, now: datetime) -> bool:
    tried_from = action.payload.get("tried_from", now.isoformat())
    if now - datetime.fromisoformat(tried_from) > _PATIENCE:
        await in_database(actions.give_up, action, _not_done(action, action.payload.get("seen", "nothing.")))
        return False
    if not await in_database(actions.begin, action, began=now.isoformat(), tried_from=tried_from):
        return False
    try:
        await server.client.restart_session(action.external_session_id)
    except SessionUnknown:
        # Whoever compares what should be with what is creates it anew.
        await in_database(actions.give_up, action, _unknown(action))
        return False
    except WahaError as error:
        log.warning("session not restarted, looked at again", action_id=action.action_id, reason=error.sentence)
        await in_database(actions.begin, action, seen=error.sentence)
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, error.sentence)
        return False
    log.info("session restarted", session_id=action.session_id, reason=action.payload.get("reason"))
    return await in_database(actions.begin, action, called=True)


async def _look(action: LeasedAction, server: Server, now: datetime) -> None:
    """WAHA's own word: where its webhooks do not arrive, ours is as old as the last poll."""
    try:
        seen = (await server.client.get_session(action.external_session_id)).waha_status
    except WahaError as error:
        seen = error.sentence
    if text := _ENDS.get(status_of(seen) or ""):
        await in_database(actions.done, action, text.format(name=foreign(action.session_name)))
    elif now - datetime.fromisoformat(action.payload["began"]) > _PATIENCE:
        await in_database(actions.give_up, action, _not_done(action, seen))
    else:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, seen)


def _was_heard(action: LeasedAction, session: WahaSession) -> bool:
    """Whether the session changed since a call whose answer nobody heard: then WAHA did what it was asked."""
    if (began := action.payload.get("began")) is None:
        return False
    changed_at = session.status_changed_at
    return changed_at is not None and changed_at > datetime.fromisoformat(began)


def _not_done(action: LeasedAction, seen: str) -> str:
    name = foreign(action.session_name)
    return (
        f"Session `{name}` could not be restarted within two minutes. WAHA says: {foreign(seen)} "
        f"See `session show {name}`."
    )


def _not_wanted(action: LeasedAction) -> str:
    name = foreign(action.session_name)
    return (
        f"Session `{name}` was not restarted: by now it should be stopped, or was removed. "
        f"Look with `session list`, and start it with `session start {name}`."
    )


def _unknown(action: LeasedAction) -> str:
    name = foreign(action.session_name)
    return (
        f"Session `{name}` was not restarted: WAHA server `{foreign(action.server)}` does not know it any more. "
        f"It is created there anew, and then wants its phone linked: `session qr {name}`."
    )
