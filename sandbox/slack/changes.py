"""Waiting for something to become true, without sleeping."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CHEAP_SECONDS = 0.0002
REST_SECONDS = 0.01


class Changes:
    """Whoever alters what people can see announces it; whoever waits looks again."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def announce(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        announced, self._next = self._next, asyncio.Event()
        announced.set()

    async def until(self, condition: Callable[[], T], seconds: float) -> T:
        """The first truthy value of `condition`.

        Raises:
            TimeoutError: it stayed falsy for so many seconds.
        """
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(seconds):
            while True:
                asked = clock()
                if value := condition():
                    return value
                # Who looks through thousands of messages is not woken for each of them.
                expensive = clock() - asked > CHEAP_SECONDS
                await self._next.wait()
                if expensive:
                    await asyncio.sleep(REST_SECONDS)
