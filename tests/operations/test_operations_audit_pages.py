"""The audit as a file, and a page of it from any cursor."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database import tenant_transaction
from models import Tenant
from operations import audit, audit_export, audit_pages, made_files
from operations.audit_export import Format
from operations.audit_pages import Cursor, Entry, Filters
from operations.errors import BadInput
from tests.operations.builders import ANA, World

WORDS = st.text(max_size=20)


def entry(**more: object) -> Entry:
    facts = {
        "id": UUID(int=1),
        "created_at": datetime(2026, 11, 1, 12, tzinfo=UTC),
        "actor": ANA.key,
        "action": "user.role",
        "subject_table": "users",
        "subject_id": None,
        "subject_name": "Ben",
        "before": None,
        "after": None,
        "source": "command:T1/C1",
    }
    return Entry(**(facts | more))  # type: ignore[arg-type]


@given(st.builds(Cursor, st.booleans(), st.datetimes(timezones=st.just(UTC)), st.uuids()))
def test_a_cursor_comes_back_as_it_was(cursor: Cursor) -> None:
    assert Cursor.read(str(cursor)) == cursor
    assert " " not in str(cursor)


@given(st.text(min_size=1))
def test_any_other_word_is_no_cursor_and_breaks_nothing(typed: str) -> None:
    with suppress(BadInput):
        assert Cursor.read(typed) is not None


@given(WORDS, WORDS)
def test_no_cell_of_a_spreadsheet_is_a_formula(name: str, source: str) -> None:
    text = audit_export.as_csv([entry(subject_name=name, source=source, after={name: source})]).decode()

    [header, row] = csv.reader(io.StringIO(text, newline=""))

    assert len(row) == len(header)
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert row[header.index("subject_name")].removeprefix("'") == name.removeprefix("'")


def test_times_are_in_utc_as_iso_8601() -> None:
    [line] = audit_export.as_json_lines([entry(after={"role": "AGENT"})]).splitlines()

    assert json.loads(line)["time"] == "2026-11-01T12:00:00Z"
    assert json.loads(line)["after"] == {"role": "AGENT"}


@pytest.mark.parametrize("form", Format)
def test_a_promised_file_is_one_tenants_and_the_same_whenever_it_is_made(
    form: Format, world: World, tenant: Tenant
) -> None:
    other = world.tenant("Globex")
    for one, action in ((tenant, "ours"), (other, "theirs")):
        with tenant_transaction(one.id):
            audit.record(ANA.key, action, Tenant(id=one.id, name=one.name), tenant_id=one.id)
    promise = audit_export.promised(Filters(tenant.id, until=datetime.now(UTC)), form)

    made = made_files.content(json.loads(json.dumps(promise)), tenant.id)
    with tenant_transaction(tenant.id):
        audit.record(ANA.key, "later", Tenant(id=tenant.id, name="Acme"), tenant_id=tenant.id)

    assert (b"ours" in made, b"theirs" in made) == (True, False)
    assert made_files.content(promise, tenant.id) == made


def test_an_id_finds_what_was_done_to_its_row(world: World, tenant: Tenant) -> None:
    chosen = uuid4()
    with tenant_transaction(tenant.id):
        for one in (chosen, uuid4()):
            audit.record(ANA.key, "tried", Tenant(id=one, name="Acme"), tenant_id=tenant.id)

        found = audit_pages.page(Filters(tenant.id, subject=str(chosen).upper()))

    assert [one.subject_id for one in found.entries] == [chosen]
    assert (found.newer, found.older) == (None, None)


def test_the_page_is_read_from_its_index(world: World, tenant: Tenant) -> None:
    world.sql(
        "INSERT INTO audit_entries (id, tenant_id, actor, action, subject_table, created_at) "
        "SELECT gen_random_uuid(), %s, 'T1/U1', 'tried', 'users', now() - n * interval '1 s' "
        "FROM generate_series(1, 5000) n",
        tenant.id,
    )
    world.sql("ANALYZE audit_entries")

    plan = world.sql(
        "EXPLAIN SELECT * FROM audit_entries WHERE tenant_id = %s AND (created_at, id) < (now() - interval '1 h', %s) "
        "ORDER BY created_at DESC, id DESC LIMIT 21",
        tenant.id,
        uuid4(),
    )

    assert "audit_entries_page_idx" in str(plan)
    assert "Sort" not in str(plan)
