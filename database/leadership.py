"""One process among many leads: the one that holds an advisory lock on a connection of its own.

Between the loss of a connection and its notice two may believe that they lead. What must happen once is therefore also
fenced by a unique row; leadership only saves the others the work.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import Self

import psycopg2
import structlog

from database.connections import BoundedConnection, Target, first_line
from database.postgres import database

TRY_EVERY_SECONDS = 0.5
ANSWER_SECONDS = 3.0
# PostgreSQL ends a leader it has not heard of for so long. Longer than a try and an answer together, so that a leader
# whose network froze has stepped down before another wins.
SILENT_LEADER_SECONDS = 10

log = structlog.stdlib.get_logger(__name__)


class Leadership:
    """A standing candidacy; `async with` it, then wait to win and to lose, as often as it happens.

    Args:
        name: what is led; candidates of one name exclude each other, in one database.
        target: where to connect; that of the open database if left out.
    """

    def __init__(self, name: str, target: Target | None = None) -> None:
        self.name = name
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        self._target = target
        self._won = asyncio.Event()
        self._lost = asyncio.Event()
        self._lost.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_leading(self) -> bool:
        """Whether we led when PostgreSQL was last asked."""
        return self._won.is_set()

    async def wait_until_won(self) -> None:
        """Return at once when we lead already."""
        await self._won.wait()

    async def wait_until_lost(self) -> None:
        """Return at once when we do not lead."""
        await self._lost.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"leadership-{self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                connection = await asyncio.to_thread(self._connect)
                await self._lead_when_won(connection)
            except psycopg2.Error as error:
                log.warning("cannot stand for leadership, trying again", name=self.name, reason=first_line(error))
            await asyncio.sleep(TRY_EVERY_SECONDS)

    async def _lead_when_won(self, connection: BoundedConnection) -> None:
        try:
            # Only PostgreSQL knows whether another leads, and whether we still do.
            while not await asyncio.to_thread(self._try_lock, connection):  # noqa: ASYNC110
                await asyncio.sleep(TRY_EVERY_SECONDS)
            self._turn(lead=True)
            while await asyncio.to_thread(connection.answers, ANSWER_SECONDS):  # noqa: ASYNC110
                await asyncio.sleep(TRY_EVERY_SECONDS)
        finally:
            connection.close()
            self._turn(lead=False)

    def _connect(self) -> BoundedConnection:
        target = self._target or database.pool.target
        limits = {"idle_session_timeout": f"{SILENT_LEADER_SECONDS}s"}
        return replace(target, limits=limits).connect(silence_seconds=ANSWER_SECONDS)

    def _try_lock(self, connection: BoundedConnection) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
            row = cursor.fetchone()
        return bool(row and row[0])

    def _turn(self, *, lead: bool) -> None:
        if lead == self.is_leading:
            return
        log.info("leading now" if lead else "not leading any more", name=self.name)
        entered, left = (self._won, self._lost) if lead else (self._lost, self._won)
        left.clear()
        entered.set()
