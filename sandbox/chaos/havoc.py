"""Carries the schedule out: kills processes, and switches the simulators' faults on for their seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.chaos.freezing import freeze
from sandbox.chaos.house import House
from sandbox.chaos.opening import SESSIONS
from sandbox.chaos.schedule import FREEZES, Fault
from sandbox.chaos.troubles import End, begin_at_slack, begin_at_waha


@dataclass(frozen=True)
class Struck:
    """A fault that was carried out, at this time of the clock. `words` say on whom."""

    at: float
    words: str
    is_kill: bool


class Havoc:
    """One run's faults. `struck` lists them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.struck: list[Struck] = []
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def kills(self) -> int:
        return sum(1 for one in self.struck if one.is_kill)

    async def run(self, faults: Iterable[Fault]) -> None:
        """Until it is cancelled."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for fault in faults:
            await asyncio.sleep(max(0.0, began + fault.at - clock()))
            if fault.is_kill:
                self._kill(fault)
            else:
                self._begin(fault)

    async def heal(self) -> None:
        """Let what is under way end, then switch everything off."""
        await asyncio.gather(*self._under_way)
        self._house.heal()

    def _kill(self, fault: Fault) -> None:
        postgres = self._house.postgres
        done = {
            "postgres stopped": postgres.stop,
            "postgres crashed": postgres.crash,
            "keeper": postgres.kill_keeper,
        }.get(fault.name) or self._house.processes[fault.name].kill
        if done():
            self.struck.append(Struck(time.time(), f"kill: {fault.name}", is_kill=True))

    def _begin(self, fault: Fault) -> None:
        task = asyncio.create_task(self._strike(fault))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _strike(self, fault: Fault) -> None:
        words = f"fault: {fault.name}"
        if fault.name == "postgres stalled":
            self._note(f"{words} for {fault.seconds:.1f} s")
            self._house.postgres.stall()
            end: End = self._house.postgres.go_on
        elif fault.name in FREEZES:
            self._note(words)
            frozen = self._house.processes[fault.name.removesuffix(" frozen")].process
            await freeze(frozen, self._house.postgres, self._house.wahas["gows"])
            return
        elif fault.name.startswith("slack"):
            self._note(f"{words} for {fault.seconds:.1f} s")
            end = await begin_at_slack(self._house.slack, fault, self._channels)
        else:
            # In proportion to their load.
            names = [name for name, count in SESSIONS.items() for _ in range(count)]
            name = names[int(fault.draw * len(names))]
            self._note(f"{words} at {name} for {fault.seconds:.1f} s")
            end = await begin_at_waha(self._house.wahas[name], fault)
        await asyncio.sleep(fault.seconds)
        await _finish(end)

    @property
    def _channels(self) -> list[str]:
        return [f"{server}-1" for server in SESSIONS]

    def _note(self, words: str) -> None:
        self.struck.append(Struck(time.time(), words, is_kill=False))


async def _finish(end: End) -> None:
    ending = end()
    if ending is not None:
        await ending
