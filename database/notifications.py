"""Waking workers of this and other processes: LISTEN on a connection of its own, watched by the event loop.

A notification is a hint, lost with a connection or at a restart: workers also look by themselves now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Self, TypeVar

import psycopg2
import structlog

from database.connections import BoundedConnection, Target, first_line
from database.postgres import database

# How often a silent connection is asked whether it still lives: a frozen network says nothing by itself.
HEARTBEAT_SECONDS = 30.0
ANSWER_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

log = structlog.stdlib.get_logger(__name__)


class Wakeup:
    """One worker's alarm on a channel; it stays set until its worker waits, so that none is missed."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the worker; from the event loop's thread."""
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Whether it rang before the time was over; rings that came together count as one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        rang = self._rung.is_set()
        self._rung.clear()
        return rang


W = TypeVar("W", bound=Wakeup)


class Listener:
    """Hears `notify(channel)` of every process; `async with` it for as long as anybody waits.

    Args:
        channels: all that are listened on.
        target: where to connect; that of the open database if left out.
    """

    def __init__(self, channels: Iterable[str], target: Target | None = None) -> None:
        self._wakeups: dict[str, list[Wakeup]] = {channel: [] for channel in channels}
        self._target = target
        self._task: asyncio.Task[None] | None = None

    def wake(self, channel: str) -> Wakeup:
        """A new alarm on one of our channels, for one worker."""
        return self.join(Wakeup(), channel)

    def join(self, wakeup: W, *channels: str) -> W:
        """Let an alarm ring on these channels of ours as well."""
        for channel in channels:
            self._wakeups[channel].append(wakeup)
        return wakeup

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="database-listener")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = await asyncio.to_thread(self._connect)
            except psycopg2.Error as error:
                log.warning("not listening to PostgreSQL, trying again", reason=first_line(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            pause = FIRST_PAUSE_SECONDS
            try:
                self._ring_all()  # what was announced while nobody listened was missed
                await self._listen(connection)
            finally:
                connection.close()
            log.warning("the connection that listens to PostgreSQL broke, connecting again")

    def _connect(self) -> BoundedConnection:
        target = self._target or database.pool.target
        connection = target.connect(silence_seconds=ANSWER_SECONDS)
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f'LISTEN "{channel}"' for channel in self._wakeups))
        return connection

    async def _listen(self, connection: BoundedConnection) -> None:
        """Deliver notifications until the connection breaks."""
        loop = asyncio.get_running_loop()
        broken = asyncio.Event()
        socket = connection.fileno()
        while True:
            loop.add_reader(socket, self._read, connection, broken)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await broken.wait()
            finally:
                loop.remove_reader(socket)
            if broken.is_set() or not await asyncio.to_thread(connection.answers, ANSWER_SECONDS):
                return
            self._deliver(connection)

    def _read(self, connection: BoundedConnection, broken: asyncio.Event) -> None:
        try:
            connection.poll()
        except psycopg2.Error:
            broken.set()
        self._deliver(connection)

    def _deliver(self, connection: BoundedConnection) -> None:
        while connection.notifies:
            for wakeup in self._wakeups.get(connection.notifies.pop().channel, ()):
                wakeup.ring()

    def _ring_all(self) -> None:
        for wakeups in self._wakeups.values():
            for wakeup in wakeups:
                wakeup.ring()
