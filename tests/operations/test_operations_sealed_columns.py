"""Whatever a column's name says to hold a secret is an envelope, or is explained; the columns come from the catalog."""

from __future__ import annotations

import re

from database import connection, database
from operations.sealed_columns import SEALED_COLUMNS
from tests.conftest import MigratedDatabase
from tests.models.catalog import Catalog, read_catalog

SOUNDS_SECRET = re.compile(r"token|secret|passw|hmac|_key\b|_key_|cookie|signature|credential|\bqr|private")
HOLDS_TEXT = re.compile(r"^(text|character varying.*|jsonb|bytea)$")
EXPLAINED = {
    "users.password_hash": "bcrypt: nobody finds the password in it",
    "page_links.token_hash": "a fingerprint: nobody finds the link in it",
}
# What others write and we keep as a whole: it may hold anything.
KEPT_WHOLE = {"slack_events.body", "slack_events.answer", "webhook_events.body", "waha_sessions.config"}


def catalog(migrated_database: MigratedDatabase) -> Catalog:
    with connection(), migrated_database.owner():
        return read_catalog(database.cursor())


def test_a_column_that_sounds_like_a_secret_is_sealed_or_explained(migrated_database: MigratedDatabase) -> None:
    columns = catalog(migrated_database).columns
    sealed = {f"{one.table}.{one.column}" for one in SEALED_COLUMNS}

    found = {
        f"{table}.{name}"
        for (table, name), column in columns.items()
        if SOUNDS_SECRET.search(name) and HOLDS_TEXT.match(column.type) and not name.endswith("key_id")
    }

    assert found - sealed == set(EXPLAINED)
    assert sealed >= KEPT_WHOLE
    assert found & sealed


def test_every_sealed_column_is_there_with_a_type_that_its_envelope_fits(migrated_database: MigratedDatabase) -> None:
    columns = catalog(migrated_database).columns

    types = {
        str(one): (columns[one.table, one.column].type, bool(one.path), one.in_bytes)
        for one in SEALED_COLUMNS
        if ("id" in {name for table, name in columns if table == one.table})
    }

    assert len(types) == len(SEALED_COLUMNS)
    assert set(types.values()) == {("text", False, False), ("jsonb", True, False), ("bytea", False, True)}
