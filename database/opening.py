"""Opening and closing the database of a process."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psycopg2
import structlog

from database import connections, threads
from database.connections import Target, first_line, raise_if_refused
from database.embedded import EmbeddedPostgres
from database.errors import DatabaseUnavailable
from database.pool import ConnectionPool, PoolFigures
from database.postgres import database
from database.transactions import connection

if TYPE_CHECKING:
    from settings import DatabaseSettings

Role = Literal["switchboard_bot", "switchboard_daemon"]

# Beside its pool a process has a listener and, if it can lead, the connection that holds the lock.
CONNECTIONS_BESIDE_THE_POOL = 2
TRY_EVERY_SECONDS = 0.5
SAY_EVERY_SECONDS = 30.0

log = structlog.stdlib.get_logger(__name__)

_embedded: EmbeddedPostgres | None = None


def open_database(
    settings: DatabaseSettings,
    role: Role | None = None,
    process: str = "tool",
    *,
    first_key: str = "",
    deadline_seconds: float | None = None,
    figures: PoolFigures | None = None,
) -> None:
    """Give `database` its connections, and wait for a PostgreSQL that is down until it is there.

    It blocks: call it before the event loop runs, or in a thread.

    Args:
        settings: where; the embedded PostgreSQL is started if need be.
        role: what every connection acts as; None is the login itself, which may own the tables.
        process: what PostgreSQL's list of connections calls us.
        first_key: the id of the key that we encrypt secrets with, which stands there too.
        deadline_seconds: when to give up waiting; None waits for ever.
        figures: sizes and times of the pool, when they are not the specification's.

    Raises:
        ConnectionRefused: PostgreSQL is there and refuses us.
        EmbeddedPostgresFailed: it cannot be started.
        DatabaseUnavailable: the deadline is over.
    """
    global _embedded  # noqa: PLW0603 -- one a process, like `database`
    figures = figures or PoolFigures()
    connections.install()
    if settings.is_embedded:
        _embedded = EmbeddedPostgres(settings.data_dir)
        _embedded.attach()
    name = f"switchboard/{process}/{socket.gethostname()[:24]}:{os.getpid()}"
    target = Target(
        url=_embedded.url if _embedded else settings.url.get_secret_value(),
        application_name=f"{name}/{first_key}" if first_key else name,  # PostgreSQL takes 63 bytes
        role=role,
    )
    try:
        wait_for_postgres(target, deadline_seconds)
        database.use(ConnectionPool(target, figures, on_failure=_embedded.ensure if _embedded else None))
        with connection():
            warn_of_too_many_connections(figures.max_size)
    except BaseException:
        close_database()
        raise
    threads.start_threads(figures.max_size)


def close_database() -> None:
    """Finish the operations that run and close every connection. The embedded PostgreSQL stops after its last user."""
    global _embedded  # noqa: PLW0603
    threads.stop_threads()
    if not database.deferred:
        database.close()
        database.pool.close()
        database.use(None)
    if _embedded is not None:
        _embedded.release()
        _embedded = None


def wait_for_postgres(target: Target, deadline_seconds: float | None) -> None:
    """Return once a connection can be made; a line in the log says now and then that it cannot.

    Raises:
        ConnectionRefused: PostgreSQL is there and refuses us.
        DatabaseUnavailable: the deadline is over.
    """
    began = time.monotonic()
    next_line = 0.0
    while True:
        try:
            target.connect().close()
        except psycopg2.OperationalError as error:
            raise_if_refused(error)
            waited = time.monotonic() - began
            if deadline_seconds is not None and waited > deadline_seconds:
                raise DatabaseUnavailable(f"PostgreSQL is not there: {first_line(error)}") from error
            if waited >= next_line:
                log.warning("waiting for PostgreSQL", seconds=round(waited), reason=first_line(error))
                next_line = waited + SAY_EVERY_SECONDS
            time.sleep(TRY_EVERY_SECONDS)
        else:
            return


@dataclass(frozen=True)
class ConnectionBudget:
    """What all our processes may open together, what PostgreSQL allows, and what is open now, by anybody."""

    processes: int
    wanted: int
    allowed: int
    is_open: int


def connection_budget(pool_size: int) -> ConnectionBudget:
    row = database.execute_sql(
        """
        SELECT (SELECT count(DISTINCT application_name) FROM pg_stat_activity
                 WHERE starts_with(application_name, 'switchboard/')
                   AND NOT starts_with(application_name, 'switchboard/doctor/')),
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
        """
    ).fetchone()
    processes, allowed, is_open = row
    return ConnectionBudget(processes, processes * (pool_size + CONNECTIONS_BESIDE_THE_POOL), allowed, is_open)


def warn_of_too_many_connections(pool_size: int) -> None:
    """Compare what all our processes may open together with what PostgreSQL allows."""
    budget = connection_budget(pool_size)
    if budget.wanted > budget.allowed:
        log.warning(
            "PostgreSQL allows fewer connections than our processes may open: raise max_connections",
            processes=budget.processes,
            wanted=budget.wanted,
            allowed=budget.allowed,
        )
