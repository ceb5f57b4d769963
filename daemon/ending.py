"""Logs sessions out of their phones and has WAHA forget them: for a person who asked, never by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon import patience
from daemon.servers import Server
from database import in_database
from operations import actions, session_ends
from operations.actions import LeasedAction
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import SessionUnknown, WahaError

log = get_logger(__name__)

# Whoever wanted a phone logged out an hour ago may have linked it again since, elsewhere.
_LOGOUT_WITHIN = timedelta(hours=1)


async def logout(action: LeasedAction, server: Server, *, now: datetime) -> None:
    """End the pairing. After a try whose outcome nobody heard, WAHA is asked whether there still is one."""
    name = foreign(action.session_name)
    if now - action.created_at > _LOGOUT_WITHIN:
        await in_database(actions.give_up, action, _given_up(action))
        return
    try:
        if not (action.payload.get("began") and await _is_logged_out(action, server)):
            if not await in_database(actions.begin, action, began=now.isoformat()):
                return
            await server.client.logout_session(action.external_session_id)
    except SessionUnknown:
        pass  # what WAHA does not know has no pairing
    except WahaError as error:
        await patience.later(action, error, f"Session `{name}` is logged out as soon as it is back")
        return
    log.info("session logged out", session_id=action.session_id)
    text = (
        f"⚪ Session `{name}` is logged out: its phone is linked no more, and it is stopped. "
        f"Link a phone again: `session qr {name}`."
    )
    await in_database(session_ends.logged_out, action, text, at=now)


async def remove(action: LeasedAction, server: Server, *, now: datetime) -> None:  # noqa: ARG001 - as all that carry out
    """Have WAHA forget a session, however long that takes; to delete what is not there changes nothing."""
    name = foreign(action.session_name)
    try:
        await server.client.delete_session(action.external_session_id)
    except WahaError as error:
        await patience.later(action, error, f"It forgets session `{name}` as soon as it is back; you need do nothing")
        return
    while await in_database(session_ends.fail_waiting, action):
        pass
    log.info("session removed", session_id=action.session_id)
    text = (
        f"WAHA server `{foreign(action.server)}` has forgotten session `{name}`. If its phone still shows a linked "
        "device, remove it there: WhatsApp, Linked devices."
    )
    await in_database(session_ends.removed, action, text)


def _given_up(action: LeasedAction) -> str:
    name, server = foreign(action.session_name), foreign(action.server)
    what = (
        f"Whether session `{name}` was logged out is not known: WAHA server `{server}` was told to, and could not be "
        "asked since what became of it. Look on the phone, and end the link there"
        if action.payload.get("began")
        else f"Session `{name}` was not logged out: WAHA server `{server}` could not be reached for an hour. End the "
        "link on the phone instead"
    )
    return f"{what}: WhatsApp, Linked devices. Or ask again: `session logout {name}`."


async def _is_logged_out(action: LeasedAction, server: Server) -> bool:
    return (await server.client.get_session(action.external_session_id)).me is None
