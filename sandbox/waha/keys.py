"""Who may ask for what."""

from __future__ import annotations

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.answers import body_of
from sandbox.waha.environment import Environment


class Keys:
    """One key may do everything; others are bound to a session."""

    def __init__(self, environment: Environment, admin: str) -> None:
        self._environment = environment
        self._admin = admin
        self._session_of: dict[str, str] = {}
        self.refused = False

    def add(self, key: str, *, session: str) -> None:
        self._session_of[key] = session

    async def check(self, request: web.Request) -> None:
        """Raises Refusal 401 for a missing or unknown key, 403 for one of another session."""
        if not (request.path.startswith("/api/") or request.path in {"/api", "/health"}):
            return
        key = self._key(request)
        if self.refused or (key != self._admin and key not in self._session_of):
            raise errors.unauthorized()
        session = self._session_of.get(key)
        if session is not None and request.path.rstrip("/") != "/api/sessions":
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
