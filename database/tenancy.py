"""The tenant of the running transaction, and the guard against a statement that forgot it.

Row-level security shows nobody's rows while no tenant is set. A SELECT then finds nothing and a DELETE reaches 0 rows,
and neither says so. The guard does: a statement that names a tenant's table raises unless a tenant is set.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from uuid import UUID

from database.errors import TenantNotSet

# Read by the policies of the tables. The third argument: until the end of the transaction.
SET_TENANT = "SELECT set_config('switchboard.tenant_id', %s, true)"

_owner = ContextVar("owner", default=False)
_NAMES_NOTHING = re.compile(r"(?!)")
_tables = _NAMES_NOTHING


class _Current(threading.local):
    tenant_id: UUID | None = None


_current = _Current()


def register_tenant_tables(names: Iterable[str]) -> None:
    """Put tables under the guard, in place of those of an earlier call."""
    global _tables  # noqa: PLW0603 -- set once, when the models are imported
    alternatives = "|".join(re.escape(name) for name in sorted(names))
    # Not after a dot, where it is a column; not after AS, where it is an alias; not inside a longer name.
    _tables = re.compile(rf'(?<![\w."])(?<!\bAS )(?:"?public"?\.)?"?({alternatives})\b(?!\()', re.IGNORECASE)
    _tenant_table_in.cache_clear()


def current_tenant() -> UUID | None:
    """The tenant of this thread's transaction."""
    return _current.tenant_id


def remember_tenant(tenant_id: UUID | None) -> None:
    """Keep in step with the transaction; only what begins and ends transactions calls this."""
    _current.tenant_id = tenant_id


@contextmanager
def as_owner() -> Iterator[None]:
    """Switch the guard off where the tables' owner works, whom row-level security lets through."""
    before = _owner.set(True)
    try:
        yield
    finally:
        _owner.reset(before)


def check_statement(sql: str) -> None:
    """Refuse a statement that row-level security would answer with silence.

    Raises:
        TenantNotSet: it names a tenant's table and no tenant is set.
    """
    if _current.tenant_id is None and (table := _tenant_table_in(sql)) and not _owner.get():
        raise TenantNotSet(
            f"A statement names the table {table!r} but no tenant is set: use tenant_transaction(tenant_id), "
            "or set_tenant(tenant_id) inside a transaction"
        )


# Peewee writes the same text for the same query each time, so the expression seldom runs.
@lru_cache(maxsize=1024)
def _tenant_table_in(sql: str) -> str | None:
    found = _tables.search(sql)
    return found.group(1) if found else None
