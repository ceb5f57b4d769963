from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from database import database, tenant_transaction
from models import Conversation, ReportSchedule, RoutePurpose, Tenant, WahaSession, uuid7
from models.requests import CreateTenant
from operations import deletion, tenants
from operations.errors import Conflict, NotFound
from operations.standing import all_tenants, memberships, routes_of
from tests.operations.builders import ALERTS, ANA, SUPPORT, TEAM, World

pytestmark = pytest.mark.database_role("switchboard_bot")

OWNED = [model._meta.table_name for model in deletion.OWNED]


@pytest.fixture
def furnished(world: World, tenant: Tenant, session: WahaSession) -> Conversation:
    """A tenant with a row in every table that it owns."""
    user = world.user(tenant)
    world.route(tenant)
    conversation = world.conversation(session)
    world.message(conversation)
    world.sql("INSERT INTO contacts (id, tenant_id, name) VALUES (gen_random_uuid(), %s, 'Berta')", tenant.id)
    world.sql("INSERT INTO templates (id, tenant_id, name, body) VALUES (gen_random_uuid(), %s, 'hi', 'Hi')", tenant.id)
    with tenant_transaction(tenant.id):
        ReportSchedule.create(tenant_id=tenant.id, name="health", cron="0 9 * * *")
    world.sql("UPDATE conversations SET assignee_id = %s", user.id)
    return conversation


def live(world: World) -> dict[str, int]:
    return {
        table: world.value(f"SELECT count(*) FROM {table} WHERE deleted_at IS NULL")  # noqa: S608 - names of ours
        for table in ("tenants", *OWNED)
    }


def test_every_table_of_a_tenant_that_can_be_deleted_softly_is(world: World) -> None:
    found = world.sql(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'deletion_id' ORDER BY table_name"
    )

    assert sorted(["tenants", *OWNED]) == [name for (name,) in found]


def test_a_deleted_tenant_and_all_that_it_owns_are_hidden_and_come_back_together(
    world: World, tenant: Tenant, furnished: Conversation
) -> None:
    deletion_id = uuid7()

    hidden = deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    while_deleted = live(world)
    seen = (all_tenants(), memberships(ANA), routes_of(TEAM, SUPPORT))
    shown = deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")

    assert while_deleted == dict.fromkeys(("tenants", *OWNED), 0)
    assert seen == ([], [], [])
    assert live(world) == dict.fromkeys(("tenants", *OWNED), 1)
    assert hidden == shown == 1 + len(OWNED)
    # Twice: while it is deleted, nobody can be let into it to read its own.
    for whose in ("IS NULL", "IS NOT NULL"):
        found = f"SELECT action, subject_name FROM audit_entries WHERE tenant_id {whose} ORDER BY created_at"  # noqa: S608
        assert world.sql(found) == [("tenant.delete", tenant.name), ("tenant.restore", tenant.name)]


def test_many_rows_are_hidden_and_come_back_in_portions(world: World, tenant: Tenant, furnished: Conversation) -> None:
    deletion_id = uuid7()
    for number in range(3):
        world.message(furnished, f"Message {number}")

    with statements('UPDATE "messages"') as asked:
        hidden = deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA", at_once=2)
        while_deleted = live(world)["messages"]
        shown = deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA", at_once=2)

    assert hidden == shown == 1 + len(OWNED) + 3
    assert (while_deleted, live(world)["messages"]) == (0, 4)
    # The last of each finds no more than what comes meanwhile.
    assert len(asked) == 2 * 3


@contextmanager
def statements(beginning: str) -> Iterator[list[str]]:
    """What is asked of the database and begins so."""
    asked: list[str] = []

    def listen(event: Any) -> None:
        asked.extend([event.sql] if event.sql.startswith(beginning) else [])

    database.query_hooks.append(listen)
    try:
        yield asked
    finally:
        database.query_hooks.remove(listen)


