from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress

import peewee
import pytest

from database import (
    DatabaseUnavailable,
    TenantChanged,
    TenantNotSet,
    as_owner,
    connection,
    database,
    notify,
    register_tenant_tables,
    set_tenant,
    tenancy,
    tenant_transaction,
    transaction,
)

ACME, GLOBEX = uuid.uuid4(), uuid.uuid4()


class Letter(peewee.Model):
    id = peewee.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant_id = peewee.UUIDField()
    facts = peewee.JSONField(null=True)

    class Meta:
        database = database
        table_name = "letters"


@pytest.fixture
def letters(opened: str) -> Iterator[None]:
    """A table under the guard, and a thread that has a connection."""
    before = tenancy._tables
    with connection(), as_owner():
        database.create_tables([Letter])
        register_tenant_tables({"letters"})
        Letter.create(tenant_id=ACME)
    with connection():
        yield
    tenancy._tables = before
    tenancy._tenant_table_in.cache_clear()


def tenant_of_the_session() -> str:
    row = database.execute_sql("SELECT current_setting('switchboard.tenant_id', true)").fetchone()
    return str(row[0] or "")


def test_a_tenants_table_is_refused_while_no_tenant_is_set(letters: None) -> None:
    with transaction(), pytest.raises(TenantNotSet, match=r"'letters'.*tenant_transaction"):
        Letter.delete().execute()


def test_a_tenants_transaction_tells_postgresql_the_tenant(letters: None) -> None:
    with tenant_transaction(ACME):
        assert tenant_of_the_session() == str(ACME)
        assert Letter.select().count() == 1

    assert tenant_of_the_session() == ""


def test_the_tenant_ends_with_the_transaction(letters: None) -> None:
    with tenant_transaction(ACME):
        pass

    with pytest.raises(TenantNotSet):
        Letter.select().count()


def test_the_tenant_ends_with_a_transaction_that_failed(letters: None) -> None:
    with pytest.raises(ZeroDivisionError), tenant_transaction(ACME):
        raise ZeroDivisionError

    with transaction(), pytest.raises(TenantNotSet):
        Letter.select().count()


def test_the_tenant_can_be_set_later(letters: None) -> None:
    with transaction():
        set_tenant(ACME)

        assert Letter.select().count() == 1


def test_the_tenant_is_taken_back_with_a_savepoint_that_fails(letters: None) -> None:
    with transaction():
        with pytest.raises(ZeroDivisionError), tenant_transaction(ACME):
            raise ZeroDivisionError

        assert tenant_of_the_session() == ""
        with pytest.raises(TenantNotSet):
            Letter.select().count()


def test_one_tenants_transaction_is_not_opened_inside_anothers(letters: None) -> None:
    with tenant_transaction(ACME), pytest.raises(TenantChanged), tenant_transaction(GLOBEX):
        pass


def test_a_tenants_transaction_inside_its_own_is_a_savepoint(letters: None) -> None:
    with tenant_transaction(ACME):
        with suppress(ZeroDivisionError), tenant_transaction(ACME):
            Letter.create(tenant_id=ACME)
            raise ZeroDivisionError

        assert Letter.select().count() == 1


@pytest.mark.parametrize("act", [lambda: set_tenant(ACME), lambda: notify("messages")])
def test_what_lasts_for_a_transaction_needs_one(letters: None, act: object) -> None:
    with pytest.raises(RuntimeError, match="needs a running transaction"):
        act()  # type: ignore[operator]


def test_the_owner_may_switch_the_guard_off(letters: None) -> None:
    with as_owner():
        assert Letter.select().count() == 1


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "t1"."id" FROM "letters" AS "t1"',
        "delete from letters",
        "SELECT 1 FROM public.letters l",
        'UPDATE "public"."letters" SET facts = NULL',
        "SELECT 1 FROM others, LETTERS",
    ],
)
def test_the_guard_sees_a_table_however_it_is_written(letters: None, sql: str) -> None:
    with pytest.raises(TenantNotSet):
        tenancy.check_statement(sql)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "t1"."letters" FROM "counts" AS "t1"',
        "SELECT * FROM lease_letters(1)",
        "SELECT * FROM letters_due",
        'SELECT count(*) AS "letters" FROM counted(1)',
        "SELECT * FROM letters(%s)",
    ],
)
def test_the_guard_lets_columns_aliases_and_functions_pass(letters: None, sql: str) -> None:
    tenancy.check_statement(sql)


def test_uuids_and_json_come_back_as_they_were(letters: None) -> None:
    facts = {"name": "Zoë", "tags": ["a", 1, None], "nested": {"deep": True}}
    with tenant_transaction(ACME):
        letter = Letter.create(tenant_id=ACME, facts=facts)

        again = Letter.get_by_id(letter.id)
        row = database.execute_sql("SELECT id, facts FROM letters WHERE id = %s", (letter.id,)).fetchone()

    assert again.id == letter.id
    assert again.facts == facts
    assert row == (letter.id, facts)


def test_a_failed_statement_cannot_be_committed_by_swallowing_its_error(letters: None) -> None:
    with pytest.raises(peewee.InternalError, match="cannot be committed"), tenant_transaction(ACME):  # noqa: PT012
        Letter.create(tenant_id=ACME)
        with pytest.raises(peewee.ProgrammingError):
            database.execute_sql("SELECT no_such_function()")

    with tenant_transaction(ACME):
        assert Letter.select().count() == 1


def test_a_query_outside_a_connection_is_refused(opened: str) -> None:
    with pytest.raises(peewee.InterfaceError, match="not opened"):
        database.execute_sql("SELECT 1")


def test_a_connection_inside_a_connection_is_the_same_one_and_stays_open(opened: str) -> None:
    with connection():
        with connection():
            inner = database._state.conn

        assert database._state.conn is inner
        assert not inner.closed


def test_a_database_that_was_not_opened_says_so() -> None:
    with pytest.raises(DatabaseUnavailable, match="open_database"):
        _ = database.pool
