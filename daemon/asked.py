"""Carries out what was asked of WAHA besides messages: by people, or by whoever looks after the sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from daemon import restarting
from daemon.loops import Crew
from daemon.servers import Server
from database import in_database
from database.notifications import Wakeup
from models import ActionKind, uuid7
from operations import actions
from operations.actions import LeasedAction
from operations.encryption import KeyRing
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import WahaError

log = get_logger(__name__)

_LEASE = timedelta(seconds=75)  # the longest control call, and then some
_LOOK_AGAIN_AFTER = timedelta(seconds=1)
_PATIENCE = timedelta(minutes=2)


_CARRIERS = {ActionKind.RESTART.value: restarting.restart}


def _utc() -> datetime:
    return datetime.now(UTC)


class ActionWorker:
    """Actions of all servers."""

    def __init__(
        self, servers: Mapping[str, Server], ring: KeyRing, wakeup: Wakeup, *, clock: Callable[[], datetime] = _utc
    ) -> None:
        self._clock = clock
        self._servers = servers
        self._ring = ring
        self.wakeup = wakeup
        self.crew = Crew(4, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        leased = await in_database(actions.lease, self.crew.free, _LEASE, servers=list(self._servers))
        for action in leased:
            self.crew.start(self._carry_out(action), action_id=str(action.action_id), kind=action.kind)
        return bool(leased)

    async def _carry_out(self, action: LeasedAction) -> None:
        if action.kind == ActionKind.QR:
            await self._send_qr(action)
        elif (carry := _CARRIERS.get(action.kind)) is not None:
            await carry(action, self._servers[action.server], now=self._clock())
        else:
            await in_database(actions.give_up, action, f"`{action.kind}` cannot be asked of WAHA yet.")

    async def _send_qr(self, action: LeasedAction) -> None:
        name = foreign(action.session_name)
        if action.status == "working":
            text = f"Session `{name}` is linked to its phone already, so there is no code to scan."
            await in_database(actions.give_up, action, text)
            return
        if action.status != "scan_qr":
            await self._wait_for_code(action)
            return
        server = self._servers[action.server]
        try:
            png = await server.client.qr_png(action.external_session_id)
        except WahaError as error:
            log.warning("QR code not had, trying again", action_id=action.action_id, reason=error.sentence)
            await self._wait_for_code(action)
            return
        await in_database(actions.send_qr, action, png, post_id=uuid7(), ring=self._ring)

    async def _wait_for_code(self, action: LeasedAction) -> None:
        if self._clock() - action.created_at < _PATIENCE:
            await in_database(actions.later, action, _LOOK_AGAIN_AFTER, f"The session is {action.status}.")
            return
        name = foreign(action.session_name)
        text = (
            f"Session `{name}` had no QR code within two minutes; it is {action.status}. "
            f"See `session show {name}`, start it if it is stopped, then ask again: `session qr {name}`."
        )
        await in_database(actions.give_up, action, text)
