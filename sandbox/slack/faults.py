"""Faults on demand: what can go wrong between the app and Slack, call by call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.refusal import Json

ANY = "*"


@dataclass(eq=False)
class Fault:
    """What is to happen to the next `times` calls of a method (None: to all) for which `when(arguments)` holds.

    `after_storing` first does what was asked for, so that the caller cannot know. `hits` counts.
    """

    method: str
    status: int | None = None
    error: str | None = None
    drop: bool = False
    hang: float | None = None
    retry_after: int | None = None
    after_storing: bool = False
    times: int | None = 1
    when: Callable[[Json], bool] | None = None
    hits: int = 0
    healed: asyncio.Event = field(default_factory=asyncio.Event)

    def applies(self, method: str, arguments: Json) -> bool:
        """Whether this call is to fail."""
        used_up = self.times is not None and self.hits >= self.times
        mine = self.method in {method, ANY} and not used_up and not self.healed.is_set()
        return mine and (self.when is None or self.when(arguments))

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


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; earlier ones are used up first."""
        self._faults.append(fault)
        return fault

    def take(self, method: str, arguments: Json) -> Fault | None:
        """The fault that this call runs into, counted."""
        for fault in self._faults:
            if fault.applies(method, arguments):
                fault.hits += 1
                return fault
        return None

    def heal(self) -> None:
        """Switch every fault off and let go of the calls that hang."""
        for fault in self._faults:
            fault.healed.set()
        self._faults.clear()
