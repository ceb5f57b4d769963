"""Carries the schedule out: kills processes, and switches the simulators' faults on for their seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.chaos.house import House
from sandbox.chaos.schedule import Fault
from sandbox.waha import SandboxWaha

# A fault without `times` ends with its seconds; these strike only part of the calls meanwhile.
_SOME = 0.4
_POST = "chat.postMessage"
_SEND = "/api/sendText"


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
        waha_name = ("gows", "gows", "webjs")[int(fault.draw * 3)]
        on = f" on {waha_name}" if fault.name.startswith("waha") else ""
        words = f"fault: {fault.name}{on} for {fault.seconds:.1f} s"
        self.struck.append(Struck(time.time(), words, is_kill=False))
        task = asyncio.create_task(self._strike(fault, self._house.wahas[waha_name]))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _strike(self, fault: Fault, waha: SandboxWaha) -> None:
        slack = self._house.slack
        channels = sorted(channel.name for channel in slack.state.workspace.channels.values() if "-" in channel.name)
        for_a_while: dict[str, Any] = {"times": None, "seconds": fault.seconds}
        some = for_a_while | {"probability": _SOME}
        switches: dict[str, Callable[[], object]] = {
            "slack latency": lambda: slack.fail("*", latency=(0.05, 1.0), **for_a_while),
            "slack 429": lambda: slack.fail(_POST, status=429, retry_after=1, **some),
            "slack 500": lambda: slack.fail("*", status=500, **some),
            "slack hangs": lambda: slack.fail(_POST, hang=4.0, **some),
            "slack cut before": lambda: slack.fail("*", drop=True, **some),
            "slack cut after storing": lambda: slack.fail(_POST, drop_after_storing=True, **some),
            "slack hangs after storing": lambda: slack.fail(_POST, hang=4.0, after_storing=True, **some),
            "slack channel limited": lambda: slack.fail(
                _POST, status=429, retry_after=2, channel=channels[int(fault.draw * len(channels))], **for_a_while
            ),
            "slack sockets cut": lambda: slack.cut_connections(1 + round(fault.draw)),
            "slack pongs muted": slack.mute_pongs,
            "slack events doubled": lambda: slack.disturb_events(copies=2, same_event_id=True),
            "slack events doubled under new ids": lambda: slack.disturb_events(copies=2),
            "slack events swapped": lambda: slack.disturb_events(share=_SOME, swap_within=0.5),
            "slack events late": lambda: slack.disturb_events(share=_SOME, late=(0.1, 3.0)),
            "slack acknowledgements lost": lambda: slack.disturb_events(lose_acks=_SOME),
            "waha 500": lambda: waha.answer(_SEND, status=500, body={"error": "chaos"}, times=10),
            "waha hangs after carrying out": lambda: waha.hold_answers(_SEND),
            "waha hangs": lambda: waha.hold_answers("*"),
            "waha cut before": lambda: waha.hang_up(_SEND, times=10),
            "waha cut after carrying out": lambda: waha.hang_up(_SEND, times=10, carried_out=True),
            "waha connection lost": lambda: waha.lose_connection(waha.sessions.all()[0].name),
        }
        if fault.name == "slack reconnect asked":
            await slack.disconnect()
        elif fault.name == "slack away":
            await slack.go_down()
        elif fault.name == "waha away":
            await waha.go_down()
        else:
            switches.get(fault.name, lambda: None)()
        await asyncio.sleep(fault.seconds)
        await self._end(fault, waha)

    async def _end(self, fault: Fault, waha: SandboxWaha) -> None:
        slack = self._house.slack
        if fault.name.startswith("slack events") or fault.name == "slack acknowledgements lost":
            slack.state.events.heal()
        elif fault.name == "slack pongs muted":
            slack.mute_pongs(False)
        elif fault.name == "slack away":
            await slack.come_back()
        elif fault.name == "waha away":
            await waha.come_back()
        elif fault.name.startswith("waha"):
            waha.answer_normally()
            waha.release_answers()
