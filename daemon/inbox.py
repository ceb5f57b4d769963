"""Works off both inboxes: a lane at a time each, many lanes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.loops import Crew
from database import in_database
from database.notifications import Wakeup

# More threads of one process work off nothing more (they share a core), and acknowledging webhooks waits behind them:
# at 200 a second the slowest hundredth took twice as long with eight.
_AT_ONCE = 4
_IN_A_ROW = 20
_AFTER_NOTHING_SECONDS = 0.2
_AFTER_TROUBLE_SECONDS = 1.0


class InboxWorker:
    """One inbox.

    Args:
        due_lanes: lanes with something to do, `due_lanes(limit, busy=…)`.
        process_head: handles the first event of a lane; False when there is none that is due.
        wakeup: rings when something was stored.
    """

    def __init__(
        self, due_lanes: Callable[..., list[str]], process_head: Callable[[str], bool], wakeup: Wakeup
    ) -> None:
        self._due_lanes = due_lanes
        self._process_head = process_head
        self._busy: set[str] = set()
        self.wakeup = wakeup
        self.crew = Crew(_AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        lanes = await in_database(self._due_lanes, self.crew.free, busy=list(self._busy))
        for lane in lanes:
            self._busy.add(lane)
            self.crew.start(self._work_off(lane))
        return False  # the end of each piece of work rings again

    async def _work_off(self, lane: str) -> None:
        pause = _AFTER_TROUBLE_SECONDS
        try:
            pause = _AFTER_NOTHING_SECONDS if await self._handle(lane) == 0 else 0
        finally:
            # At once it would be offered again, and again, while another daemon is at it or something is wrong.
            asyncio.get_running_loop().call_later(pause, self._let_go, lane)

    async def _handle(self, lane: str) -> int:
        """How many events of the lane were handled."""
        for handled in range(_IN_A_ROW):
            if not await in_database(self._process_head, lane):
                return handled
        return _IN_A_ROW

    def _let_go(self, lane: str) -> None:
        self._busy.discard(lane)
        self.wakeup.ring()
