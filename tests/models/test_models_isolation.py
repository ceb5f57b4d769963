"""In one tenant's transaction no other tenant exists, whatever a statement forgot; the tables come from the catalog."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import cursor

import models
from database import TenantNotSet, connection, database, transaction
from tests.models.attempts import attempt
from tests.models.catalog import Catalog, read_catalog
from tests.models.rows_of_tenants import insert, parents_first, row_id, row_of

OURS, THEIRS = uuid.UUID("a" * 32), uuid.UUID("b" * 32)
ROLES = ["switchboard_bot", "switchboard_daemon"]
# What arrives has no tenant before it is read: rights alone guard these two.
INBOXES = {"slack_events", "webhook_events"}
# What is about the installation has no tenant, and both may see it.
ALSO_WITHOUT_TENANT = {"audit_entries", "incidents", "slack_posts"}
NEVER_CHANGED = {"audit_entries", "erasures", "session_checks", "tenant_choices"}

UNFILTERED = {
    "SELECT": "SELECT id FROM {}",
    "UPDATE": "UPDATE {} SET created_at = created_at RETURNING id",
    "DELETE": "DELETE FROM {} RETURNING id",
}


@pytest.fixture
def catalog(owner: cursor) -> Catalog:
    return read_catalog(owner)


@pytest.fixture
def guarded(catalog: Catalog) -> set[str]:
    """Every table whose rows belong to a tenant."""
    return {"tenants"} | {table for table, column in catalog.columns if column == "tenant_id"} - INBOXES


@pytest.fixture(params=ROLES)
def ours(request: pytest.FixtureRequest, owner: cursor, catalog: Catalog) -> Iterator[cursor]:
    """A row of each tenant in every table, and a cursor of a role in a transaction of the first tenant."""
    for tenant in (OURS, THEIRS):
        for table in parents_first(catalog):
            insert(owner, table, row_of(catalog, table, tenant))
    owner.execute(f"SET LOCAL ROLE {request.param}; SET LOCAL switchboard.tenant_id = '{OURS}'")
    yield owner
    owner.connection.rollback()


def reached(acting: cursor, table: str, statement: str) -> set[str]:
    """Which of the two tenants' rows a statement came to; none if the role may not say it at all."""
    found = set()
    with attempt(acting), suppress(psycopg2.errors.InsufficientPrivilege):
        acting.execute(sql.SQL(statement).format(sql.Identifier(table)))
        found = {str(row[0]) for row in acting.fetchall()}
    return {name for name, tenant in (("ours", OURS), ("theirs", THEIRS)) if str(row_id(tenant, table)) in found}


def test_a_select_without_a_where_finds_our_rows_alone(ours: cursor, guarded: set[str]) -> None:
    found = {table: reached(ours, table, "SELECT id FROM {}") for table in guarded}

    assert found == {table: {"ours"} for table in guarded}


def test_an_update_without_a_where_changes_our_rows_alone(ours: cursor, guarded: set[str]) -> None:
    changed = {table: reached(ours, table, "UPDATE {} SET created_at = created_at RETURNING id") for table in guarded}

    assert changed == {table: set() if table in NEVER_CHANGED else {"ours"} for table in guarded}


def test_a_delete_is_refused_before_it_could_reach_anything(ours: cursor, guarded: set[str]) -> None:
    for table in guarded:
        with attempt(ours), pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ours.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


def test_a_row_of_another_tenant_is_not_inserted(ours: cursor, guarded: set[str], catalog: Catalog) -> None:
    for table in guarded:
        row = row_of(catalog, table, THEIRS) | {"id": str(uuid.uuid4())}
        with attempt(ours), pytest.raises(psycopg2.errors.InsufficientPrivilege):
            insert(ours, table, row)


