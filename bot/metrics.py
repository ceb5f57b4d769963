"""`GET /metrics` of the bot: on its own port, or beside Slack's requests in http mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from database.figures import pool_figures
from settings import SlackSettings
from settings.logs import get_logger
from settings.meters import POOL, Family, Meters, Readings

log = get_logger(__name__)

FAMILIES: Mapping[str, Family] = {
    "slack_sockets": Family("Sockets to Slack that are up; two are kept. None in http mode."),
    **POOL,
}

Reading = tuple[str, Mapping[str, str], float]


async def _none() -> int | None:
    return None


class Metrics:
    """The page; `sockets_up` is asked each time."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self.sockets_up: Callable[[], Awaitable[int | None]] = _none
        self._readings = Readings(FAMILIES)
        meters.registry.register(self._readings)
        self._runner: web.AppRunner | None = None

    async def listen(self, slack: SlackSettings) -> None:
        """On `slack.metrics_port`, unless that is 0.

        Raises:
            OSError: the address is taken.
        """
        if not slack.metrics_port:
            return
        app = web.Application()
        app.router.add_get("/metrics", self.show)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, slack.host, slack.metrics_port).start()
        log.info("showing metrics", host=slack.host, port=slack.metrics_port)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def show(self, _: web.Request) -> web.Response:
        sockets = await self.sockets_up()
        up: list[Reading] = [] if sockets is None else [("slack_sockets", {}, sockets)]
        self._readings.show([*up, *pool_figures()])
        body, content_type = self._meters.page()
        return web.Response(body=body, headers={"Content-Type": content_type})
