"""`GET /metrics` of the daemon: what it counts itself, and figures of all rows, read every five seconds at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import Counter

from daemon.intake import Intake
from database import DatabaseUnavailable, in_database
from database.figures import pool_figures
from operations import measuring
from settings.logs import get_logger
from settings.meters import POOL, PREFIX, Family, Meters, Readings
from waha.events import AckEvent, MalformedEvent
from waha.webhooks import parse

log = get_logger(__name__)

# Scraping oftener costs the database nothing more.
KEPT_SECONDS = 5.0
# A page without the rows is better than none: Prometheus gives up after ten.
_WITHIN_SECONDS = 3.0
# To count them may take longer where there are many; that PostgreSQL answers at all is soon known.
_ANSWERS_WITHIN_SECONDS = 1.0
_WEBHOOKS = "/webhooks/waha/"

FAMILIES: Mapping[str, Family] = {
    "database_up": Family("Whether PostgreSQL answered; without it there are no figures of rows."),
    "rows_counted": Family("Whether the rows were counted in time; without it there are no figures of them."),
    "queue_depth": Family("How many wait, by queue.", ("queue",)),
    "queue_oldest_age_seconds": Family("How long the oldest of a queue has waited; 0 when nothing waits.", ("queue",)),
    "parked": Family("How many were set aside for a person, by queue; of posts, within a day.", ("queue",)),
    "sessions": Family("Sessions by server, status and what people want of them.", ("server", "status", "desired")),
    "incidents_open": Family("Open incidents by kind, without those that are part of another.", ("kind",)),
    "waha_servers": Family("The state of each WAHA server; always 1.", ("server", "state")),
    "waha_server_leased": Family("Whether a daemon looks after the server.", ("server",)),
    "webhook_last_age_seconds": Family("How long ago a webhook of the server last arrived.", ("server",)),
    "leases_held": Family("How many are being sent, posted or carried out right now.", ("of",)),
    "processes": Family("Bots and daemons that were heard of within a minute.", ("kind",)),
    **POOL,
    "webhooks_repeated": Family("Webhooks since the start that were known already."),
}
_OUTCOMES = {
    200: "kept",
    202: "probe",
    401: "signature_refused",
    404: "server_unknown",
    408: "too_slow",
    413: "too_large",
    503: "put_off",
}

Reading = tuple[str, Mapping[str, str], float]


class Metrics:
    """The page, and the counting of what arrives."""

    def __init__(
        self,
        meters: Meters,
        intake: Intake,
        *,
        kept_seconds: float = KEPT_SECONDS,
        within_seconds: float = _WITHIN_SECONDS,
    ) -> None:
        self._meters = meters
        self._intake = intake
        self._kept_seconds = kept_seconds
        self._within_seconds = within_seconds
        self._readings = Readings(FAMILIES)
        meters.registry.register(self._readings)
        self._rows: list[Reading] = []
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        about = "Webhooks that arrived, by what they were answered."
        self._webhooks = Counter(f"{PREFIX}_webhooks_total", about, ("outcome",), registry=meters.registry)
        about = "How far WhatsApp said that messages got, repetitions included."
        self._receipts = Counter(f"{PREFIX}_receipts_total", about, ("receipt",), registry=meters.registry)

    async def show(self, _: web.Request) -> web.Response:
        """All series; 200 also while PostgreSQL is away."""
        async with self._reading:
            if time.monotonic() - self._read_at >= self._kept_seconds:
                self._rows = await self._read()
                self._read_at = time.monotonic()
        self._readings.show([*self._rows, *pool_figures(), ("webhooks_repeated", {}, self._intake.repeated)])
        body, content_type = self._meters.page()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _read(self) -> list[Reading]:
        try:
            async with asyncio.timeout(self._within_seconds):
                measured = await in_database(measuring.measure)
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("the metrics lack the figures of rows", reason=type(error).__name__)
            answers = isinstance(error, TimeoutError) and await _answers()
            return [("database_up", {}, int(answers)), ("rows_counted", {}, 0)]
        found = ((one.series, one.labels, one.value) for one in measured)
        return [("database_up", {}, 1), ("rows_counted", {}, 1), *found]

    @web.middleware
    async def count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith(_WEBHOOKS):
            return await handler(request)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self._count(error.status)
            raise
        self._count(response.status)
        if response.status == web.HTTPOk.status_code:
            self._count_receipt(await request.read())
        return response

    def _count(self, status: int) -> None:
        self._webhooks.labels(_OUTCOMES.get(status, "other")).inc()

    def _count_receipt(self, raw: bytes) -> None:
        if b'"message.ack' not in raw:
            return
        try:
            event = parse(raw)
        except MalformedEvent:
            return
        if isinstance(event, AckEvent) and event.from_me and event.receipt is not None:
            self._receipts.labels(event.receipt).inc()


async def _answers() -> bool:
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
            await in_database(measuring.answer)
    except (DatabaseUnavailable, TimeoutError):
        return False
    return True
