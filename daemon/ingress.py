"""Where WAHA posts its webhooks, and where others ask whether this daemon is well."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from aiohttp import web

from daemon.intake import Intake, Overloaded
from daemon.metrics import Metrics
from models import uuid7
from operations.webhook_inbox import NewWebhook
from settings.logs import get_logger
from waha.webhooks import ALGORITHM_HEADER, PROBE, SIGNATURE_HEADER, envelope_of, verify

log = get_logger(__name__)

# For ten megabytes from a WAHA far away. Whose a body is shows when it is here, so nobody is waited for longer.
ARRIVES_WITHIN = timedelta(seconds=30)
_COME_BACK_AFTER_SECONDS = "5"


def application(
    *,
    intake: Intake,
    keys: Mapping[str, str],
    max_body_bytes: int,
    ready: Callable[[], Awaitable[list[str]]],
    troubled: Callable[[], list[str]] = list,
    arrives_within: timedelta = ARRIVES_WITHIN,
    metrics: Metrics | None = None,
) -> web.Application:
    """The daemon's web server.

    Args:
        intake: keeps the webhooks.
        keys: the HMAC key of each server.
        max_body_bytes: a longer body is answered 413.
        ready: what is missing before this daemon can work; nothing when it can.
        troubled: what is in trouble and stops nothing else, such as one Slack workspace of several.
        arrives_within: a body that takes longer is answered 408.
        metrics: counts what arrives, and is shown at /metrics.
    """

    async def webhook(request: web.Request) -> web.Response:
        server = request.match_info["server"]
        if server not in keys:
            return _say(404, f"No WAHA server is called {server} in the settings of this daemon.")
        try:
            async with asyncio.timeout(arrives_within.total_seconds()):
                raw = await request.read()
        except TimeoutError:
            log.warning("webhook did not arrive in time", server=server)
            return _say(408, "The body did not arrive in time.")
        signature, algorithm = request.headers.get(SIGNATURE_HEADER), request.headers.get(ALGORITHM_HEADER)
        if not verify(raw, signature, algorithm, keys[server]):
            log.warning("webhook refused: its signature is not ours", server=server)
            return _say(
                401, "The signature does not fit the body. Does the webhook of this session carry our HMAC key?"
            )
        row = _as_row(server, raw)
        if row.event_name == PROBE:
            # The doctor's: it wants to know whether this is us, and whether the key is ours.
            return web.json_response({"status": "probe", "probe": row.event_id}, status=202)
        return await _keep(intake, row)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        missing, trouble = await ready(), troubled()
        told = {"status": "not ready" if missing else "ready", "missing": missing}
        return web.json_response(told | ({"trouble": trouble} if trouble else {}), status=503 if missing else 200)

    app = web.Application(client_max_size=max_body_bytes, middlewares=[metrics.count] if metrics is not None else [])
    if metrics is not None:
        app.router.add_get("/metrics", metrics.show)
    app.router.add_post("/webhooks/waha/{server}", webhook)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def _keep(intake: Intake, row: NewWebhook) -> web.Response:
    try:
        await intake.keep(row)
    except Overloaded:
        return _come_back("Too many webhooks at once.")
    except Exception:  # the edge: WAHA posts again whatever it was
        log.exception("webhook could not be stored", server=row.server)
        return _come_back("It could not be stored.")
    return web.json_response({"status": "kept"})


def _as_row(server: str, raw: bytes) -> NewWebhook:
    """The inbox row of a body: what cannot be read is kept too, under its fingerprint, for a person to look at."""
    key = envelope_of(raw)
    if key is None:
        fingerprint = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        return NewWebhook(uuid7(), server, "", fingerprint, "", f"{server}/unreadable", raw)
    lane = f"{key.session}/{key.chat_id or 'session'}"
    return NewWebhook(uuid7(), server, key.session, key.event_id, key.event_name, lane, raw)


def _say(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


def _come_back(sentence: str) -> web.Response:
    # WAHA heeds Retry-After as the least it waits.
    return web.json_response({"error": sentence}, status=503, headers={"Retry-After": _COME_BACK_AFTER_SECONDS})
