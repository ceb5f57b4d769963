"""What WhatsApp lets an account do, asked for anew."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from sandbox.waha import errors, limits
from sandbox.waha.answers import answer, empty
from sandbox.waha.environment import Json
from sandbox.waha.runtime import Runtime
from sandbox.waha.sessions import Sessions
from sandbox.whatsapp import Phone


class LimitsApi:
    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self._runtime = runtime
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        if not self._runtime.environment.at_least(limits.TELLS_CAPPING):
            return []
        return [
            web.get("/api/sessions/{session}/timelock", self.timelock),
            web.get("/api/sessions/{session}/capping", self.capping),
        ]

    async def timelock(self, request: web.Request) -> web.Response:
        return await self._asked(request, limits.timelock)

    async def capping(self, request: web.Request) -> web.Response:
        return await self._asked(request, limits.capping)

    async def _asked(self, request: web.Request, limit: Callable[[Phone | None], Json | None]) -> web.Response:
        session = await self._sessions.working(request.match_info["session"])
        if self._runtime.engine.name == "WEBJS":
            raise errors.not_implemented("WEBJS")
        found = limit(session.account)
        return empty(200) if found is None else answer(found)
