"""`/api/sessions` and pairing."""

from __future__ import annotations

import base64

from aiohttp import web

from sandbox.waha import errors, qr
from sandbox.waha.answers import answer, body_of, boolean, empty
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import ulid
from sandbox.waha.keys import Keys
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session, Status
from sandbox.waha.sessions import Sessions
from sandbox.waha.validation import check_session


class SessionsApi:
    def __init__(self, runtime: Runtime, sessions: Sessions, keys: Keys) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/sessions", self.list),
            web.get("/api/sessions/", self.list),
            web.post("/api/sessions", self.create),
            web.get("/api/sessions/{session}", self.get),
            web.put("/api/sessions/{session}", self.update),
            web.delete("/api/sessions/{session}", self.delete),
            web.get("/api/sessions/{session}/me", self.me),
            web.post("/api/sessions/{session}/start", self.start),
            web.post("/api/sessions/{session}/stop", self.stop),
            web.post("/api/sessions/{session}/restart", self.restart),
            web.post("/api/sessions/{session}/logout", self.logout),
            web.get("/api/{session}/auth/qr", self.qr),
            web.post("/api/{session}/auth/request-code", self.request_code),
        ]

    async def list(self, request: web.Request) -> web.Response:
        with_stopped = boolean(request, "all", default=False)
        rows = [
            session.listed
            for session in self._sessions.all()
            if (session.running or with_stopped) and self._keys.may_see(request, session.name)
        ]
        return web.Response(body=b"[" + b",".join(rows) + b"]", content_type="application/json", charset="utf-8")

    async def create(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        self._check(body)
        name = body.get("name") or f"session_{ulid(self._runtime.environment.random)}"
        async with self._sessions.locked(name):
            session = self._sessions.create(name, body.get("config"))
            # The documents call `start` true by default; the server only starts what says so.
            if body.get("start"):
                session.start()
            elif not self._runtime.environment.at_least("2026.6.1"):
                return empty(201)
        return self._info(session, status=201)

    async def get(self, request: web.Request) -> web.Response:
        return self._info(self._known(request))

    async def update(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        session = self._known(request)
        self._check(body)
        async with self._sessions.locked(session.name):
            session.config = body.get("config")
            if session.running:
                await session.restart()
        return self._info(session)

    async def delete(self, request: web.Request) -> web.Response:
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is not None:
            async with self._sessions.locked(name):
                await session.unpair()
                self._sessions.forget(session)
        return empty(200)

    async def me(self, request: web.Request) -> web.Response:
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is None or not session.running:
            raise errors.not_running(name)
        return empty(200) if session.me is None else answer(session.me_with_limits)

    async def start(self, request: web.Request) -> web.Response:
        session = self._known(request)
        async with self._sessions.locked(session.name):
            session.start()
        return self._info(session, status=201)

    async def stop(self, request: web.Request) -> web.Response:
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is None:
            return empty(201)
        async with self._sessions.locked(name):
            await session.stop()
        return self._info(session, status=201)

    async def restart(self, request: web.Request) -> web.Response:
        session = self._known(request)
        async with self._sessions.locked(session.name):
            await session.restart()
        return self._info(session, status=201)

    async def logout(self, request: web.Request) -> web.Response:
        session = self._known(request)
        async with self._sessions.locked(session.name):
            was_running = session.running
            await session.unpair()
            if was_running:
                session.start()
        return self._info(session, status=201)

    async def qr(self, request: web.Request) -> web.Response:
        session = await self._sessions.in_status(request.match_info["session"], Status.SCAN_QR_CODE)
        value = session.qr_value or ""
        if request.query.get("format") == "raw":
            return answer({"value": value})
        picture = qr.png(value)
        # Compared as a whole: "application/json, */*" gets the picture.
        if request.headers.get("Accept") == "application/json":
            return answer({"mimetype": "image/png", "data": base64.b64encode(picture).decode()})
        return web.Response(body=picture, content_type="image/png")

    async def request_code(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is None:
            raise errors.no_such_session(name)
        if body.get("method"):
            engine = self._runtime.engine.name
            raise errors.unprocessable(f"{engine} engine doesn't support any 'method', remove it and try again")
        if session.status is not Status.SCAN_QR_CODE:
            sentence = "Can request code only in SCAN_QR_CODE status. The current status is"
            raise errors.unprocessable(f"{sentence} {session.status.value}")
        code = qr.new_pairing_code(self._runtime.whatsapp.random)
        self._runtime.whatsapp.offer(code, session.pair_with)
        return answer({"code": code}, status=201)

    def _check(self, body: Json) -> None:
        check_session(body, passes_over_unknown_events=self._runtime.environment.at_least("2026.4.1"))

    def _known(self, request: web.Request) -> Session:
        return self._sessions.known(request.match_info["session"])

    def _info(self, session: Session, *, status: int = 200) -> web.Response:
        return answer(session.info(with_engine=True), status=status)
