"""One row in every table for a tenant, made from the catalog alone: a table that is added gets its row too."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor

from tests.models.catalog import Catalog, Column

VALUES: dict[str, Any] = {
    "jsonb": "{}",
    "bytea": b"",
    "boolean": False,
    "timestamp with time zone": "2026-01-01T00:00:00Z",
}


def row_id(tenant: uuid.UUID, table: str) -> uuid.UUID:
    """The id of a tenant's row in a table; the tenant's own row has the tenant's."""
    return tenant if table == "tenants" else uuid.uuid5(tenant, table)


def parents_first(catalog: Catalog) -> Iterable[str]:
    graph = {table: {key.target for key in catalog.foreign_keys if key.table == table} for table in catalog.tables}
    return TopologicalSorter({table: parents - {table} for table, parents in graph.items()}).static_order()


def row_of(catalog: Catalog, table: str, tenant: uuid.UUID) -> dict[str, Any]:
    """What a row needs: its id, its tenant, its parents, and something in every column that has no default."""
    values = {
        name: value_of(catalog, table, name, column, tenant)
        for name, column in catalog.columns_of(table).items()
        if not column.nullable and not column.filled
    }
    parents = {
        name: str(row_id(tenant, key.target))
        for key in catalog.foreign_keys
        for name in key.columns
        if key.table == table and name in values
    }
    owned = {"tenant_id": str(tenant)} if "tenant_id" in catalog.columns_of(table) else {}
    return {**values, **parents, **owned, "id": str(row_id(tenant, table))}


def value_of(catalog: Catalog, table: str, name: str, column: Column, tenant: uuid.UUID) -> Any:
    if words := catalog.words.get((table, name)):
        return min(words)
    if column.type in {"bigint", "integer"}:
        return tenant.int % 1000
    text = tenant.hex[:20] if column.type.startswith("character") else tenant.hex
    return VALUES.get(column.type, text)


def insert(writer: cursor, table: str, row: dict[str, Any]) -> None:
    """Insert a row, as whoever the cursor acts as."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    writer.execute(statement, row)
