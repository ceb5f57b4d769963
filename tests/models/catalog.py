"""What PostgreSQL's own catalog says of a database: the side that is believed when a table and a text disagree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import cursor

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'migratehistory'
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
INDEXES = """
SELECT c.relname, i.indisunique, i.indisprimary, coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.place)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'migratehistory'
"""
FOREIGN_KEYS = """
SELECT c.relname, f.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place),
       pg_get_constraintdef(k.oid)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_class f ON f.oid = k.confrelid
WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
"""
# A CHECK over one column that lists words. PostgreSQL writes `IN (...)` as `= ANY (ARRAY[...])`.
WORDS = """
SELECT c.relname, a.attname, pg_get_constraintdef(k.oid)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE k.contype = 'c' AND k.connamespace = 'public'::regnamespace AND cardinality(k.conkey) = 1
  AND pg_get_constraintdef(k.oid) LIKE '%= ANY (ARRAY[%'
"""
ENUMERATION_TYPES = """
SELECT t.typname, array_agg(e.enumlabel::text) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.typname
"""
DELETABLE = """
SELECT DISTINCT c.relname
FROM pg_class c, pg_roles r
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND r.rolname IN ('switchboard_bot', 'switchboard_daemon') AND has_table_privilege(r.oid, c.oid, 'DELETE')
"""


@dataclass(frozen=True)
class Column:
    """Its type in PostgreSQL's words, such as `character varying(100)`; `filled` when an INSERT may leave it out."""

    type: str
    nullable: bool
    filled: bool = False


@dataclass(frozen=True)
class Index:
    """Its columns in order; `where` is empty unless the index is partial."""

    table: str
    columns: tuple[str, ...]
    unique: bool
    primary: bool
    where: str


@dataclass(frozen=True)
class ForeignKey:
    """`definition` is PostgreSQL's: columns, target and what happens on delete, without the name."""

    table: str
    columns: tuple[str, ...]
    target: str
    definition: str

    @property
    def cascades(self) -> bool:
        return self.definition.endswith("ON DELETE CASCADE")


@dataclass(frozen=True)
class Catalog:
    """Columns and words by (table, column); `deletable` are the tables that a role of ours may delete from."""

    columns: Mapping[tuple[str, str], Column]
    words: Mapping[tuple[str, str], frozenset[str]]
    indexes: frozenset[Index]
    foreign_keys: frozenset[ForeignKey]
    enumeration_types: Mapping[str, frozenset[str]]
    deletable: frozenset[str]

    @property
    def tables(self) -> set[str]:
        return {table for table, _ in self.columns}

    def columns_of(self, table: str) -> dict[str, Column]:
        return {name: column for (owner, name), column in self.columns.items() if owner == table}


def read_catalog(reader: cursor) -> Catalog:
    """The catalog as the cursor's transaction sees it."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        reader.execute(sql)
        return reader.fetchall()

    return Catalog(
        columns={(table, name): Column(*facts) for table, name, *facts in rows(COLUMNS)},
        words={
            (table, name): frozenset(re.findall(r"'([^']+)'", definition)) for table, name, definition in rows(WORDS)
        },
        indexes=frozenset(
            Index(table, tuple(columns), unique, primary, where.strip("()"))
            for table, unique, primary, where, columns in rows(INDEXES)
        ),
        foreign_keys=frozenset(
            ForeignKey(table, tuple(columns), target, definition)
            for table, target, columns, definition in rows(FOREIGN_KEYS)
        ),
        enumeration_types={name: frozenset(words) for name, words in rows(ENUMERATION_TYPES)},
        deletable=frozenset(table for (table,) in rows(DELETABLE)),
    )
