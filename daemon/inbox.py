"""Works off both inboxes: a lane at a time each, many lanes at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from daemon.loops import Crew
from database import in_database
from database.notifications import Wakeup

# More threads of one process work off nothing more (they share a core), and acknowledging webhooks waits behind them:
# at 200 a second the slowest hundredth took twice as long with eight.
_AT_ONCE = 3
# Looked for at once, and then worked off in turn: the search costs as much as handling an event.
_LANES_AHEAD = 30
_IN_A_ROW = 20
_AFTER_NOTHING_SECONDS = 0.2
_AFTER_TROUBLE_SECONDS = 1.0


class InboxWorker:
    """One inbox.

    Args:
        due_lanes: lanes with something to do, `due_lanes(limit, after=…, busy=…)`.
        process: handles the first events of a lane; returns how many, 0 when none is due.
        wakeup: rings when something was stored.
    """

    def __init__(self, due_lanes: Callable[..., list[str]], process: Callable[[str], int], wakeup: Wakeup) -> None:
        self._due_lanes = due_lanes
        self._process = process
        self._busy: set[str] = set()
        self._ahead: deque[str] = deque()
        self._after = ""
        self.wakeup = wakeup
        self.crew = Crew(_AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free > 0 and not self._ahead:
            await self._look()
        while self.crew.free > 0 and self._ahead:
            lane = self._ahead.popleft()
            self._busy.add(lane)
            self.crew.start(self._work_off(lane))
        return False  # the end of each piece of work rings again

    async def _look(self) -> None:
        lanes = await in_database(self._due_lanes, _LANES_AHEAD, after=self._after, busy=list(self._busy))
        self._ahead.extend(lanes)
        # In turn, so that a busy lane starves none.
        self._after = lanes[-1] if lanes else ""

    async def _work_off(self, lane: str) -> None:
        pause = _AFTER_TROUBLE_SECONDS
        try:
            pause = _AFTER_NOTHING_SECONDS if await self._handle(lane) == 0 else 0
        finally:
            # At once it would be offered again, and again, while another daemon is at it or something is wrong.
            asyncio.get_running_loop().call_later(pause, self._let_go, lane)

    async def _handle(self, lane: str) -> int:
        """How many events of the lane were handled."""
        handled = 0
        while handled < _IN_A_ROW and (now := int(await in_database(self._process, lane))):
            handled += now
        return handled

    def _let_go(self, lane: str) -> None:
        self._busy.discard(lane)
        self.wakeup.ring()
