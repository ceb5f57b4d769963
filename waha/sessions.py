from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from waha.calls import JSON_HEADERS, WahaCalls, expected, in_path, json_of
from waha.errors import SessionStarted, SessionUnknown, WahaUnreadable
from waha.loose_json import mapping, rows, text
from waha.payloads import ServerStatus, ServerVersion, SessionInfo
from waha.transport import Answer

Config = dict[str, Any]

_PNG = b"\x89PNG\r\n\x1a\n"


class SessionCalls(WahaCalls):
    """The server itself, and the life of its sessions."""

    async def ping(self) -> None:
        """Whether WAHA answers at all; it needs no key, so it does not tell whether ours is right."""
        await self.call("GET", "/ping", seconds=self.timeouts.listing)

    async def version(self) -> ServerVersion:
        answer = await self.call("GET", "/api/server/version", seconds=self.timeouts.listing)
        return expected(ServerVersion.parse(answer))

    async def server_status(self) -> ServerStatus:
        answer = await self.call("GET", "/api/server/status", seconds=self.timeouts.listing)
        return expected(ServerStatus.parse(answer))

    async def list_sessions(self, *, include_stopped: bool = True) -> list[SessionInfo]:
        """Every session in one call that asks no engine, so it is the one to poll; without `engine` in its rows."""
        query = {"all": "true"} if include_stopped else None
        seconds = self.timeouts.listing
        answer = await self._answer("GET", "/api/sessions", query=query, headers=JSON_HEADERS, seconds=seconds)
        # Reading thousands of sessions takes longer than whoever waits for this event loop should notice.
        return await asyncio.to_thread(_sessions_in, answer)

    async def get_session(self, session: str) -> SessionInfo:
        """Raises `SessionUnknown` where there is none."""
        answer = await self.call("GET", _session(session), seconds=self.timeouts.listing)
        return expected(SessionInfo.parse(answer))

    async def create_session(self, session: str, config: Mapping[str, Any], *, start: bool) -> SessionInfo | None:
        """Raises `SessionExists`. None when WAHA answers nothing, as 2026.2.1 does for a session that is not started.

        `start` is always said: the documentation calls true the default, the code does not start without it.
        """
        body = {"name": session, "start": start, "config": dict(config)}
        return SessionInfo.parse(await self.call("POST", "/api/sessions", body=body, seconds=self.timeouts.control))

    async def update_session_config(self, session: str, change: Callable[[Config], Config]) -> SessionInfo:
        """Read, `change`, and write back if anything differs.

        WAHA replaces the whole configuration and restarts a session that runs: what `change` leaves out is gone,
        webhooks included, and a write that changes nothing would cost a reconnect.
        """
        before = await self.get_session(session)
        after = change(deepcopy(dict(before.config)))
        if after == before.config:
            return before
        answer = await self.call("PUT", _session(session), body={"config": after}, seconds=self.timeouts.control)
        return SessionInfo.parse(answer) or before

    async def start_session(self, session: str) -> SessionInfo | None:
        """Does nothing to one that runs; None when WAHA does not describe it."""
        try:
            return await self._control(session, "start")
        except SessionStarted:
            return None

    async def stop_session(self, session: str) -> SessionInfo | None:
        """Keeps the pairing. An unknown session is no error to WAHA, it answers nothing."""
        return await self._control(session, "stop")

    async def restart_session(self, session: str) -> SessionInfo | None:
        return await self._control(session, "restart")

    async def logout_session(self, session: str) -> SessionInfo | None:
        """Ends the pairing for good: a person has to scan a new QR code."""
        return await self._control(session, "logout")

    async def delete_session(self, session: str) -> None:
        """Logs out and forgets the session; one that is not there is no error."""
        try:
            await self.call("DELETE", _session(session), seconds=self.timeouts.control)
        except SessionUnknown:
            return

    async def qr_png(self, session: str) -> bytes:
        """The QR code to scan, as an image: a credential, new every 20 to 60 s. Raises `SessionNotReady` otherwise."""
        # WAHA compares this header as a whole with application/json, which brings JSON; a list of types does not.
        answer = await self._answer("GET", _qr(session), headers={"Accept": "image/png"}, seconds=self.timeouts.control)
        if not answer.content.startswith(_PNG):
            raise WahaUnreadable("WAHA's answer is not a PNG image.", http_status=answer.http_status)
        return answer.content

    async def qr_value(self, session: str) -> str:
        """What the QR code says, to draw it ourselves. Raises `SessionNotReady` where there is none to scan."""
        answer = await self.call("GET", _qr(session), query={"format": "raw"}, seconds=self.timeouts.control)
        return expected(text(mapping(answer), "value"))

    async def request_code(self, session: str, digits: str) -> str:
        """A code such as `ABCD-ABCD` to type on the phone with this number instead of scanning."""
        path = f"/api/{in_path(session)}/auth/request-code"
        answer = await self.call("POST", path, body={"phoneNumber": digits}, seconds=self.timeouts.control)
        return expected(text(mapping(answer), "code"))

    async def _control(self, session: str, verb: str) -> SessionInfo | None:
        answer = await self.call("POST", f"{_session(session)}/{verb}", seconds=self.timeouts.control)
        return SessionInfo.parse(answer)


def _sessions_in(answer: Answer) -> list[SessionInfo]:
    listed = json_of(answer)
    if not isinstance(listed, list):
        raise WahaUnreadable("WAHA's answer is not a list of sessions.")
    return [info for row in rows(listed) if (info := SessionInfo.parse(row))]


def _session(session: str) -> str:
    return f"/api/sessions/{in_path(session)}"


def _qr(session: str) -> str:
    return f"/api/{in_path(session)}/auth/qr"
