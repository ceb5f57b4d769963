"""Puts configurations on WAHA right: a proxy that people want, our webhook where it was lost, a session taken over."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from daemon import patience
from daemon.servers import Server
from daemon.session_setup import drift, foreign_hosts, is_lost, is_of_another, with_ours, with_proxy
from database import in_database
from models import SessionStatus, WahaSession
from operations import actions, adopting, configuring
from operations.actions import LeasedAction
from operations.encryption import CannotDecrypt
from operations.observing import Wanted
from operations.session_config import opened_config
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import SessionUnknown, WahaError, WahaRejected
from waha.payloads import SessionInfo
from waha.versions import store_is_on

log = get_logger(__name__)

_NAMED = 5


class Setups:
    """Sees in a poll's list where our part of a configuration is missing, and has it put right."""

    def __init__(self, server: Server, operators: Collection[str]) -> None:
        self._server = server
        self._operators = operators

    async def look(self, wanted: Sequence[Wanted], seen: Mapping[str, SessionInfo], now: datetime | None) -> None:
        """Nothing is asked of WAHA, and nothing written where all is right."""
        drifted = await asyncio.to_thread(self._drifted, wanted, seen)
        if not drifted:
            return
        at = now or datetime.now(UTC)
        asked = await in_database(configuring.ask_repairs, drifted, operators=self._operators, now=at)
        if asked:
            log.warning("configurations are put right", server=self._server.name, sessions=asked)

    def _drifted(self, wanted: Sequence[Wanted], seen: Mapping[str, SessionInfo]) -> list[tuple[UUID, UUID]]:
        return [
            (one.tenant_id, one.session_id)
            for one in wanted
            if not one.is_deleted
            and (info := seen.get(one.external_session_id)) is not None
            and drift(info.config, one.session_id, self._server)
        ]


async def configure(action: LeasedAction, server: Server, operators: Collection[str], *, now: datetime) -> None:
    """Read, change what is ours, write if anything differs; what is not ours stays as it is."""
    session = await in_database(actions.session_of, action)
    if session.deleted_at is not None:
        await in_database(actions.done, action)
        return
    was_lost = False
    try:
        own = opened_config(session.config, session.id)
        if "repair" in action.payload:
            was_lost = await _was_lost(action, server)
            if not await in_database(actions.begin, action, was_lost=was_lost):
                return
        await server.client.update_session_config(
            action.external_session_id, lambda config: _wanted(config, own, action, server)
        )
    except (CannotDecrypt, SessionUnknown, WahaRejected) as error:
        await _refused(action, error)
        return
    except WahaError as error:
        await patience.later(action, error, f"Session `{foreign(action.session_name)}` follows as soon as it can")
        return
    log.info("session configured", session_id=action.session_id, is_repair="repair" in action.payload)
    if "repair" in action.payload:
        await in_database(configuring.repaired, action, was_lost=was_lost, operators=operators, now=now)
    else:
        await in_database(configuring.configured, action, _proxied(session))


async def _was_lost(action: LeasedAction, server: Server) -> bool:
    """Also where an earlier try put our webhook back, and its answer was lost."""
    if action.payload.get("was_lost"):
        return True
    return is_lost((await server.client.get_session(action.external_session_id)).config, server)


def _wanted(config: dict[str, Any], own: Mapping[str, Any], action: LeasedAction, server: Server) -> dict[str, Any]:
    after = with_ours(config, action.session_id, server)
    if "proxy" in own:
        return with_proxy(after, own["proxy"])
    return with_proxy(after, None) if action.payload.get("proxy") == "none" else after


async def _refused(action: LeasedAction, error: Exception) -> None:
    name = foreign(action.session_name)
    if isinstance(error, SessionUnknown):
        # It is created anew with what people want, as soon as it should run.
        text = f"WAHA does not know session `{name}` yet; it is created with this when it is started."
    elif isinstance(error, WahaError):
        text = f"WAHA refused the configuration of session `{name}`: {foreign(error.sentence)} Give other values."
    else:
        text = (
            f"The password of the proxy of session `{name}` cannot be read: none of the encryption keys opens it. "
            "Run `session proxy` again, alone."
        )
    await in_database(actions.give_up, action, text)


