"""What can be said of the database, its pool and its requests so that a program can tell whether it is true."""

from __future__ import annotations

import os
import runpy
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import cursor
from pydantic import ValidationError

from database.migrations import MIGRATIONS
from database.pool import PoolFigures
from models import requests
from operations.encryption import CannotDecrypt, KeyRing
from tests.models.attempts import attempt
from tests.models.catalog import Catalog, read_catalog


@dataclass(frozen=True)
class Evidence:
    """A migrated database, and what is left of it when its migrations are taken back."""

    catalog: Catalog
    after_rollback: Catalog


@dataclass(frozen=True)
class Claim:
    """A sentence that holds or does not; two with the same sentence are the same."""

    says: str
    holds: Callable[[Evidence], bool] = field(compare=False, repr=False)


def collect(reader: cursor) -> Evidence:
    """Look, take everything back, look again, and undo that."""
    catalog = read_catalog(reader)
    after_rollback = catalog
    with attempt(reader), suppress(psycopg2.Error):
        for path in sorted(MIGRATIONS.glob("[0-9]*.py"), reverse=True):
            reader.execute(runpy.run_path(str(path))["DOWN"])
        after_rollback = read_catalog(reader)
    return Evidence(catalog, after_rollback)


def has(table: str, column: str, type_: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        found = evidence.catalog.columns.get((table, column))
        return found is not None and found.type == type_

    return Claim(f"{table}.{column} is {type_}", holds)


def needed(table: str, column: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        found = evidence.catalog.columns.get((table, column))
        return found is not None and not found.nullable

    return Claim(f"{table}.{column} is never null", holds)


def optional(table: str, column: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        found = evidence.catalog.columns.get((table, column))
        return found is not None and found.nullable

    return Claim(f"{table}.{column} may be null", holds)


def absent(table: str, column: str) -> Claim:
    return Claim(
        f"{table} has no column {column}",
        lambda evidence: table in evidence.catalog.tables and (table, column) not in evidence.catalog.columns,
    )


def primary(table: str, column: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        return any(
            index.primary and (index.table, index.columns) == (table, (column,)) for index in evidence.catalog.indexes
        )

    return Claim(f"{table}.{column} is the primary key", holds)


def unique(table: str, *columns: str, where: str = "") -> Claim:
    def holds(evidence: Evidence) -> bool:
        return any(
            index.unique and (index.table, index.columns, index.where) == (table, columns, where)
            for index in evidence.catalog.indexes
        )

    rows = f"where {where}" if where else "over all rows"
    return Claim(f"{table} is unique by {', '.join(columns)} {rows}", holds)


def indexed(table: str, *columns: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        return any(
            (index.table, index.columns, index.where) == (table, columns, "") for index in evidence.catalog.indexes
        )

    return Claim(f"{table} has an index on {', '.join(columns)} over all rows", holds)


def native(table: str, column: str, *words: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        found = evidence.catalog.columns.get((table, column))
        return found is not None and evidence.catalog.enumeration_types.get(found.type) == frozenset(words)

    return Claim(f"{table}.{column} is an enumeration type of {', '.join(words)}", holds)


def admits(table: str, column: str, *words: str) -> Claim:
    return Claim(
        f"{table}.{column} admits {', '.join(words)}",
        lambda evidence: evidence.catalog.words.get((table, column)) == frozenset(words),
    )


def refers(table: str, *columns: str, to: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        return any(
            key.cascades and (key.table, key.columns, key.target) == (table, columns, to)
            for key in evidence.catalog.foreign_keys
        )

    return Claim(f"{table} refers to {to} by {', '.join(columns)} and is deleted with it", holds)


def follows_by_index(table: str) -> Claim:
    def holds(evidence: Evidence) -> bool:
        leading = {index.columns[0] for index in evidence.catalog.indexes if index.table == table and index.columns}
        keys = [key for key in evidence.catalog.foreign_keys if key.table == table]
        return all(leading & set(key.columns) for key in keys)

    return Claim(f"every foreign key of {table} has an index that begins with a column of it", holds)


def undeletable(table: str) -> Claim:
    return Claim(
        f"the bot and the daemon may delete no row of {table}",
        lambda evidence: table in evidence.catalog.tables - evidence.catalog.deletable,
    )


def rolls_back() -> Claim:
    return Claim("rolling back leaves no table", lambda evidence: evidence.after_rollback.tables == set())


def pool(figure: str, value: float) -> Claim:
    return Claim(f"the pool's {figure} is {value:g}", lambda _: bool(getattr(PoolFigures(), figure) == value))


def accepts(request: str, **given: Any) -> Claim:
    return Claim(f"{request} accepts {', '.join(given)}", lambda _: _broken_fields(request, given) == set())


def needs(request: str, *fields: str) -> Claim:
    return Claim(f"{request} needs {', '.join(fields)}", lambda _: set(fields) <= _broken_fields(request, {}))


def refuses(request: str, field_: str, value: Any) -> Claim:
    return Claim(
        f"{request} refuses {value!r} as {field_}", lambda _: field_ in _broken_fields(request, {field_: value})
    )


def bounded(request: str, field_: str, most: int) -> Claim:
    def holds(_: Evidence) -> bool:
        fits, too_long = ({field_: "4" * length} for length in (most, most + 1))
        return field_ not in _broken_fields(request, fits) and field_ in _broken_fields(request, too_long)

    return Claim(f"{request} takes a {field_} of {most} characters and no more", holds)


def _broken_fields(request: str, given: dict[str, Any]) -> set[str]:
    try:
        getattr(requests, request).model_validate(given)
    except ValidationError as error:
        return {str(problem["loc"][0]) if problem["loc"] else "" for problem in error.errors()}
    return set()


def sealable(table: str, column: str) -> Claim:
    """A secret can be encrypted for a place, and opened nowhere else."""

    def holds(_: Evidence) -> bool:
        keys, here, elsewhere = KeyRing([os.urandom(32)]), uuid.uuid4(), uuid.uuid4()
        sealed = keys.encrypt(b"secret", table=table, column=column, row=here)
        try:
            keys.decrypt(sealed, table=table, column=column, row=elsewhere)
        except CannotDecrypt:
            return keys.decrypt(sealed, table=table, column=column, row=here) == b"secret"
        return False

    return Claim(f"a secret in {table}.{column} can be encrypted for its row", holds)
