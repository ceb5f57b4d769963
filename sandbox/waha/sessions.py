"""All sessions of a server, and the rules for reaching one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.waha import errors
from sandbox.waha.environment import Json
from sandbox.waha.identifiers import milliseconds
from sandbox.waha.receiving import receive
from sandbox.waha.runtime import Runtime
from sandbox.waha.session import Session, Status

# A caller waits this long for the session to run at all, and then this long for the status that it needs.
RUNNING_SECONDS = 5.0
STATUS_SECONDS = 10.0
LOCK_SECONDS = 5.0


class Sessions:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sessions: dict[str, Session] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._others: list[Sessions] = []

    def share_database_with(self, other: Sessions) -> None:
        """Each server lists the other's sessions as well, and runs none of them, so they are all STOPPED to it."""
        self._others.append(other)
        other._others.append(self)

    def all(self) -> list[Session]:
        for other in self._others:
            self._read(other)
        return list(self._sessions.values())

    def get(self, name: str) -> Session | None:
        for other in self._others:
            self._read(other, name)
        return self._sessions.get(name)

    def _read(self, other: Sessions, *names: str) -> None:
        for name in names or list(other._sessions):
            original, own = other._sessions.get(name), self._sessions.get(name)
            if original is None or original.original is not None:
                continue
            if own is None:
                own = self._sessions[name] = Session(name, original.config, self._runtime, receive)
                own.original = original
            own.config = original.config

    def known(self, name: str) -> Session:
        """Raises Refusal 404 as the calls below `/api/sessions` do."""
        session = self.get(name)
        if session is None:
            raise errors.not_found("Session not found")
        return session

    def create(self, name: str, config: Json | None) -> Session:
        if self.get(name) is not None:
            raise errors.unprocessable(f"Session '{name}' already exists. Use PUT to update it.")
        session = Session(name, config, self._runtime, receive)
        self._sessions[name] = session
        return session

    def forget(self, session: Session) -> None:
        known = self._sessions.pop(session.name, None)
        for other in self._others if known else ():
            other.forget(session)

    async def in_status(self, name: object, *expected: Status) -> Session:
        """The session once it has one of these statuses; waits for it as WAHA does.

        Raises:
            Refusal: 400 without a name, 422 for an unknown session or one that did not get there in 5 + 10 s.
        """
        if not isinstance(name, str) or not name:
            raise errors.bad_request("Session name is required")
        session = self.get(name)
        if session is None:
            raise errors.no_such_session(name)
        running = await session.until(lambda: session.running, RUNNING_SECONDS)
        if not running or not await session.until(lambda: session.status in expected, STATUS_SECONDS):
            raise errors.wrong_status(name, session.status.value, [status.value for status in expected])
        session.last_activity = milliseconds()
        return session

    async def working(self, name: object) -> Session:
        return await self.in_status(name, Status.WORKING)

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """One change at a time to a session; who waits too long gets a 500."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(self._runtime.environment.seconds(LOCK_SECONDS)):
                await lock.acquire()
        except TimeoutError:
            raise RuntimeError(f"async-lock timed out in queue {name}") from None
        try:
            yield
        finally:
            lock.release()

    def crash(self) -> None:
        for session in self.all():
            session.crash()

    def start_assigned(self) -> None:
        for session in self.all():
            if session.assigned:
                session.start()
