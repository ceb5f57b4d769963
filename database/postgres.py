"""The Peewee database that all models are bound to, over our pool."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from peewee import InternalError, PostgresqlDatabase
from psycopg2.extensions import TRANSACTION_STATUS_INERROR

from database import tenancy
from database.connections import BoundedConnection
from database.errors import DatabaseOnLoop, DatabaseUnavailable
from database.pool import ConnectionPool


class _Outgoing(threading.local):
    """Channels to be notified when this thread's transaction commits."""

    def __init__(self) -> None:
        self.channels: set[str] = set()


class PooledPostgres(PostgresqlDatabase):
    """Peewee's PostgreSQL, with connections from a pool, guarded, and never connected unasked.

    Without a pool it is deferred: models can be declared, but a query raises.
    """

    _state: Any  # Peewee's stubs leave out its thread-local state: `conn` is the thread's connection

    def __init__(self) -> None:
        super().__init__(None, autoconnect=False)
        # Peewee connects under this lock, so that one dead host would hold up every thread. It protects nothing that
        # threads share: the state of a connection is thread-local, and the pool has a lock of its own.
        self._lock = nullcontext()
        self._outgoing = _Outgoing()
        self._pool: ConnectionPool | None = None

    @property
    def pool(self) -> ConnectionPool:
        """Where the connections come from.

        Raises:
            DatabaseUnavailable: the database was not opened.
        """
        if self._pool is None:
            raise DatabaseUnavailable("The database is not open: call open_database first")
        return self._pool

    def use(self, pool: ConnectionPool | None) -> None:
        """Take connections from a pool, or with None from nowhere again."""
        self.init("postgresql://" if pool else None)
        self._pool = pool

    def is_broken(self) -> bool:
        """Whether this thread has a connection and that does not live any more."""
        return not self.is_closed() and bool(self._state.conn.closed)

    def cursor(self, named_cursor: str | None = None) -> Any:
        """The way of every statement, Peewee's own BEGIN and COMMIT included."""
        _refuse_on_loop()
        return super().cursor(named_cursor)  # type: ignore[no-untyped-call]

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """The way of every statement but BEGIN, COMMIT and ROLLBACK."""
        tenancy.check_statement(sql)
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]

    def begin(self, isolation_level: str | None = None, tenant_id: UUID | None = None) -> None:
        """BEGIN, and in the same round trip whose transaction it is."""
        self._outgoing.channels.clear()
        if tenant_id is None:
            super().begin(isolation_level)
        else:
            self.execute_sql(f"BEGIN; {tenancy.SET_TENANT}", (str(tenant_id),))
            tenancy.remember_tenant(tenant_id)

    def commit(self) -> None:
        """COMMIT, and in the same round trip the notifications: they hold a lock of the whole server until then.

        Raises:
            InternalError: a statement failed before and its error was swallowed; COMMIT would silently roll back.
        """
        if not self.is_closed() and self._state.conn.get_transaction_status() == TRANSACTION_STATUS_INERROR:
            raise InternalError("A statement of this transaction failed: it cannot be committed")
        notifications = "".join(f'NOTIFY "{channel}"; ' for channel in sorted(self._outgoing.channels))
        if notifications:
            # Past the guard: a channel may be called like a tenant's table.
            super().execute_sql(f"{notifications}COMMIT")  # type: ignore[no-untyped-call]
        else:
            super().commit()

    def notify_on_commit(self, channel: str) -> None:
        """Remember a channel, once however often it is named."""
        self._outgoing.channels.add(channel)

    def pop_transaction(self) -> Any:
        """Peewee ends a transaction: the tenant was set for its duration."""
        ended = super().pop_transaction()  # type: ignore[no-untyped-call]
        if not self.in_transaction():
            tenancy.remember_tenant(None)
        return ended

    def _connect(self) -> BoundedConnection:
        _refuse_on_loop()
        return self.pool.acquire()

    def _close(self, conn: BoundedConnection) -> None:
        self.pool.release(conn)


def _refuse_on_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise DatabaseOnLoop("A query on the event loop's thread would stop every acknowledgement: use in_database(...)")


# Models name it in their Meta; `open_database` gives it its connections.
database = PooledPostgres()
