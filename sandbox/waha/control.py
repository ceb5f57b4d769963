"""An HTTP server beside the simulated WAHA, for whoever plays the persons with the phones.

It stays when WAHA goes down. Answers are JSON; what cannot be done is 400 or 404 with a sentence in `error`.
"""

from __future__ import annotations

import json
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.waha.answers import answer
from sandbox.waha.environment import Json
from sandbox.waha.errors import Refusal
from sandbox.waha.fault_control import FaultControl
from sandbox.waha.server import SandboxWaha
from sandbox.whatsapp import Phone, PhoneError, Shown


class Control:
    """Drives one simulated WAHA and the phones of its network over `url`."""

    def __init__(self, waha: SandboxWaha, *, port: int = 0) -> None:
        self._waha = waha
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_explain])
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/phones", self._phones),
            web.get("/phones/{msisdn}", self._phone),
            web.post("/phones/{msisdn}", self._register),
            web.post("/phones/{msisdn}/write", self._write),
            web.post("/phones/{msisdn}/read", self._read),
            web.post("/phones/{msisdn}/scan", self._scan),
            web.get("/sessions", self._sessions),
            web.post("/sessions/{session}/disconnect", self._disconnect),
            web.post("/sessions/{session}/fail", self._fail),
            web.post("/sessions/{session}/deafen", self._deafen),
            web.get("/journal", self._journal),
            web.post("/down", self._down),
            web.post("/up", self._up),
            web.post("/restart", self._restart),
            web.post("/cut", self._cut),
            web.post("/webhooks/forget", self._forget_webhooks),
            web.post("/hold", self._hold),
            web.post("/release", self._release),
            *FaultControl(self._waha).routes(),
        ]

    async def _phones(self, _request: web.Request) -> web.Response:
        return answer([_screen(phone) for phone in self._waha.whatsapp.phones])

    async def _phone(self, request: web.Request) -> web.Response:
        return answer(_screen(self._known(request)))

    async def _register(self, request: web.Request) -> web.Response:
        body = await _body(request)
        phone = self._waha.whatsapp.phone(request.match_info["msisdn"], name=body.get("name"))
        return answer(_screen(phone), status=201)

    async def _write(self, request: web.Request) -> web.Response:
        """`{"text", "to"?, "name"?, "at"?}`; the phone is registered if it is new. `at` is ISO, and may be long ago."""
        body = await _body(request)
        if not body.get("text"):
            raise PhoneError('Say what to write: {"text": "…"}.')
        phone = self._waha.whatsapp.phone(request.match_info["msisdn"], name=body.get("name"))
        message = await phone.write(body["text"], to=body.get("to"), at=_moment(body.get("at")))
        return answer({"id": message.id, "to": f"+{message.to.address}"}, status=201)

    async def _read(self, request: web.Request) -> web.Response:
        phone = self._known(request)
        await phone.read()
        return answer(_screen(phone))

    async def _scan(self, request: web.Request) -> web.Response:
        """`{"qr": "2@…"}`, or `{"session": "…"}` to scan what that session shows now."""
        body = await _body(request)
        phone = self._waha.whatsapp.phone(request.match_info["msisdn"], name=body.get("name"))
        await phone.scan(body.get("qr") or self._shown_qr(body.get("session")))
        return answer(_screen(phone), status=201)

    async def _sessions(self, _request: web.Request) -> web.Response:
        return answer([session.info(with_engine=False) for session in self._waha.sessions.all()])

    async def _disconnect(self, request: web.Request) -> web.Response:
        self._waha.lose_connection(request.match_info["session"])
        return self._state()

    async def _fail(self, request: web.Request) -> web.Response:
        self._waha.fail(request.match_info["session"])
        return self._state()

    async def _deafen(self, request: web.Request) -> web.Response:
        self._waha.sessions.known(request.match_info["session"])
        self._waha.deafen(request.match_info["session"])
        return self._state()

    async def _journal(self, _request: web.Request) -> web.Response:
        return answer(self._waha.journal.as_json())

    async def _down(self, _request: web.Request) -> web.Response:
        await self._waha.go_down()
        return self._state()

    async def _up(self, _request: web.Request) -> web.Response:
        await self._waha.come_back()
        return self._state()

    async def _restart(self, _request: web.Request) -> web.Response:
        await self._waha.restart()
        return self._state()

    async def _cut(self, _request: web.Request) -> web.Response:
        return answer({"cut": self._waha.cut_connections()})

    async def _forget_webhooks(self, _request: web.Request) -> web.Response:
        await self._waha.forget_webhooks()
        return self._state()

    async def _hold(self, request: web.Request) -> web.Response:
        """`{"path"?}`, by default `/api/sendText`."""
        hold = self._waha.hold_answers((await _body(request)).get("path") or "/api/sendText")
        return answer({"held": hold.path})

    async def _release(self, _request: web.Request) -> web.Response:
        self._waha.release_answers()
        return self._state()

    def _state(self) -> web.Response:
        return answer({"up": self._waha.is_up, "url": self._waha.url})

    def _known(self, request: web.Request) -> Phone:
        phone = self._waha.whatsapp.find(request.match_info["msisdn"])
        if not isinstance(phone, Phone) or not phone.registered:
            raise LookupError(f"There is no phone with the number {request.match_info['msisdn']}.")
        return phone

    def _shown_qr(self, name: Any) -> str:
        session = self._waha.sessions.get(str(name))
        if session is None:
            raise PhoneError('Say which code to scan: {"qr": "2@…"} or {"session": "<name>"}.')
        if session.qr_value is None:
            raise PhoneError(f"The session {name} shows no QR code now: it is {session.status.value}.")
        return session.qr_value


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (PhoneError, Refusal) as error:
        return answer({"error": str(error)}, status=400)
    except LookupError as error:
        return answer({"error": str(error.args[0])}, status=404)
    except web.HTTPException as error:
        return answer({"error": f"{request.method} {request.path}: {error.reason}."}, status=error.status)


def _moment(given: Any) -> datetime | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PhoneError('Say when with a time zone: {"at": "2026-11-22T17:00:00+00:00"}.')
    return moment


async def _body(request: web.Request) -> Json:
    raw = await request.text()
    try:
        body = json.loads(raw or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise PhoneError("The body has to be a JSON object.")
    return body


def _screen(phone: Phone) -> Json:
    return {
        "number": f"+{phone.number}",
        "name": phone.name,
        "linked": bool(phone.devices),
        "chats": {address: [_message(shown) for shown in chat] for address, chat in phone.chats.items()},
    }


def _message(shown: Shown) -> Json:
    return {
        "id": shown.id,
        "direction": shown.direction,
        "from": f"+{shown.message.sender.number}",
        "text": shown.text,
        "at": shown.at.isoformat(),
        "ack": shown.ack.name if shown.direction == "out" else None,
        "read": shown.read,
        "copies": shown.copies,
        "edited": shown.edited,
        "revoked": shown.revoked,
        "reactions": shown.reactions,
        "quoted": shown.message.quoted.id if shown.message.quoted else None,
    }
