"""Ways to misbehave on purpose, by path. A path may hold `*`, as in `/api/*/chats/all/messages`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Self


@dataclass
class Scripted:
    """An answer given instead of the real one. `carried_out`: the request is done nevertheless."""

    path: str
    status: int
    body: Any
    times: int | None
    carried_out: bool
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class HangUp:
    """The connection is cut instead of an answer."""

    path: str
    times: int | None
    carried_out: bool


class Hold:
    """Answers to a path are kept back until `release`; leaving the `with` block releases too.

    The request itself is carried out: what the caller sees is silence.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.held = 0
        self._open = asyncio.Event()

    def release(self) -> None:
        self._open.set()

    @property
    def released(self) -> bool:
        return self._open.is_set()

    async def wait(self) -> None:
        self.held += 1
        await self._open.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Faults:
    def __init__(self) -> None:
        self._holds: list[Hold] = []
        self._scripts: list[Scripted | HangUp] = []

    def hold(self, path: str) -> Hold:
        hold = Hold(path)
        self._holds.append(hold)
        return hold

    def release(self) -> None:
        for hold in self._holds:
            hold.release()

    def script(self, fault: Scripted | HangUp) -> None:
        self._scripts.append(fault)

    def forget_scripts(self) -> None:
        self._scripts.clear()

    def next_for(self, path: str) -> Scripted | HangUp | None:
        """The first fault that applies; it is used up by this."""
        for fault in self._scripts:
            if fnmatchcase(path, fault.path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._scripts.remove(fault)
                return fault
        return None

    async def pass_holds(self, path: str) -> None:
        self._holds = [hold for hold in self._holds if not hold.released]
        for hold in list(self._holds):
            if fnmatchcase(path, hold.path):
                await hold.wait()