def test_what_was_deleted_before_stays_deleted(world: World, tenant: Tenant, furnished: Conversation) -> None:
    earlier, deletion_id = uuid7(), uuid7()
    world.sql("UPDATE templates SET deleted_at = now(), deletion_id = %s", earlier)
    world.sql("UPDATE contacts SET deleted_at = now()")

    deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")

    assert {table for table, count in live(world).items() if count == 0} == {"templates", "contacts"}
    assert world.value("SELECT deletion_id FROM templates") == earlier


def test_another_tenants_rows_are_not_touched(world: World, tenant: Tenant, furnished: Conversation) -> None:
    other = world.tenant("Globex")
    world.message(world.conversation(world.session(other)))

    deletion.delete_tenant(tenant.id, deletion_id=uuid7(), actor="T1/UOLGA")

    assert {table: count for table, count in live(world).items() if count} == {
        "tenants": 1,
        "waha_sessions": 1,
        "conversations": 1,
        "messages": 1,
    }


def test_a_tenant_is_deleted_once(tenant: Tenant) -> None:
    deletion.delete_tenant(tenant.id, deletion_id=uuid7(), actor="T1/UOLGA")

    with pytest.raises(NotFound):
        deletion.delete_tenant(tenant.id, deletion_id=uuid7(), actor="T1/UOLGA")


def test_a_deletion_that_was_committed_unheard_can_be_repeated(world: World, tenant: Tenant) -> None:
    deletion_id = uuid7()

    first = deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    again = deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")

    assert first == again == 1
    assert world.value("SELECT count(*) FROM audit_entries WHERE tenant_id IS NOT NULL") == 1


def test_a_deletion_that_is_not_there_cannot_be_undone(tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        deletion.restore_tenant(tenant.id, deletion_id=uuid7(), actor="T1/UOLGA")


def test_a_deleted_name_can_be_used_again_and_then_the_restore_is_refused_as_a_whole(
    world: World, tenant: Tenant, furnished: Conversation
) -> None:
    deletion_id = uuid7()
    deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    new_id = uuid7()
    with tenant_transaction(new_id):
        tenants.create(
            CreateTenant(name="Acme"),
            tenant_id=new_id,
            schedule_id=uuid7(),
            cron="0 9 * * *",
            time_zone="UTC",
            actor="T1/UOLGA",
        )

    with pytest.raises(Conflict, match=r"The name `Acme` is used by another tenant now. Rename that one first"):
        deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")

    assert live(world) | {"tenants": 0, "report_schedules": 0} == dict.fromkeys(("tenants", *OWNED), 0)


@pytest.mark.parametrize("purpose", [RoutePurpose.CONVERSATIONS, RoutePurpose.ALERTS])
def test_a_channel_that_another_tenant_uses_by_now_is_not_taken_back(
    world: World, tenant: Tenant, furnished: Conversation, purpose: RoutePurpose
) -> None:
    deletion_id = uuid7()
    deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    world.route(world.tenant("Globex"), SUPPORT, purpose)

    with pytest.raises(Conflict, match=r"<#CSUPPORT> shows another tenant now"):
        deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")

    assert live(world)["users"] == 0


def test_a_channel_beside_does_not_matter(world: World, tenant: Tenant, furnished: Conversation) -> None:
    deletion_id = uuid7()
    deletion.delete_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")
    world.route(world.tenant("Globex"), ALERTS)

    assert deletion.restore_tenant(tenant.id, deletion_id=deletion_id, actor="T1/UOLGA")


def test_a_hard_deletion_takes_everything_along_but_the_audit(
    world: World, tenant: Tenant, furnished: Conversation
) -> None:
    deletion.delete_tenant(tenant.id, deletion_id=uuid7(), actor="T1/UOLGA")

    world.sql("DELETE FROM tenants WHERE id = %s", tenant.id)

    assert {table: world.value(f"SELECT count(*) FROM {table}") for table in OWNED} == dict.fromkeys(OWNED, 0)  # noqa: S608 - names of ours
    assert world.sql("SELECT tenant_id, action FROM audit_entries ORDER BY tenant_id") == [
        (tenant.id, "tenant.delete"),
        (None, "tenant.delete"),
    ]
