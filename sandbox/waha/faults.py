"""Ways to mistreat a request on purpose, by path. A path may hold `*`, as in `/api/*/chats/all/messages`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Literal, Self

from sandbox.waha.journal import Received
from sandbox.waha.switches import Seconds, Switch

EVERYTHING = "*"


@dataclass(eq=False, kw_only=True)
class Fault(Switch):
    """What happens to requests.

    - `delay`: they take `seconds` longer; before they are carried out, or, if `carried_out`, between that and the
      answer, which is how receipts overtake the 201.
    - `answer`: they get `status`, `body` and `headers`. `fail`: they get `status` with the body of WAHA's own 500, in
      which the engine says `sentence`. `lock`: changes fail like this because another one keeps the session's lock.
    - `cut`: the connection is cut. `hang`: silence for `seconds` (0: until healed), and then it is cut.

    All but a delay are instead of the real answer; `carried_out` does nevertheless what was asked for.
    """

    kind: Literal["delay", "answer", "fail", "lock", "cut", "hang"]
    path: str = EVERYTHING
    carried_out: bool = False
    status: int = 500
    body: Any = None
    sentence: str = "the engine does not answer"
    headers: dict[str, str] = field(default_factory=dict)
    _let_go: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def heal(self) -> None:
        super().heal()
        self._let_go.set()

    def is_about_request(self, request: Received) -> bool:
        if self.kind == "lock" and request.method == "GET":
            return False
        if self.path != EVERYTHING and not fnmatchcase(request.path, self.path):
            return False
        return self.session == "*" or any(self.is_about(name) for name in _sessions_of(request))

    async def hang(self) -> None:
        try:
            async with asyncio.timeout(self.draw_seconds() or None):
                await self._let_go.wait()
        except TimeoutError:
            return


@dataclass(frozen=True)
class Struck:
    """What the faults that are switched on do to one request: waits around it, and at most one end."""

    before: float = 0.0
    after: float = 0.0
    end: Fault | None = None


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
    """What is switched on for requests. Delays add up; of the other kinds the one that was switched on first wins.

    waha.faults.delay("/api/send*", (0.1, 0.5), probability=0.2, seed=4)
    waha.faults.lose_answer("/api/sendText", times=3)
    """

    def __init__(self) -> None:
        self._holds: list[Hold] = []
        self._switched_on: list[Fault] = []

    @property
    def switched_on(self) -> list[Fault]:
        return [fault for fault in self._switched_on if not fault.is_over]

    def add(self, fault: Fault) -> Fault:
        self._switched_on.append(fault)
        return fault

    def delay(self, path: str, seconds: Seconds, *, carried_out: bool = False, **when: Any) -> Fault:
        """`when` here and below: `session`, `times`, `probability`, `seed` of a `Switch`."""
        return self.add(Fault(kind="delay", path=path, seconds=seconds, carried_out=carried_out, **when))

    def fail(self, path: str = EVERYTHING, *, carried_out: bool = False, **when: Any) -> Fault:
        """A 500 with the body that WAHA gives it."""
        return self.add(Fault(kind="fail", path=path, carried_out=carried_out, **when))

    def lock(self, path: str = "/api/sessions/*", *, carried_out: bool = False, **when: Any) -> Fault:
        """A 500: nobody gets the lock of the session in time; `carried_out`: it was had, and kept for too long."""
        return self.add(Fault(kind="lock", path=path, carried_out=carried_out, **when))

    def unavailable(self, path: str = EVERYTHING, *, headers: dict[str, str] | None = None, **when: Any) -> Fault:
        """A 503 without a body, as from a proxy in front of WAHA."""
        return self.add(Fault(kind="answer", path=path, status=503, headers=headers or {}, **when))

    def refuse(self, path: str = EVERYTHING, **when: Any) -> Fault:
        """The connection is cut before anything is done."""
        return self.add(Fault(kind="cut", path=path, **when))

    def lose_answer(self, path: str = EVERYTHING, **when: Any) -> Fault:
        """What was asked for is done, and then the connection is cut."""
        return self.add(Fault(kind="cut", path=path, carried_out=True, **when))

    def hang(self, path: str = EVERYTHING, seconds: Seconds = 0.0, *, carried_out: bool = False, **when: Any) -> Fault:
        """Silence for `seconds`, 0: until healed; then the connection is cut."""
        return self.add(Fault(kind="hang", path=path, seconds=seconds, carried_out=carried_out, **when))

    def heal(self) -> None:
        """Switches everything off and lets go of what hangs or is held."""
        for fault in self._switched_on:
            fault.heal()
        self._switched_on.clear()
        self.release()

    def hold(self, path: str) -> Hold:
        hold = Hold(path)
        self._holds.append(hold)
        return hold

    def release(self) -> None:
        for hold in self._holds:
            hold.release()

    async def pass_holds(self, path: str) -> None:
        self._holds = [hold for hold in self._holds if not hold.released]
        for hold in list(self._holds):
            if fnmatchcase(path, hold.path):
                await hold.wait()

    def strike(self, request: Received) -> Struck:
        """What happens to this request. A fault that does not come to pass, because of an earlier one, is not used."""
        before = after = 0.0
        end: Fault | None = None
        for fault in self._switched_on:
            if (end is None or fault.kind == "delay") and fault.is_about_request(request) and fault.strikes():
                if fault.kind != "delay":
                    end = fault
                elif fault.carried_out:
                    after += fault.draw_seconds()
                else:
                    before += fault.draw_seconds()
        self._switched_on = self.switched_on
        return Struck(before, after, end)


def _sessions_of(request: Received) -> list[str]:
    """Whatever in a request may name its session: a part of the path, the query or the body."""
    named = [*request.path.strip("/").split("/"), request.query.get("session", "")]
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return named
    return [*named, str(body.get("session"))] if isinstance(body, dict) else named
