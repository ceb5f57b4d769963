"""Ways to mistreat the starts of sessions on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.waha.switches import Switch


@dataclass(eq=False, kw_only=True)
class StartFault(Switch):
    """What becomes of a session that starts, also one whose connection was lost.

    - `hang`: it stays STARTING until it is started anew, or healed. `fail`: it becomes FAILED.
    - `drop`: it works, and loses its connection again a moment later.
    """

    kind: Literal["hang", "fail", "drop"]
    _let_go: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def heal(self) -> None:
        super().heal()
        self._let_go.set()

    async def hang(self) -> None:
        await self._let_go.wait()


class StartFaults:
    """What is switched on for starts; the first that is about a session and strikes wins.

    waha.starts.fail(session="acme", times=1)
    """

    def __init__(self) -> None:
        self._switched_on: list[StartFault] = []

    @property
    def switched_on(self) -> list[StartFault]:
        return [fault for fault in self._switched_on if not fault.is_over]

    def add(self, fault: StartFault) -> StartFault:
        self._switched_on.append(fault)
        return fault

    def hang(self, **when: Any) -> StartFault:
        """`when` here and below: `session`, `times`, `probability`, `seed` of a `Switch`."""
        return self.add(StartFault(kind="hang", **when))

    def fail(self, **when: Any) -> StartFault:
        return self.add(StartFault(kind="fail", **when))

    def drop(self, **when: Any) -> StartFault:
        return self.add(StartFault(kind="drop", **when))

    def heal(self) -> None:
        """Switches everything off and lets go of what hangs."""
        for fault in self._switched_on:
            fault.heal()
        self._switched_on.clear()

    def draw(self, session: str) -> StartFault | None:
        """The fault that strikes the start of this session now."""
        struck = (fault for fault in self._switched_on if fault.is_about(session) and fault.strikes())
        return next(struck, None)
