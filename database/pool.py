"""The connection pool, to the specification's figures, which Peewee's own pool does not offer.

Peewee's has no minimum and no idle time-out, and connects under one lock: four threads that met a dead host waited
2, 4, 6 and 8 s. Here nothing slow happens under the lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
import structlog

from database.connections import (
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    BoundedConnection,
    Target,
    first_line,
    raise_if_refused,
)
from database.errors import DatabaseUnavailable, PoolTimeout

# A connection that rested longer than this is asked whether it still answers before it is handed out.
TRUSTED_SECONDS = 1.0
LOOK_EVERY_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class PoolFigures:
    """The specification's figures, and how long PostgreSQL may fall silent; tests shorten the times."""

    max_size: int = 20
    min_size: int = 5
    acquire_seconds: float = 30.0
    idle_seconds: float = 30.0
    trusted_seconds: float = TRUSTED_SECONDS
    connect_seconds: float = CONNECT_SECONDS
    silence_seconds: float = SILENCE_SECONDS


@dataclass(frozen=True)
class _Idle:
    connection: BoundedConnection
    since: float


class ConnectionPool:
    """Hands out connections, one user each at a time, and keeps `min_size` of them warm.

    Args:
        target: where to connect.
        figures: sizes and times.
        on_failure: called when a connection could not be made, before it is tried again.
    """

    def __init__(
        self, target: Target, figures: PoolFigures | None = None, on_failure: Callable[[], None] | None = None
    ) -> None:
        self.target = target
        self.figures = figures or PoolFigures()
        self._on_failure = on_failure
        self._idle: deque[_Idle] = deque()  # the longest at rest is at the left
        self._size = 0  # connections that exist or are being made
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="database-pool", daemon=True)
        self._tender.start()

    @property
    def size(self) -> int:
        """Connections in use and at rest."""
        return self._size

    @property
    def resting(self) -> int:
        """Connections at rest."""
        return len(self._idle)

    def acquire(self) -> BoundedConnection:
        """A connection that answers; connecting is tried again until the time to acquire is over.

        Raises:
            PoolTimeout: all connections stayed in use, or none could be made in time.
            ConnectionRefused: PostgreSQL refuses us for good.
        """
        deadline = time.monotonic() + self.figures.acquire_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            resting = self._take(deadline)
            try:
                connection = self._checked(resting) if resting else self._connect()
            except psycopg2.OperationalError as error:
                self._pause_or_give_up(pause, deadline, error)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            if connection is not None:
                return connection

    def release(self, connection: BoundedConnection) -> None:
        """Take a connection back; one that is broken or in the middle of a transaction is thrown away."""
        sound = not connection.closed and _is_between_transactions(connection)
        if sound and not self._closed.is_set():
            self._put(connection)
        else:
            self._discard(connection)
        if not sound:
            self._evict()

    def close(self) -> None:
        """Close what rests; what is in use is closed when it comes back."""
        self._closed.set()
        self._evict()
        self._tender.join()

    def _take(self, deadline: float) -> _Idle | None:
        """The connection that rested shortest, or None: a place was reserved for a new one."""
        with self._changed:
            while not self._idle and self._size >= self.figures.max_size:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise PoolTimeout(
                        f"No database connection within {self.figures.acquire_seconds:g} s: "
                        f"all {self.figures.max_size} are in use"
                    )
            if self._closed.is_set():
                raise DatabaseUnavailable("The connection pool is closed")
            if self._idle:
                return self._idle.pop()
            self._size += 1
            return None

    def _checked(self, resting: _Idle) -> BoundedConnection | None:
        """The connection, or None when it died at rest; then the others are gone too and are not asked one by one."""
        connection = resting.connection
        trusted = time.monotonic() - resting.since < self.figures.trusted_seconds
        if not connection.closed and (trusted or connection.answers(self.figures.connect_seconds)):
            return connection
        self._discard(connection)
        self._evict()
        return None

    def _connect(self) -> BoundedConnection:
        """A new connection in a reserved place, which is given back when connecting fails."""
        try:
            return self.target.connect(
                connect_seconds=self.figures.connect_seconds, silence_seconds=self.figures.silence_seconds
            )
        except BaseException:
            self._forget_one()
            raise

    def _pause_or_give_up(self, pause: float, deadline: float, error: psycopg2.OperationalError) -> None:
        raise_if_refused(error)
        if self._on_failure:
            self._on_failure()
        if time.monotonic() + pause > deadline:
            raise PoolTimeout(
                f"No database connection within {self.figures.acquire_seconds:g} s: {first_line(error)}"
            ) from error
        self._closed.wait(pause)

    def _put(self, connection: BoundedConnection) -> None:
        with self._changed:
            self._idle.append(_Idle(connection, time.monotonic()))
            self._changed.notify()

    def _discard(self, connection: BoundedConnection) -> None:
        connection.close()
        self._forget_one()

    def _forget_one(self) -> None:
        with self._changed:
            self._size -= 1
            self._changed.notify()

    def _evict(self, resting_since: float = float("inf"), keep: int = 0) -> None:
        """Throw away what rests since before a moment, all by default, down to a number of connections."""
        doomed: list[BoundedConnection] = []
        with self._changed:
            while self._idle and self._idle[0].since < resting_since and self._size - len(doomed) > keep:
                doomed.append(self._idle.popleft().connection)
        for connection in doomed:
            self._discard(connection)

    def _tend(self) -> None:
        """Keep the minimum warm and let go of what rested too long, in a thread of its own."""
        while not self._closed.is_set():
            self._warm_up()
            self._evict(time.monotonic() - self.figures.idle_seconds, keep=self.figures.min_size)
            self._closed.wait(min(LOOK_EVERY_SECONDS, self.figures.idle_seconds / 4))

    def _warm_up(self) -> None:
        while self._reserve_below_minimum():
            try:
                self._put(self._connect())
            except psycopg2.OperationalError as error:
                log.debug("no warm connection yet", reason=first_line(error))
                if self._on_failure:
                    self._on_failure()
                return

    def _reserve_below_minimum(self) -> bool:
        with self._changed:
            short = self._size < self.figures.min_size and not self._closed.is_set()
            self._size += short
            return short


def _is_between_transactions(connection: BoundedConnection) -> bool:
    return connection.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
