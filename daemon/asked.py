"""Carries out what was asked of WAHA besides messages: by people, or by whoever looks after the sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta

from daemon import configuring, ending, pairing, restarting
from daemon.loops import Crew
from daemon.servers import Server
from database import in_database
from database.notifications import Wakeup
from models import ActionKind
from operations import actions
from operations.actions import LeasedAction
from operations.encryption import KeyRing

# Of one server.
_AT_ONCE = 4
_LEASE = timedelta(seconds=75)  # the longest control call, and then some

_CARRIERS = {
    ActionKind.RESTART.value: restarting.restart,
    ActionKind.LOGOUT.value: ending.logout,
    ActionKind.REMOVE.value: ending.remove,
    ActionKind.ADOPT.value: configuring.adopt,
}


def _utc() -> datetime:
    return datetime.now(UTC)


class ActionWorker:
    """Actions of all servers; a few of a server at once, so that a WAHA that hangs keeps no other waiting."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        ring: KeyRing,
        wakeup: Wakeup,
        *,
        operators: Collection[str] = (),
        clock: Callable[[], datetime] = _utc,
    ) -> None:
        self._operators = operators
        self._clock = clock
        self._servers = servers
        self._ring = ring
        self.wakeup = wakeup
        self._busy: Counter[str] = Counter()
        self.crew = Crew(_AT_ONCE * len(servers), wakeup)

    async def step(self) -> bool:
        found = [await self._begin(server) for server in self._servers]
        return any(found)

    async def _begin(self, server: str) -> bool:
        free = _AT_ONCE - self._busy[server]
        if free <= 0:
            return False
        leased = await in_database(actions.lease, free, _LEASE, servers=[server])
        for action in leased:
            self._busy[server] += 1
            self.crew.start(self._see_to(action), action_id=str(action.action_id), kind=action.kind)
        return bool(leased)

    async def _see_to(self, action: LeasedAction) -> None:
        try:
            await self._carry_out(action)
        finally:
            self._busy[action.server] -= 1

    async def _carry_out(self, action: LeasedAction) -> None:
        server, now = self._servers[action.server], self._clock()
        if action.kind in {ActionKind.QR, ActionKind.PAIR}:
            await pairing.look(action, server, self._ring, now=now)
        elif action.kind == ActionKind.CONFIGURE:
            await configuring.configure(action, server, self._operators, now=now)
        elif (carry := _CARRIERS.get(action.kind)) is not None:
            await carry(action, server, now=now)
        else:
            await in_database(actions.give_up, action, f"`{action.kind}` cannot be asked of WAHA yet.")
