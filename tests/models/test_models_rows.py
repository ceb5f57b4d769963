"""What is true of one row whoever touches it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import peewee
import psycopg2
import pytest
from psycopg2.extensions import cursor

from database import connection, database, tenant_transaction
from models import (
    Engine,
    SessionStatus,
    Template,
    Tenant,
    TenantStatus,
    User,
    UserRole,
    WahaSession,
    now_utc,
)
from tests.models.catalog import read_catalog
from tests.models.rows_of_tenants import insert, parents_first, row_id, row_of

ACME = uuid.UUID("a" * 32)
NAIVE = datetime(2026, 3, 1, 12, 0)  # noqa: DTZ001 -- that it has no zone is the point


@pytest.fixture
def tenant(migrated_database: object) -> Iterator[Tenant]:
    """A tenant, inside its transaction."""
    tenant_id = uuid.uuid4()
    with connection(), tenant_transaction(tenant_id):
        yield Tenant.create(id=tenant_id, name="Acme")


def add_user(tenant: Tenant, **fields: object) -> User:
    user: User = User.create(tenant_id=tenant.id, email="ana@example.org", role=UserRole.AGENT, **fields)
    return user


def add_session(tenant: Tenant, name: str = "sales") -> WahaSession:
    session: WahaSession = WahaSession.create(
        tenant_id=tenant.id, external_session_id=f"sb-{uuid.uuid4().hex}", name=name, server="main"
    )
    return session


def test_a_row_comes_back_with_its_enumerations_and_an_aware_time(tenant: Tenant) -> None:
    again = Tenant.get_by_id(tenant.id)

    assert again.status is TenantStatus.ACTIVE
    assert again.created_at.utcoffset() is not None
    assert abs((now_utc() - again.created_at).total_seconds()) < 60


def test_a_time_without_a_zone_is_refused(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="last_login_at needs a time with its zone"):
        add_user(tenant, last_login_at=NAIVE)


def test_a_time_is_kept_whatever_its_zone(tenant: Tenant) -> None:
    user = add_user(tenant, last_login_at=datetime.fromisoformat("2026-03-01T12:00:00+09:00"))

    assert User.get_by_id(user.id).last_login_at == datetime(2026, 3, 1, 3, tzinfo=UTC)


def test_a_word_that_the_enumeration_lacks_never_reaches_postgresql(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="'VENOM' is not a valid Engine"):
        WahaSession.update(engine="VENOM").execute()


def test_a_session_starts_as_what_it_is_before_anybody_saw_it(tenant: Tenant) -> None:
    session = WahaSession.get_by_id(add_session(tenant).id)

    assert (session.status, session.engine) == (SessionStatus.STOPPED, Engine.GOWS)


def test_saving_writes_what_changed_and_leaves_the_rest(tenant: Tenant) -> None:
    mine, yours = Tenant.get_by_id(tenant.id), Tenant.get_by_id(tenant.id)
    mine.name = "Acme Berlin"
    yours.description = "Coffee"

    mine.save()
    yours.save()

    again = Tenant.get_by_id(tenant.id)
    assert (again.name, again.description) == ("Acme Berlin", "Coffee")


def test_what_is_deleted_is_found_no_more_and_its_name_is_free(tenant: Tenant) -> None:
    template = Template.create(tenant_id=tenant.id, name="hello", body="Hello!")

    Template.update(deleted_at=now_utc()).where(Template.id == template.id).execute()

    assert Template.find(template.id) is None
    assert list(Template.live()) == []
    assert Template.get_by_id(template.id).name == "hello"
    assert Template.create(tenant_id=tenant.id, name="hello", body="Hello again!")


def test_a_live_name_is_taken(tenant: Tenant) -> None:
    add_session(tenant, "sales")

    with pytest.raises(peewee.IntegrityError, match="waha_sessions_name_key"), database.atomic():
        add_session(tenant, "sales")


def test_an_external_session_id_is_never_free_again(tenant: Tenant) -> None:
    session = add_session(tenant)
    WahaSession.update(deleted_at=now_utc()).where(WahaSession.id == session.id).execute()

    with pytest.raises(peewee.IntegrityError, match="waha_sessions_external_session_id_key"), database.atomic():
        WahaSession.create(
            tenant_id=tenant.id, external_session_id=session.external_session_id, name="other", server="main"
        )


def test_an_email_is_never_stored_in_capitals(tenant: Tenant) -> None:
    with pytest.raises(peewee.IntegrityError, match="users_email_lower"), database.atomic():
        User.create(tenant_id=tenant.id, email="Ana@example.org", role=UserRole.AGENT)


@pytest.fixture
def assigned(owner: cursor) -> cursor:
    """A row of a tenant in every table; its user is the assignee of its conversation."""
    catalog = read_catalog(owner)
    for table in parents_first(catalog):
        insert(owner, table, row_of(catalog, table, ACME))
    owner.execute("UPDATE conversations SET assignee_id = %s", (str(row_id(ACME, "users")),))
    return owner


def test_a_person_cannot_be_erased_while_a_conversation_is_theirs(assigned: cursor) -> None:
    with pytest.raises(psycopg2.IntegrityError, match="conversations_assignee_fkey"):
        assigned.execute("DELETE FROM users")


def test_erasing_a_tenant_erases_all_of_it_but_the_audit(assigned: cursor) -> None:
    assigned.execute("DELETE FROM tenants")

    left = set()
    for table in read_catalog(assigned).tables:
        assigned.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 -- from the catalog
        left |= {table} if assigned.fetchone() != (0,) else set()
    assert left == {
        "audit_entries",
        "waha_servers",
        "post_lanes",
        "catch_ups",
        "slack_people",
        "slack_workspaces",
        "home_views",
        "outages",
        "processes",
        "doctor_runs",
        "keys_in_use",
        "fingerprint_keys",
    }
