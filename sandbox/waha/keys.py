"""Who may ask for what."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import body_of
from sandbox.waha.environment import Environment

SCOPES = frozenset({"read", "send", "control", "setting", "app", "delete"})
# A key of a session may do all but delete unless its actions say otherwise.
USUAL = SCOPES - {"delete"}
_CONTROLS = frozenset({"start", "stop", "restart", "logout", "qr", "request-code", "passkey", "screenshot"})


def scope_of(method: str, path: str) -> str:
    """What a key has to be allowed for a request."""
    parts = path.strip("/").split("/")
    if _CONTROLS.intersection(parts):
        return "control"
    if method == "GET":
        return "read"
    if parts[:2] == ["api", "apps"]:
        return "app"
    if parts[:2] == ["api", "sessions"]:
        return "delete" if method == "DELETE" else "setting"
    return "send"


class Keys:
    """One key may do everything; others are bound to a session, and to what their scopes allow."""

    def __init__(self, environment: Environment, admin: str) -> None:
        self._environment = environment
        self._admin = admin
        self._session_of: dict[str, str] = {}
        self._scopes_of: dict[str, frozenset[str]] = {}
        self.refused = False

    def add(self, key: str, *, session: str, scopes: Iterable[str] = USUAL) -> None:
        self._session_of[key] = session
        self._scopes_of[key] = frozenset(scopes)

    async def check(self, request: web.Request) -> None:
        """Raises Refusal 401 for a missing or unknown key, 403 for one of another session."""
        if not (request.path.startswith("/api/") or request.path in {"/api", "/health"}):
            return
        key = self._key(request)
        if self.refused or (key != self._admin and key not in self._session_of):
            raise errors.unauthorized()
        session = self._session_of.get(key)
        if session is None:
            return
        if scope_of(request.method, request.path) not in self._scopes_of[key]:
            raise errors.forbidden()
        if request.path.rstrip("/") != "/api/sessions":
            await self._check_session(request, session)

    def may_see(self, request: web.Request, session: str) -> bool:
        return self._session_of.get(self._key(request), session) == session

    async def _check_session(self, request: web.Request, allowed: str) -> None:
        asked = request.match_info.get("session") or request.query.get("session")
        if asked is None:
            asked = (await body_of(request)).get("session")
        if asked != allowed:
            raise errors.forbidden()

    def _key(self, request: web.Request) -> str:
        header = request.headers.get("X-Api-Key", "")
        if not header and self._environment.at_least("2026.4.3"):
            return request.query.get("x-api-key", "")
        return header
