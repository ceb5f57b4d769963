"""Connections and transactions of the calling thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from peewee import PeeweeException

from database import tenancy
from database.errors import ConnectionLost, TenantChanged
from database.postgres import database


@contextmanager
def connection() -> Iterator[None]:
    """Lend this thread a connection; inside another `connection()` the same one goes on.

    Peewee's `connection_context` would close what it did not open.

    Raises:
        PoolTimeout: none could be had in time.
        ConnectionLost: it broke on the way.
    """
    if not database.is_closed():
        yield
        return
    database.connect()
    try:
        yield
    except PeeweeException as error:
        if database.is_broken():
            raise ConnectionLost("The connection to PostgreSQL broke under a running operation") from error
        raise
    finally:
        database.close()


@contextmanager
def transaction() -> Iterator[None]:
    """A transaction without a tenant; inside another one a savepoint, which can fail by itself."""
    with _scope():
        yield


@contextmanager
def tenant_transaction(tenant_id: UUID) -> Iterator[None]:
    """A transaction that sees and writes the rows of one tenant; inside another one a savepoint.

    Raises:
        TenantChanged: it is inside a transaction of another tenant.
    """
    before = tenancy.current_tenant()
    if before not in {None, tenant_id}:
        raise TenantChanged(f"A transaction of tenant {tenant_id} was opened inside one of tenant {before}")
    if not database.in_transaction():
        with _scope(tenant_id=tenant_id):
            yield
        return
    with _scope():
        set_tenant(tenant_id)
        yield


def set_tenant(tenant_id: UUID) -> None:
    """From here on the running transaction is this tenant's, until its end or the end of the savepoint that fails.

    Raises:
        RuntimeError: there is no transaction, so that the setting would be gone at once.
    """
    if not database.in_transaction():
        raise RuntimeError("set_tenant needs a running transaction: use tenant_transaction(tenant_id)")
    database.execute_sql(tenancy.SET_TENANT, (str(tenant_id),))
    tenancy.remember_tenant(tenant_id)


def notify(channel: str) -> None:
    """Wake whoever listens on a channel when the running transaction commits, once however often this is called.

    Raises:
        RuntimeError: there is no transaction whose end could be waited for.
    """
    if not database.in_transaction():
        raise RuntimeError("notify needs a running transaction: what it announces must be committed with it")
    database.notify_on_commit(channel)


@contextmanager
def _scope(**how: Any) -> Iterator[None]:
    before = tenancy.current_tenant()
    try:
        with database.atomic(**how):
            yield
    except BaseException:
        # PostgreSQL takes the setting back with a savepoint that is rolled back.
        tenancy.remember_tenant(before)
        raise
