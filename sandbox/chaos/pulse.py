"""How long the simulators stood still: what they do later than a lease's margin allows no lease can exclude."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

_EVERY = 0.1


class Pulse:
    """Feels the event loop that the simulators share; `longest` is in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._feeling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._feeling = asyncio.create_task(self._feel())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeling is not None:
            self._feeling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._feeling

    async def _feel(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            await asyncio.sleep(_EVERY)
            self.longest = max(self.longest, clock() - before - _EVERY)
