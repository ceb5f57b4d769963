"""One address for several workspaces: a call goes to the one whose token it carries, as at Slack's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from types import TracebackType

    from sandbox.slack.simulator import SandboxSlack

_PASSED_ON = ("Content-Type", "Authorization")
_PASSED_BACK = ("Content-Type", "Retry-After")


class Front:
    """The Web API of these Slacks. What they hand out, as addresses of files and sockets, leads to themselves."""

    def __init__(self, *slacks: SandboxSlack) -> None:
        self._slacks = slacks
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._pass)
        self._session = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._session.close()

    @property
    def api_url(self) -> str:
        """What a client takes as its base address."""
        if self._runner is None:
            raise RuntimeError("The front does not listen.")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/"

    async def _pass(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        target = next((one for one in self._slacks if token in {one.bot_token, one.app_token}), None)
        if target is None:
            return web.json_response({"ok": False, "error": "invalid_auth"})
        async with self._session.request(
            request.method,
            f"{target.url}{request.rel_url}",
            data=await request.read(),
            headers={name: request.headers[name] for name in _PASSED_ON if name in request.headers},
            allow_redirects=False,
        ) as answer:
            headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)
