"""Slack's requests over HTTP: signed, read, and handed to the same listeners as what comes over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from operations.slack_events import team_of
from settings.logs import get_logger

PATH = "/slack/events"
"""One address for events, commands and interactions."""

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
# The largest is a form with what it shows and what was entered, which Slack limits to 250 kB each.
MAX_BODY_BYTES = 1024 * 1024
# Slack hangs up after 3 s, so nobody waits for a request that takes longer.
FINISH_SECONDS = 3.0
# The second repetition comes a minute after the first: who is told of it was not reached for as long.
REPETITION_AFTER_A_GAP = 2

log = get_logger(__name__)


@dataclass(frozen=True)
class Signer:
    """An app that may call us: what it signs with, and the workspaces in whose name."""

    secret: str = field(repr=False)
    speaks_for: Callable[[str], bool]

    def signed(self, raw: bytes, timestamp: str, signature: str) -> bool:
        """Whether this app signed the body, at most five minutes ago."""
        try:
            return SignatureVerifier(self.secret).is_valid(raw, timestamp, signature)
        except (ValueError, TypeError):
            # A timestamp that is no number, a body that is no UTF-8, a signature beyond ASCII: the SDK raises at each.
            return False


class HttpMode:
    """The bot's web server; `app` gets what arrives, `after_gap` is called when Slack says that it did not reach us.

    `signers` and `missing` are asked at each request: workspaces come and go.
    """

    def __init__(
        self,
        app: AsyncApp,
        signers: Callable[[], Iterable[Signer]],
        *,
        host: str,
        port: int,
        missing: Callable[[], Awaitable[list[str]]],
        after_gap: Callable[[], object] = lambda: None,
        metrics: Callable[[web.Request], Awaitable[web.Response]] | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self.signers = signers
        self._host, self._port = host, port
        self._missing = missing
        self._after_gap = after_gap
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:3001/slack/events`."""
        host, port = self._runner.addresses[0][:2] if self._runner is not None else (self._host, self._port)
        return f"http://{host}:{port}{PATH}"

    async def connect(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken.
        """
        server = web.Application(client_max_size=MAX_BODY_BYTES)
        server.router.add_post(PATH, self._handle)
        server.router.add_get(PATH, self._certificate_check)
        server.router.add_get("/healthz", self._healthz)
        server.router.add_get("/readyz", self._readyz)
        if self._metrics is not None:
            server.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            server, access_log=None, handle_signals=False, shutdown_timeout=FINISH_SECONDS, keepalive_timeout=75.0
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        log.info("listening for Slack", address=self.address)

    async def close(self) -> None:
        """Take no new request, and answer those that are here; Slack repeats events to whoever comes next."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def watch(self) -> None:
        """For ever: whether Slack reaches us, Slack alone knows."""
        await asyncio.Event().wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.content_type not in {JSON_TYPE, FORM_TYPE}:
            return _say(415, f"Slack sends {JSON_TYPE} or {FORM_TYPE}.")
        try:
            # Nobody is known yet: whoever sends slowly must not keep a connection for as long as they like.
            async with asyncio.timeout(FINISH_SECONDS):
                raw = await request.read()
        except TimeoutError:
            return _say(408, "The body did not arrive in time.")
        if request.content_type == FORM_TYPE and _is_certificate_check(raw):
            return web.Response()
        signers = self._signers_of(request, raw)
        if not signers:
            log.warning("request refused: it is not signed by Slack, or too long ago")
            return _say(401, "The signature does not fit, or is older than five minutes. Is the signing secret right?")
        asked = _read(raw, request.content_type)
        if asked is None:
            return _say(400, "The body cannot be read.")
        if (team_id := team_of(asked.body)) and not any(signer.speaks_for(team_id) for signer in signers):
            log.warning("request refused: another app signed it", team_id=team_id)
            return _say(401, "The app that signed this does not speak for that workspace.")
        if _repetition(request) >= REPETITION_AFTER_A_GAP:
            self._after_gap()
        return await to_aiohttp_response(await self._app.async_dispatch(asked))

    def _signers_of(self, request: web.Request, raw: bytes) -> list[Signer]:
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        return [signer for signer in self.signers() if signer.signed(raw, timestamp, signature)]

    async def _certificate_check(self, request: web.Request) -> web.Response:
        """Slack looks at the certificate of a command's address from time to time, and signs nothing then."""
        return web.Response() if request.query.get("ssl_check") == "1" else _say(405, "Slack posts here.")

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = await self._missing()
        return web.json_response(
            {"status": "not ready" if missing else "ready", "missing": missing}, status=503 if missing else 200
        )


def _read(raw: bytes, content_type: str) -> AsyncBoltRequest | None:
    """What Bolt takes; None for what is signed and yet nothing that it could read."""
    headers: Any = {"content-type": content_type}
    try:
        asked = AsyncBoltRequest(body=raw.decode(), headers=headers)
    except Exception as error:  # noqa: BLE001 - Bolt takes bodies apart without looking whether they have these parts
        log.warning("request could not be read", reason=type(error).__name__)
        return None
    return asked if asked.body else None


def _is_certificate_check(raw: bytes) -> bool:
    """Whether it asks for nothing but an answer; then it is not signed."""
    return len(raw) < 1000 and parse_qs(raw.decode(errors="replace")).get("ssl_check") == ["1"]  # noqa: PLR2004 - a token and a number


def _repetition(request: web.Request) -> int:
    number = request.headers.get("X-Slack-Retry-Num", "")
    return int(number) if len(number) == 1 and number.isdecimal() else 0


def _say(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
