"""What every worker of the daemon does: look for work, do it, sleep until woken or until it is time to look again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from database.notifications import Wakeup
from settings.logs import get_logger

log = get_logger(__name__)

# A notification may be lost with its connection: workers look by themselves this often.
LOOK_EVERY_SECONDS = 2.0
_PAUSE_AFTER_TROUBLE_SECONDS = 1.0


async def repeat(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    wakeup: Wakeup,
    stopping: asyncio.Event,
    every_seconds: float = LOOK_EVERY_SECONDS,
    pause_seconds: float = 0.0,
) -> None:
    """Call `step` until the daemon stops: at once again while it finds work, else when woken or after a while.

    `pause_seconds` is between two steps however often it is woken.

    Nothing that a step raises ends the worker: what it was about is still a row, and is found again.
    """
    while not stopping.is_set():
        try:
            found = await step()
        except Exception:  # the edge of a worker
            log.exception("worker failed, going on", worker=name)
            found = False
            await until(stopping, _PAUSE_AFTER_TROUBLE_SECONDS)
        if pause_seconds:
            await until(stopping, pause_seconds)
        if not found:
            await wakeup.wait(every_seconds)


async def until(stopping: asyncio.Event, seconds: float) -> bool:
    """Sleep, but not longer than the daemon lives; True when it stops."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True


class Crew:
    """Tasks in flight, bounded in number, which are waited for at the end."""

    def __init__(self, size: int, wakeup: Wakeup) -> None:
        self.size = size
        self._wakeup = wakeup
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        return self.size - len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], **facts: Any) -> None:
        """Begin one piece of work; whoever looks for more is woken when it ends."""
        task = asyncio.create_task(self._guarded(work, facts))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finish(self) -> None:
        """Wait for what is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _guarded(self, work: Coroutine[Any, Any, None], facts: dict[str, Any]) -> None:
        try:
            await work
        except Exception:  # the edge of a task
            log.exception("work failed, it is taken up again", **facts)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wakeup.ring()
