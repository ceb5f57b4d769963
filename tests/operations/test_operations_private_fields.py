"""A JSON field that a tenant wants encrypted is never written plain, whoever writes it."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import peewee
import pytest
from pydantic import ValidationError

from database import database, tenant_transaction
from models import Contact, Tenant, uuid7
from models.tenant_settings import ENCRYPTABLE, TenantSettings
from operations import private_fields, rotating_keys
from operations.encryption import KeyRing, use_keys
from operations.envelopes import is_sealed
from tests.conftest import TEST_KEY
from tests.models.catalog import read_catalog
from tests.operations.builders import World

PLAIN = {"iban": "DE00 1234"}


def want(tenant: Tenant, *fields: str) -> None:
    with tenant_transaction(tenant.id):
        Tenant.update(settings=TenantSettings(encrypted_fields=fields).model_dump(mode="json")).execute()


def add_contact(tenant: Tenant, value: Any, contact_id: UUID | None = None) -> UUID:
    contact_id = contact_id or uuid7()
    with tenant_transaction(tenant.id):
        stored = private_fields.stored(value, tenant_id=tenant.id, table="contacts", column="metadata", row=contact_id)
        Contact.create(id=contact_id, tenant_id=tenant.id, display_name="Carla", metadata=stored)
    return contact_id


def kept(world: World, contact_id: UUID) -> Any:
    return world.value("SELECT metadata FROM contacts WHERE id = %s", contact_id)


def opened(found: Any, contact_id: UUID) -> Any:
    return private_fields.opened(found, table="contacts", column="metadata", row=contact_id)


def test_a_field_is_plain_until_its_tenant_wants_it_encrypted(world: World, tenant: Tenant) -> None:
    before = add_contact(tenant, PLAIN)
    want(tenant, "contacts.metadata")
    after = add_contact(tenant, PLAIN)

    assert kept(world, before) == PLAIN
    assert is_sealed(kept(world, after))
    assert "iban" not in json.dumps(kept(world, after))
    assert [opened(kept(world, one), one) for one in (before, after)] == [PLAIN, PLAIN]


def test_what_was_plain_is_encrypted_when_keys_are_rotated(world: World, tenant: Tenant) -> None:
    contact_id = add_contact(tenant, PLAIN)
    elsewhere = add_contact(world.tenant("Globex"), PLAIN)
    want(tenant, "contacts.metadata")
    said: list[str] = []

    with world.migrated.owner():
        done = rotating_keys.rotate(KeyRing([TEST_KEY]), said.append, settles_within=timedelta(0))

    assert (done.sealed_first, said) == (1, ["contacts.metadata: 1 encrypted for the first time"])
    assert opened(kept(world, contact_id), contact_id) == PLAIN
    assert is_sealed(kept(world, contact_id))
    assert kept(world, elsewhere) == PLAIN


@pytest.mark.parametrize("value", [{"enc": "v1.words of a person"}, {"enc": "v1.", "more": 1}, {"enc": 1}, {}])
def test_what_looks_encrypted_comes_back_as_it_was(value: Any, world: World, tenant: Tenant) -> None:
    plain = add_contact(tenant, value)
    want(tenant, "contacts.metadata")
    private = add_contact(tenant, value)

    assert [opened(kept(world, one), one) for one in (plain, private)] == [value, value]


@pytest.mark.parametrize("name", ENCRYPTABLE)
def test_postgresql_refuses_a_plain_value_whoever_writes_it(name: str, world: World, tenant: Tenant) -> None:
    table, _, column = name.partition(".")
    conversation = world.conversation(world.session(tenant))
    world.user(tenant)
    world.message(conversation)
    contact_id = add_contact(tenant, {})
    want(tenant, name)

    def write(value: Any) -> None:
        with tenant_transaction(tenant.id):
            statement = f"UPDATE {table} SET {column} = %s"  # noqa: S608 - names of ours
            database.execute_sql(statement, (json.dumps(value),))

    for value in (PLAIN, {"enc": "not an envelope"}, {"enc": "v1.x", "iban": "DE00"}, [1], "DE00", 7, True):
        with pytest.raises(peewee.DatabaseError, match=f"{table}.{column} is encrypted for this tenant"):
            write(value)
    write({"enc": KeyRing([os.urandom(32)]).encrypt(b"1", table=table, column=column, row=contact_id)})
    write({})


def test_each_field_that_is_offered_is_json_and_guarded(world: World) -> None:
    with world.migrated.owner():
        catalog = read_catalog(database.cursor())
        guarded = world.sql(
            "SELECT c.relname || '.' || a.attname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname = 'refuse_plain_json' "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (t.tgattr) ORDER BY 1"
        )

    assert {catalog.columns[table, column].type for table, column in (name.split(".") for name in ENCRYPTABLE)} == {
        "jsonb"
    }
    assert [name for (name,) in guarded] == sorted(ENCRYPTABLE)


def test_a_field_that_statements_read_parts_of_is_not_offered() -> None:
    with pytest.raises(ValidationError, match=r"cannot be messages\.metadata: choose from contacts\.metadata, "):
        TenantSettings(encrypted_fields=("messages.metadata",))


def test_without_its_key_a_value_is_not_opened(world: World, tenant: Tenant) -> None:
    want(tenant, "contacts.metadata")
    contact_id = add_contact(tenant, PLAIN)

    use_keys(KeyRing([os.urandom(32)]))

    with pytest.raises(Exception, match=rf"opens contacts\.metadata of row {contact_id}"):
        opened(kept(world, contact_id), contact_id)
