"""What is written down of what people do, and that nobody takes it back."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import peewee
import pytest

from database import database, tenant_transaction, transaction
from models import Message, Tenant, User, WahaServer, WahaSession
from operations import audit
from tests.operations.builders import ANA, World

ATTEMPTS = ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"]


def write_down(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        audit.record(ANA.key, "session.add", WahaSession(id=uuid4(), name="sales"), tenant_id=tenant.id)


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize(
    "_role",
    [
        pytest.param("bot", marks=pytest.mark.database_role("switchboard_bot")),
        pytest.param("daemon", marks=pytest.mark.database_role("switchboard_daemon")),
    ],
)
def test_no_role_changes_or_deletes_an_entry(_role: str, attempt: str, world: World, tenant: Tenant) -> None:
    write_down(tenant)

    with pytest.raises(peewee.ProgrammingError, match="permission denied"), tenant_transaction(tenant.id):
        database.execute_sql(attempt)

    assert world.sql("SELECT actor, action FROM audit_entries") == [(ANA.key, "session.add")]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_owner_does_not_either_by_mistake(attempt: str, world: World, tenant: Tenant) -> None:
    write_down(tenant)

    with pytest.raises(peewee.ProgrammingError, match="The audit is append-only"):
        world.sql(attempt)

    assert world.value("SELECT count(*) FROM audit_entries") == 1


def test_pruning_reaches_the_old_entries_of_one_tenant_alone(world: World, tenant: Tenant) -> None:
    other = world.tenant("Globex")
    write_down(tenant)
    write_down(other)
    later = datetime(2100, 1, 1, tzinfo=UTC)

    with tenant_transaction(tenant.id):
        gone = database.execute_sql("SELECT prune_audit(%s, 100)", (later,)).fetchone()

    assert gone == (1,)
    assert world.sql("SELECT tenant_id FROM audit_entries") == [(other.id,)]


def test_pruning_leaves_the_door_closed_behind_it(world: World, tenant: Tenant) -> None:
    refused = pytest.raises(peewee.ProgrammingError, match="append-only")
    with world.migrated.owner(), refused, transaction():
        database.execute_sql("SELECT prune_audit(now(), 100)")
        database.execute_sql("DELETE FROM audit_entries")


def test_secrets_texts_and_numbers_are_left_out(world: World, tenant: Tenant) -> None:
    after = {
        "role": "AGENT",
        "api_key": "s3cret",
        "body": "I am ill.",
        "chat_id": "4915123456789@c.us",
        "nested": {"password_hash": "$2b$", "text": "hello", "token": "xoxb-1"},
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "ids": [tenant.id],
    }

    with tenant_transaction(tenant.id):
        audit.record(ANA.key, "tried", Message(id=uuid4()), tenant_id=tenant.id, after=after)

    kept = world.value("SELECT after FROM audit_entries")
    assert kept == {
        "role": "AGENT",
        "api_key": "[hidden]",
        "body": "[hidden]",
        "chat_id": "…789@c.us",
        "nested": {"password_hash": "[hidden]", "text": "[hidden]", "token": "[hidden]"},
        "at": "2026-01-02 00:00:00+00:00",
        "ids": [str(tenant.id)],
    }


def test_an_entry_says_where_it_came_from_and_what_it_is_about(world: World, tenant: Tenant) -> None:
    with tenant_transaction(tenant.id), audit.coming_from("command:T1/C1"):
        user = User(id=uuid4(), first_name="Ana", last_name="Ruiz", email="ana@example.org")
        audit.record(ANA.key, "user.role", user, tenant_id=tenant.id)

    assert world.sql("SELECT source, subject_table, subject_name FROM audit_entries") == [
        ("command:T1/C1", "users", "Ana Ruiz")
    ]


def test_outside_of_a_door_nothing_is_claimed(world: World, tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        with audit.coming_from("button:T1/C1"):
            pass
        audit.record("system: clock", "tried", WahaServer, tenant_id=None)

    assert world.sql("SELECT source, subject_id FROM audit_entries") == [("", None)]
