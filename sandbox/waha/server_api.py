"""What a WAHA tells of itself, and how it is asked to start anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.waha.answers import answer
from sandbox.waha.background import Background
from sandbox.waha.environment import Environment, Json
from sandbox.waha.identifiers import milliseconds

# WAHA is content with its disk above this.
_THRESHOLD_BYTES = 10**8
# Docker takes about this long to start a container again that ended itself.
_RESTART_SECONDS = 3.0


class ServerApi:
    """`go_down` and `come_back` are those of the server, which outlives its process."""

    def __init__(
        self, environment: Environment, go_down: Callable[[], Awaitable[None]], come_back: Callable[[], Awaitable[None]]
    ) -> None:
        self._environment = environment
        self._go_down = go_down
        self._come_back = come_back
        self._restarts = Background()
        self._started_at = 0
        self.free_bytes = 10**10

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ping", self._ping),
            web.get("/health", self._health),
            web.get("/api/server/version", self._version),
            web.get("/api/version", self._version),
            web.get("/api/server/status", self._status),
            web.post("/api/server/stop", self._stop),
        ]

    def has_started(self) -> None:
        """Two starts never have the same time."""
        self._started_at = max(milliseconds(), self._started_at + 1)

    async def stop(self) -> None:
        await self._restarts.stop()

    async def _ping(self, _request: web.Request) -> web.Response:
        return answer({"message": "pong"})

    async def _health(self, _request: web.Request) -> web.Response:
        spaces = {
            "mediaFiles.space": self._space("/tmp/whatsapp-files"),  # noqa: S108 - where WAHA keeps them by default
            "sessionsFiles.space": self._space("/app/.sessions"),
        }
        if self.free_bytes >= _THRESHOLD_BYTES:
            return answer({"status": "ok", "info": spaces, "error": {}, "details": spaces})
        return answer({"status": "error", "info": {}, "error": spaces, "details": spaces}, status=503)

    def _space(self, path: str) -> Json:
        status = "up" if self.free_bytes >= _THRESHOLD_BYTES else "down"
        space: Json = {"status": status, "path": path, "diskPath": "/", "free": self.free_bytes}
        return space | {"threshold": _THRESHOLD_BYTES}

    async def _version(self, _request: web.Request) -> web.Response:
        return answer(self._environment.as_json())

    async def _status(self, _request: web.Request) -> web.Response:
        uptime = milliseconds() - self._started_at
        worker = {"id": self._environment.worker_id or ""}
        return answer({"startTimestamp": self._started_at, "uptime": uptime, "worker": worker})

    async def _stop(self, _request: web.Request) -> web.Response:
        self._restarts.start(self._restart())
        return answer({"stopping": True}, status=201)

    async def _restart(self) -> None:
        """WAHA ends its process a second after it was asked, and Docker starts it again."""
        await self._environment.wait(1)
        await self._go_down()
        await self._environment.wait(_RESTART_SECONDS)
        await self._come_back()