def test_what_unfiltered_statements_reach_is_counted(ours: cursor, guarded: set[str], catalog: Catalog) -> None:
    ours.execute("SELECT current_role")
    [role] = ours.fetchone() or [""]
    lines, theirs = [f"\n{role}, in a transaction of tenant A: {len(guarded)} tables, a row of A and of B in each"], 0
    for name, statement in UNFILTERED.items():
        found = [reached(ours, table, statement) for table in sorted(guarded)]
        of_a, of_b = (sum(whose in rows for rows in found) for whose in ("ours", "theirs"))
        lines.append(f"{name}  {len(found):3} statements  rows of A {of_a:3}  of B {of_b}")
        theirs += of_b
    inserted = sum(takes_row_of_theirs(ours, table, catalog) for table in guarded)
    lines.append(f"INSERT  {len(guarded):3} statements  rows of A   0  of B {inserted}")

    print("\n".join(lines))  # noqa: T201 - what this shows
    assert (theirs, inserted) == (0, 0)


def takes_row_of_theirs(acting: cursor, table: str, catalog: Catalog) -> bool:
    row = row_of(catalog, table, THEIRS) | {"id": str(uuid.uuid4())}
    with attempt(acting):
        try:
            insert(acting, table, row)
        except psycopg2.errors.InsufficientPrivilege:
            return False
    return True


def test_a_row_of_ours_is_not_given_away(ours: cursor, guarded: set[str]) -> None:
    for table in guarded:
        column = "id" if table == "tenants" else "tenant_id"
        with attempt(ours), pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ours.execute(
                sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(table), sql.Identifier(column)), (str(THEIRS),)
            )


def test_a_row_of_ours_cannot_hang_below_one_of_theirs(owner: cursor, ours: cursor, catalog: Catalog) -> None:
    ours.execute("RESET ROLE")  # whoever asks, also the owner
    keys = [key for key in catalog.foreign_keys if len(key.columns) == 2]

    for key in keys:
        [column] = set(key.columns) - {"tenant_id"}
        names = sql.Identifier(key.table), sql.Identifier(column)
        statement = sql.SQL("UPDATE {} SET {} = %s WHERE id = %s").format(*names)
        with attempt(ours), pytest.raises(psycopg2.errors.ForeignKeyViolation):
            ours.execute(statement, (str(row_id(THEIRS, key.target)), str(row_id(OURS, key.table))))

    assert len(keys) > 10


def test_without_a_tenant_no_row_of_any_is_found(ours: cursor, guarded: set[str]) -> None:
    ours.execute("SET LOCAL switchboard.tenant_id = ''")

    found = {table: reached(ours, table, "SELECT id FROM {}") for table in guarded}

    assert found == {table: set() for table in guarded}


@pytest.mark.parametrize("table", sorted(ALSO_WITHOUT_TENANT))
def test_what_is_about_the_installation_is_seen_in_every_tenants_transaction(
    table: str, ours: cursor, catalog: Catalog
) -> None:
    row = row_of(catalog, table, OURS) | {"id": str(uuid.uuid4()), "tenant_id": None}
    insert(ours, table, row | ({"seq": 7} if "seq" in row else {}))

    ours.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))

    assert ours.fetchone() == (2,)


def test_the_guard_knows_every_table_that_must_have_a_tenant(
    migrated_database: object, guarded: set[str], catalog: Catalog
) -> None:
    assert models.ALL  # importing the models puts their tables under the guard
    must = {table for table in guarded if table == "tenants" or not catalog.columns[table, "tenant_id"].nullable}
    refused = set()

    with connection(), transaction():
        for table in guarded:
            try:
                database.execute_sql(f"SELECT 1 FROM {table}")  # noqa: S608 -- from the catalog
            except TenantNotSet:
                refused.add(table)

    assert refused == must
    assert guarded - must == ALSO_WITHOUT_TENANT


def test_every_table_with_a_tenant_is_guarded_by_row_security(owner: cursor, guarded: set[str]) -> None:
    owner.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace")

    assert {table for (table,) in owner.fetchall()} == guarded


@pytest.mark.parametrize(
    ("hole", "table"),
    [
        ("ALTER TABLE contacts DISABLE ROW LEVEL SECURITY", "contacts"),
        ("CREATE POLICY everybody ON messages USING (true)", "messages"),
    ],
)
def test_a_hole_in_the_wall_is_noticed(hole: str, table: str, owner: cursor, ours: cursor) -> None:
    ours.execute("SELECT current_role")
    [role] = ours.fetchone() or [""]

    owner.execute(f"RESET ROLE; {hole}; SET LOCAL ROLE {role}")

    assert reached(ours, table, "SELECT id FROM {}") == {"ours", "theirs"}
