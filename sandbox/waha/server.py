"""The simulated WAHA on its socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.waha import errors
from sandbox.waha.answers import answer, empty
from sandbox.waha.background import Background
from sandbox.waha.engine import Engine, EngineName
from sandbox.waha.environment import Environment, Json
from sandbox.waha.faults import Fault, Faults
from sandbox.waha.files import Files
from sandbox.waha.gows import Gows
from sandbox.waha.history import HistoryApi
from sandbox.waha.journal import Journal, Received
from sandbox.waha.keys import Keys
from sandbox.waha.limits_api import LimitsApi
from sandbox.waha.noweb import Noweb
from sandbox.waha.passkey_api import PasskeyApi
from sandbox.waha.people import PeopleApi
from sandbox.waha.receipt_faults import ReceiptFaults
from sandbox.waha.runtime import Runtime
from sandbox.waha.sending import SendingApi
from sandbox.waha.server_api import ServerApi
from sandbox.waha.sessions import STATUS_SECONDS, Sessions
from sandbox.waha.sessions_api import SessionsApi
from sandbox.waha.start_faults import StartFaults
from sandbox.waha.troubling import Troubling
from sandbox.waha.webhooks import Webhooks
from sandbox.waha.webjs import Webjs
from sandbox.whatsapp import Phone, WhatsApp

MAX_BODY_BYTES = 50 * 1024 * 1024
# How long a stopping server waits for requests under way before it cuts them off.
_SHUTDOWN_SECONDS = 0.01


class SandboxWaha(Troubling):
    """A WAHA server with one engine, on 127.0.0.1.

    Args:
        whatsapp: The network that its sessions pair with.
        engine: Decides the shape of answers and events.
        api_key: The key of the administrator.
        version: What the server calls itself; some behaviour depends on it.
        pace: Multiplies every wait (see `Environment`), but not how long a webhook's receiver may be silent.
        port: 0 takes a free one, and keeps it.
        worker_id: `environment.worker.id` of events.
        webhook_silence_seconds: After this long without a byte a webhook counts as failed.
        webhook_jitter_seconds: Up to this long every webhook is delayed, at random, so that they arrive out of order.
        files_lifetime_seconds: How long a downloaded file is kept (times `pace`).
        journal_size: How many requests and webhooks are remembered.
    """

    def __init__(
        self,
        whatsapp: WhatsApp,
        *,
        engine: EngineName = "GOWS",
        api_key: str = "sandbox-key",
        version: str = "2026.7.1",
        pace: float = 1.0,
        port: int = 0,
        worker_id: str | None = "waha1",
        webhook_silence_seconds: float = 8.0,
        webhook_jitter_seconds: float = 0.0,
        files_lifetime_seconds: float = 180.0,
        journal_size: int = 50_000,
    ) -> None:
        self.api_key = api_key
        self.whatsapp = whatsapp
        self.journal = Journal(journal_size)
        self.environment = Environment(engine, version, pace, worker_id, whatsapp.random)
        self.keys = Keys(self.environment, api_key)
        self.faults = Faults()
        self.receipts = ReceiptFaults()
        self.starts = StartFaults()
        # How far the clock of the server is ahead, as the header `Date` shows.
        self.clock_ahead = timedelta()
        self._background = Background()
        self._api = ServerApi(self.environment, self.go_down, self.come_back)
        self._port = port
        self._runner: web.AppRunner | None = None
        self.webhooks = Webhooks(
            self.environment,
            self.journal,
            silence_seconds=webhook_silence_seconds,
            jitter=webhook_jitter_seconds,
        )
        self._runtime = Runtime(
            self.environment,
            _engine(self.environment),
            whatsapp,
            self.webhooks,
            Files(self.environment, lifetime_seconds=files_lifetime_seconds),
            self._background,
            self.receipts,
            self.starts,
        )
        self.sessions = Sessions(self._runtime)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_up(self) -> bool:
        return self._runner is not None

    async def __aenter__(self) -> Self:
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.stop()
        await self.go_down()

    async def go_down(self) -> None:
        """The process dies: connections are refused, no event is posted, webhooks not yet delivered are lost.

        Configurations and pairings stay; what is written to the accounts meanwhile waits at WhatsApp.
        """
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self.sessions.crash()
        await self._background.stop()
        await self.webhooks.stop()
        self._runtime.files.forget_all()

    async def come_back(self) -> None:
        """Same port, new `startTimestamp`. Sessions that ran start again and receive what waited."""
        if self._runner is not None:
            return
        app = web.Application(middlewares=[self._answer], client_max_size=MAX_BODY_BYTES)
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = runner.addresses[0][1]
        self._runner = runner
        self._api.has_started()
        self.sessions.start_assigned()

    async def restart(self) -> None:
        """As `go_down` and `come_back`: a new `startTimestamp`, and webhooks that were not delivered are lost."""
        await self.go_down()
        await self.come_back()

    def cut_connections(self) -> int:
        """Every connection to the server breaks off, whatever is under way on it; returns how many."""
        server = self._runner.server if self._runner is not None else None
        transports = [one.transport for one in (server.connections if server is not None else []) if one.transport]
        for transport in transports:
            transport.abort()
        return len(transports)

    def fill_disk(self, free_bytes: int = 10**6) -> None:
        """`/health` says that little is left."""
        self._api.free_bytes = free_bytes

    async def pair(self, session: str, phone: Phone) -> None:
        """Scans what a started session shows, as soon as it shows it, and waits until it works."""
        started = self.sessions.known(session)
        if await started.until(lambda: started.qr_value is not None, STATUS_SECONDS):
            await phone.scan(started.qr_value or "")
        await self.sessions.working(session)

    def _routes(self) -> list[web.RouteDef]:
        apis = (
            self._api,
            SessionsApi(self._runtime, self.sessions, self.keys),
            PasskeyApi(self._runtime, self.sessions),
            LimitsApi(self._runtime, self.sessions),
            SendingApi(self._runtime, self.sessions),
            PeopleApi(self._runtime, self.sessions),
            HistoryApi(self._runtime, self.sessions),
            self._runtime.files,
        )
        return [route for api in apis for route in api.routes()]

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        entry = Received(request.method, request.path, dict(request.query), await request.read())
        self.journal.requests.append(entry)
        response = await self._behave(request, handler, entry)
        await self.faults.pass_holds(request.path)
        if request.transport is not None and not request.transport.is_closing():
            entry.status = response.status
        if self.clock_ahead:
            response.headers["Date"] = format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True)
        return response

    async def _behave(self, request: web.Request, handler: Handler, entry: Received) -> web.StreamResponse:
        try:
            await self.keys.check(request)
        except errors.Refusal as refusal:
            return answer(refusal.body, status=refusal.status)
        struck = self.faults.strike(entry)
        await asyncio.sleep(struck.before)
        if struck.end is None or struck.end.carried_out:
            response = await self._carry_out(request, handler)
        if struck.end is not None:
            response = await self._misbehave(request, struck.end)
        await asyncio.sleep(struck.after)
        return response

    async def _misbehave(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind in {"cut", "hang"}:
            if fault.kind == "hang":
                await fault.hang()
            if request.transport is not None:
                request.transport.abort()
            return empty(503)
        if fault.kind == "fail":
            body = await self._exception(request, errors.EngineFailure(fault.sentence))
            return answer(body, status=fault.status)
        if fault.kind == "lock":
            body = await self._exception(request, _locked(request, carried_out=fault.carried_out))
            return answer(body, status=fault.status)
        scripted = empty(fault.status) if fault.body is None else answer(fault.body, status=fault.status)
        scripted.headers.update(fault.headers)
        return scripted

    async def _carry_out(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except errors.Refusal as refusal:
            return answer(refusal.body, status=refusal.status)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            unknown = errors.not_found(f"Cannot {request.method} {request.path}")
            return answer(unknown.body, status=unknown.status)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - WAHA's own filter turns whatever was thrown into a 500
            return answer(await self._exception(request, error), status=500)

    async def _exception(self, request: web.Request, error: Exception) -> Json:
        raw = await request.text()
        asked: Json = {
            "path": request.path_qs,
            "method": request.method,
            "body": json.loads(raw) if raw else {},
            "query": dict(request.query),
        }
        return errors.exception_body(error, asked, self.environment.as_json())


def _locked(request: web.Request, *, carried_out: bool) -> Exception:
    """Who waited in vain changed nothing; whose change took too long has changed something all the same."""
    name = request.match_info.get("session", "")
    if carried_out:
        return RuntimeError(f"Maximum execution time is exceeded {name}")
    return RuntimeError(f"async-lock timed out in queue {name}")


def _engine(environment: Environment) -> Engine:
    engines: dict[str, Callable[[Environment], Engine]] = {"GOWS": Gows, "NOWEB": Noweb, "WEBJS": Webjs}
    return engines[environment.engine](environment)
