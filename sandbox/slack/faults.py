"""Faults on demand: what can go wrong between the app and Slack, call by call."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.refusal import Json

ANY = "*"
# Seconds: always so many, or any number between two.
Span: TypeAlias = float | tuple[float, float]


def drawn(span: Span, random: Random) -> float:
    """So many seconds of a span."""
    return random.uniform(*span) if isinstance(span, tuple) else float(span)


@dataclass(eq=False)
class Fault:
    """What is to happen to the next `times` calls of a method (None: to all) in a channel, with a probability.

    `latency` alone is no failure: the call takes that long. `after_storing` first does what was asked for, so that the
    caller cannot know. `until` is an end by the monotonic clock. `hits` counts.
    """

    method: str
    status: int | None = None
    error: str | None = None
    drop: bool = False
    hang: float | None = None
    latency: Span = 0.0
    retry_after: int | None = None
    after_storing: bool = False
    times: int | None = 1
    probability: float = 1.0
    channel: str | None = None
    until: float | None = None
    when: Callable[[Json], bool] | None = None
    number: int = 0
    hits: int = 0
    healed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        """Whether no further call can run into it."""
        used_up = self.times is not None and self.hits >= self.times
        return used_up or self.healed.is_set() or (self.until is not None and time.monotonic() >= self.until)

    @property
    def only_slows(self) -> bool:
        """Whether the call succeeds all the same."""
        fails = self.drop or self.status is not None or self.error is not None or self.hang is not None
        return bool(self.latency) and not fails

    def concerns(self, method: str, arguments: Json) -> bool:
        """Whether it is meant for such a call."""
        if self.method not in {method, ANY}:
            return False
        if self.channel is not None and self.channel not in {arguments.get("channel"), arguments.get("channel_id")}:
            return False
        return self.when is None or self.when(arguments)

    def heal(self) -> None:
        """Switch it off and let go of the calls that hang in it."""
        self.healed.set()

    async def happen(self, request: web.Request) -> web.StreamResponse:
        """Hang, then answer wrongly or cut the connection."""
        if self.hang is not None:
            await self._hang()
        if self.drop or (self.status is None and self.error is None):
            return _dropped(request)
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        if self.error is None and self.status is not None and self.status >= web.HTTPInternalServerError.status_code:
            return web.Response(
                status=self.status, text="<html>Slack is having trouble</html>", content_type="text/html"
            )
        body = {"ok": False, "error": self.error or "ratelimited"}
        return web.json_response(body, status=self.status or 200, headers=headers)

    async def _hang(self) -> None:
        try:
            async with asyncio.timeout(self.hang):
                await self.healed.wait()
        except TimeoutError:
            return


def _dropped(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response(status=500)


@dataclass
class Trouble:
    """What one call runs into: seconds before and after its effect, and the failure that it ends in."""

    before: float = 0.0
    after: float = 0.0
    end: Fault | None = None


class Faults:
    """The faults that are switched on. All draws come from one `random`, so that a seed repeats them."""

    def __init__(self) -> None:
        self.random = Random(0)
        self._faults: dict[int, Fault] = {}
        self._numbers = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; earlier ones are used up first."""
        fault.number = next(self._numbers)
        self._faults[fault.number] = fault
        return fault

    def switched_on(self) -> list[Fault]:
        """Those that a call can still run into."""
        return [fault for fault in self._faults.values() if not fault.is_over]

    def take(self, method: str, arguments: Json) -> Trouble:
        """What this call runs into, counted: everything that slows, and the first failure."""
        trouble = Trouble()
        for fault in list(self._faults.values()):
            if fault.is_over:
                del self._faults[fault.number]
            elif (fault.only_slows or trouble.end is None) and self._strikes(fault, method, arguments):
                fault.hits += 1
                _add(trouble, fault, drawn(fault.latency, self.random))
        return trouble

    def _strikes(self, fault: Fault, method: str, arguments: Json) -> bool:
        if not fault.concerns(method, arguments):
            return False
        return fault.probability >= 1 or self.random.random() < fault.probability

    def heal(self, number: int | None = None) -> None:
        """Switch one fault off, or all, and let go of the calls that hang."""
        for fault in list(self._faults.values()):
            if number in {None, fault.number}:
                fault.heal()
                del self._faults[fault.number]


def _add(trouble: Trouble, fault: Fault, seconds: float) -> None:
    if fault.after_storing:
        trouble.after += seconds
    else:
        trouble.before += seconds
    if not fault.only_slows:
        trouble.end = fault
