"""PostgreSQL: the pool, the embedded server and its keeper, transactions and tenants, migrations, notifications."""

from database.errors import (
    ConnectionLost,
    ConnectionRefused,
    DatabaseOnLoop,
    DatabaseUnavailable,
    EmbeddedPostgresFailed,
    MigrationRefused,
    PoolTimeout,
    TenantChanged,
    TenantNotSet,
)
from database.opening import close_database, open_database
from database.postgres import database
from database.tenancy import as_owner, register_tenant_tables
from database.threads import in_database
from database.transactions import connection, notify, set_tenant, tenant_transaction, transaction

__all__ = [
    "ConnectionLost",
    "ConnectionRefused",
    "DatabaseOnLoop",
    "DatabaseUnavailable",
    "EmbeddedPostgresFailed",
    "MigrationRefused",
    "PoolTimeout",
    "TenantChanged",
    "TenantNotSet",
    "as_owner",
    "close_database",
    "connection",
    "database",
    "in_database",
    "notify",
    "open_database",
    "register_tenant_tables",
    "set_tenant",
    "tenant_transaction",
    "transaction",
]
