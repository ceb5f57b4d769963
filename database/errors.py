"""What can go wrong between us and PostgreSQL, by what the caller may do about it.

    DatabaseUnavailable            nothing can be done now; may be tried again
    ├── PoolTimeout                no connection within the time to acquire; nothing was done
    ├── ConnectionRefused          PostgreSQL answered and said no; trying again does not help
    └── ConnectionLost             the connection broke; whether a COMMIT was carried out is not known
    TenantNotSet                   a bug: a tenant's table was named outside a tenant's transaction
    TenantChanged                  a bug: one tenant's transaction was opened inside another's
    DatabaseOnLoop                 a bug: a query on the event loop's thread
    EmbeddedPostgresFailed         the embedded PostgreSQL cannot be started; the sentence says why
    MigrationRefused               the migrations and the database do not fit together

None of them derives from a Peewee class: the edges catch them, and Peewee is not known there.
"""

from __future__ import annotations


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached, or has no connection to spare."""


class PoolTimeout(DatabaseUnavailable):
    """No connection became free, or could be made, within the time to acquire one."""


class ConnectionRefused(DatabaseUnavailable):
    """PostgreSQL answered and refused: a wrong password, a role or a database that does not exist."""


class ConnectionLost(DatabaseUnavailable):
    """The connection broke under a running operation; what it wrote may or may not be committed."""


class TenantNotSet(Exception):
    """A tenant's table was named while no tenant was set; row-level security would have shown 0 rows."""


class TenantChanged(Exception):
    """A transaction of one tenant was opened inside the transaction of another."""


class DatabaseOnLoop(RuntimeError):
    """A query ran on the event loop's thread, where it stops every acknowledgement; use `in_database`."""


class EmbeddedPostgresFailed(Exception):
    """The embedded PostgreSQL could not be started."""


class MigrationRefused(Exception):
    """The migration files and the database do not fit together; nothing was changed."""
