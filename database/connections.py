"""Connections that give up: psycopg2 waits for ever on a network that fell silent, ours do not.

Keepalives, `tcp_user_timeout` and `statement_timeout` were tried against a frozen host and did not end the wait.
What does is a wait callback: psycopg2 then drives libpq without blocking and asks us how long to wait. It is set for
the whole process; connections of other classes are left to wait as long as they like. COPY does not work with it.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import psycopg2
import psycopg2.extras
from psycopg2 import extensions

from database.errors import ConnectionRefused

CONNECT_SECONDS = 2.0
# Longer than STATEMENT_SECONDS: a slow statement is ended by PostgreSQL with a clear error, only silence by us.
SILENCE_SECONDS = 20.0
STATEMENT_SECONDS = 15
IDLE_IN_TRANSACTION_SECONDS = 30
# What PostgreSQL says while it starts, stops, recovers or is full. Whatever else it refuses, it refuses for good.
PASSING_REFUSALS = (
    "starting up",
    "shutting down",
    "not yet accepting",
    "not accepting connections",
    "recovery mode",
    "too many",
    "connection slots",
    "terminating connection",
)


class BoundedConnection(extensions.connection):
    """A connection that raises `OperationalError` and is closed when PostgreSQL falls silent.

    Args:
        dsn: as psycopg2 takes it.
        connect_seconds: for the whole of connecting, all addresses of the host together.
        silence_seconds: how long PostgreSQL may send nothing while we wait for an answer.
    """

    def __init__(
        self,
        dsn: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        async_: int = 0,
    ) -> None:
        # Set before connecting, which happens inside psycopg2's own __init__ and already waits.
        self.connect_seconds = connect_seconds
        self.silence_seconds = silence_seconds
        super().__init__(dsn, async_=async_)

    def wait(self) -> None:
        """Drive libpq until it has what it waits for.

        Called by psycopg2, which closes the connection when this raises; `self.close()` in here would deadlock.
        """
        connecting = self.status == extensions.STATUS_SETUP
        seconds = self.connect_seconds if connecting else self.silence_seconds
        deadline = time.monotonic() + seconds
        while (wanted := self.poll()) != extensions.POLL_OK:
            if not _is_ready(self.fileno(), wanted, deadline - time.monotonic()):
                raise psycopg2.OperationalError(f"PostgreSQL did not answer within {seconds:g} s")
            if not connecting:
                deadline = time.monotonic() + seconds

    def answers(self, within_seconds: float) -> bool:
        """Whether a round trip succeeds; a connection that does not answer is closed."""
        usual, self.silence_seconds = self.silence_seconds, within_seconds
        try:
            with self.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            self.close()
            return False
        finally:
            self.silence_seconds = usual
        return True


@dataclass(frozen=True)
class Target:
    """Where to connect and as whom; what every connection of a process has in common."""

    url: str
    application_name: str
    role: str | None = None
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """Settings of the session, after those that the url itself asks for."""
        settings = {
            "timezone": "UTC",
            "statement_timeout": f"{STATEMENT_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
            **self.limits,
        }
        if self.role:
            settings["role"] = self.role
        own = extensions.parse_dsn(self.url).get("options", "")
        return " ".join([own, *(f"-c {name}={value}" for name, value in settings.items())]).strip()

    def connect(
        self, *, connect_seconds: float = CONNECT_SECONDS, silence_seconds: float = SILENCE_SECONDS
    ) -> BoundedConnection:
        """A new connection in autocommit, outside every pool.

        Raises:
            psycopg2.OperationalError: PostgreSQL is not there, refuses, or does not answer within `connect_seconds`.
        """
        connection = psycopg2.connect(
            self.url,
            connection_factory=partial(
                BoundedConnection, connect_seconds=connect_seconds, silence_seconds=silence_seconds
            ),
            options=self.options,
            application_name=self.application_name,
        )
        connection.autocommit = True
        return connection


def raise_if_refused(error: psycopg2.OperationalError) -> None:
    """Tell a PostgreSQL that says no from one that is not there, which may come back.

    Raises:
        ConnectionRefused: it will say no again.
    """
    reason = first_line(error)
    if "FATAL:" not in reason or any(passing in reason for passing in PASSING_REFUSALS):
        return
    hint = " (is the database migrated? python -m database migrate)" if "role" in reason else ""
    raise ConnectionRefused(f"PostgreSQL refuses the connection: {reason}{hint}") from error


def first_line(error: BaseException) -> str:
    """What libpq says first; what follows repeats it for other addresses."""
    return str(error).strip().partition("\n")[0]


def _wait(connection: extensions.connection) -> None:
    if isinstance(connection, BoundedConnection):
        connection.wait()
    else:
        psycopg2.extras.wait_select(connection)


def _is_ready(socket: int, wanted: int, seconds: float) -> bool:
    events = select.POLLIN if wanted == extensions.POLL_READ else select.POLLOUT
    ready = select.poll()  # not select(), which refuses descriptors above 1023
    ready.register(socket, events)
    return seconds > 0 and bool(ready.poll(seconds * 1000))


def install() -> None:
    """Set the wait callback for this process, and teach psycopg2 UUIDs; repeating it changes nothing."""
    extensions.set_wait_callback(_wait)
    psycopg2.extras.register_uuid()  # type: ignore[no-untyped-call]
