"""Processes that are started again whenever they end, as a supervisor would, and killed now and then."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass

from sandbox.processes import Process, ProcessFailed

# What a process says that need not be started again: see `settings.CONFIGURATION_ERROR`.
HOPELESS = 78
PAUSE_SECONDS = 0.5
# A process that ends by itself more often than this has a reason that no new start mends.
MOST_ENDS = 20


@dataclass(frozen=True)
class End:
    """`code` is negative for a signal."""

    at: float
    process: str
    code: int


class Supervised:
    """One process, for as long as `run` does."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.ends: list[End] = []
        self.is_stopping = False

    @property
    def unasked(self) -> list[End]:
        """The ends that nobody caused."""
        return [end for end in self.ends if end.code != -signal.SIGKILL]

    async def run(self) -> None:
        """Keep it running.

        Raises:
            ProcessFailed: it says that starting it again would not help.
        """
        while True:
            await self.process.start()
            code = await self.process.ended()
            if self.is_stopping:
                return
            self.ends.append(End(time.time(), self.name, code))
            if code == HOPELESS or len(self.unasked) > MOST_ENDS:
                raise ProcessFailed(f"{self.name} gives up.\n{self.process.last_words()}")
            if code != -signal.SIGKILL:
                await asyncio.sleep(PAUSE_SECONDS)

    def kill(self) -> bool:
        """`kill -9`; False when it was not running."""
        return self.process.send(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.is_stopping = True
        return await self.process.stop()
