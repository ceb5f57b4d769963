"""The passkey of an account, which a browser on web.whatsapp.com shows for the session that is being paired."""

from __future__ import annotations

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import answer, body_of, empty
from sandbox.waha.environment import Json
from sandbox.waha.pairing import KNOWS_PASSKEYS, Passkey
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session, Status
from sandbox.waha.sessions import Sessions


class PasskeyApi:
    def __init__(self, runtime: Runtime, sessions: Sessions) -> None:
        self._runtime = runtime
        self._sessions = sessions

    def routes(self) -> list[web.RouteDef]:
        if not self._runtime.environment.at_least(KNOWS_PASSKEYS):
            return []
        return [
            web.get("/api/{session}/auth/passkey/challenge", self.challenge),
            web.post("/api/{session}/auth/passkey", self.assertion),
            web.get("/api/{session}/auth/passkey/confirmation", self.confirmation),
            web.post("/api/{session}/auth/passkey/confirm", self.confirm),
        ]

    async def challenge(self, request: web.Request) -> web.Response:
        return answer(self._pending(request, Status.PASSKEY_REQUIRED)[1].challenge)

    async def assertion(self, request: web.Request) -> web.Response:
        session, passkey = self._pending(request, Status.PASSKEY_REQUIRED)
        body = await body_of(request)
        missing = [field for field in ("id", "rawId", "type", "response") if not body.get(field)]
        if missing:
            raise errors.bad_request([f"{field} should not be empty" for field in missing])
        passkey.is_asserted = True
        session.notify()
        return empty(201)

    async def confirmation(self, request: web.Request) -> web.Response:
        code: Json = {"code": self._pending(request, Status.PASSKEY_CONFIRMATION_REQUIRED)[1].code}
        return answer(code)

    async def confirm(self, request: web.Request) -> web.Response:
        session, passkey = self._pending(request, Status.PASSKEY_CONFIRMATION_REQUIRED)
        passkey.is_confirmed = True
        session.notify()
        return empty(201)

    def _pending(self, request: web.Request, status: Status) -> tuple[Session, Passkey]:
        """Raises Refusal 422 where nothing of this kind is pending, 501 on engines that never ask."""
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is None:
            raise errors.no_such_session(name)
        if self._runtime.engine.name != "GOWS":
            raise errors.not_implemented(self._runtime.engine.name)
        if session.passkey is None or session.status is not status:
            what = "challenge" if status is Status.PASSKEY_REQUIRED else "confirmation"
            raise errors.unprocessable(f"No passkey {what} is pending. The current status is {session.status.value}")
        return session, session.passkey