def _proxied(session: WahaSession) -> str:
    name, proxy = foreign(session.name), configuring.shown_proxy(session)
    how = f"goes through proxy {foreign(proxy)} now" if proxy else "goes through no proxy now"
    return f"Session `{name}` {how}; it was restarted for that if it ran. See `session show {name}`."


async def adopt(action: LeasedAction, server: Server, *, now: datetime) -> None:  # noqa: ARG001 - as all that carry out
    """Find the session, add what is ours to its configuration, and give it to its tenant."""
    name, before = action.external_session_id, dict[str, Any]()
    session = await in_database(actions.session_of, action)
    if session.deleted_at is not None:
        text = f"Session `{foreign(action.session_name)}` was removed before it was taken over; see `session list`."
        await in_database(adopting.not_adopted, action, text)
        return
    try:

        def change(config: dict[str, Any]) -> dict[str, Any]:
            before.update(config)
            return with_ours(config, action.session_id, server)

        info = await server.client.update_session_config(name, change)
    except SessionUnknown:
        await _tell_what_there_is(action, server)
        return
    except WahaRejected as error:
        sentence = f"WAHA refused to be configured for `{foreign(name)}`: {foreign(error.sentence)}"
        await in_database(adopting.not_adopted, action, f"{sentence} Nothing was taken over.")
        return
    except WahaError as error:
        await patience.later(action, error, f"Session `{foreign(name)}` is taken over as soon as it can be")
        return
    log.info("session adopted", session_id=action.session_id)
    status = SessionStatus(info.status) if info.status is not None else SessionStatus.STARTING
    await in_database(
        adopting.adopted,
        action,
        _welcome(action, info, before, server),
        status=status,
        me_id=info.me.chat_id if info.me else None,
        trusts_ids=store_is_on(session.engine.value, before),
    )


def _welcome(action: LeasedAction, info: SessionInfo, before: Mapping[str, Any], server: Server) -> str:
    name = foreign(action.session_name)
    others = ", ".join(foreign(host) for host in foreign_hosts(before, server))
    parts = [
        f"🟢 Session `{name}` is taken over from WAHA server `{foreign(action.server)}`; no code has to be scanned."
    ]
    if info.me is None:
        parts = [f"🟠 Session `{name}` is taken over, but no phone is linked to it: `session qr {name}`."]
    elif info.status == "stopped":
        parts.append(f"It is stopped there, and stays so until `session start {name}`.")
    if others:
        parts.append(f"WAHA tells others too what happens in it, and still does: {others}.")
    if is_of_another(before, action.session_id):
        parts.append("It carried the mark of another Switchboard, which must not look after it any longer.")
    parts.append(f"Give its conversations a channel: `channel link --session {name}`.")
    return " ".join(parts)


async def _tell_what_there_is(action: LeasedAction, server: Server) -> None:
    wanted = action.external_session_id
    try:
        infos = await server.client.list_sessions()
    except WahaError as error:
        await patience.later(action, error, f"Session `{foreign(wanted)}` is looked for as soon as it is back")
        return
    free = [info.name for info in infos if not is_of_another(info.config, action.session_id)]
    near = difflib.get_close_matches(wanted, free, n=_NAMED, cutoff=0.3) or sorted(free)[:_NAMED]
    there = ", ".join(f"`{foreign(one)}`" for one in near)
    there_is = f"Not taken over yet: {there}." if there else "All sessions there are looked after already."
    text = (
        f"WAHA server `{foreign(action.server)}` has no session called `{foreign(wanted)}`, so nothing was taken over. "
        f"{there_is} Then `session adopt WAHA_NAME`."
    )
    await in_database(adopting.not_adopted, action, text)
