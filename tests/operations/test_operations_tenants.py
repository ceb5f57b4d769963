"""What a tenant is called, who means it without saying so, and which of those that were deleted can come back."""

from __future__ import annotations

import pytest

from database import tenant_transaction, transaction
from models import Tenant, TenantStatus, UserRole, WahaSession, uuid7
from models.requests import CreateTenant, UpdateTenant
from operations import deletion, observing, tenants
from operations.errors import Conflict, NotAllowed, NotFound
from operations.observing import Seen
from operations.permissions import ROLES_OF, WHILE_DEACTIVATED, Permission
from operations.standing import Standing, stand
from operations.tenants import Holdings
from tests.operations.builders import ANA, CUSTOMER, OPERATOR, World, together

BOT = pytest.mark.database_role("switchboard_bot")


def create(name: str) -> Tenant:
    tenant_id = uuid7()
    with transaction():
        return tenants.create(
            CreateTenant(name=name),
            tenant_id=tenant_id,
            schedule_id=uuid7(),
            cron="0 9 * * *",
            time_zone="UTC",
            actor=OPERATOR.key,
        )


def update(tenant: Tenant, **fields: str) -> tuple[Tenant, Tenant]:
    with tenant_transaction(tenant.id):
        return tenants.update(tenant.id, UpdateTenant(**fields), actor=OPERATOR.key, is_operator=True)


def delete(tenant: Tenant) -> None:
    deletion.delete_tenant(tenant.id, deletion_id=uuid7(), actor=OPERATOR.key)


def restore(name: str) -> None:
    with transaction():
        found = tenants.deleted_named(name)
    deletion.restore_tenant(found.tenant_id, deletion_id=found.deletion_id, actor=OPERATOR.key)


@BOT
@pytest.mark.parametrize("name", ["Acme", "ACME"])
def test_a_name_is_taken_whatever_its_capitals(world: World, tenant: Tenant, name: str) -> None:
    globex = world.tenant("Globex")

    with pytest.raises(Conflict, match=f"There is a tenant called `{name}` already"):
        create(name)
    with pytest.raises(Conflict, match=f"There is a tenant called `{name}` already"):
        update(globex, name=name)


@BOT
def test_two_who_choose_one_name_at_once_do_not_both_get_it(world: World) -> None:
    def outcome(name: str) -> str:
        try:
            return create(name).name
        except Conflict:
            return "taken"

    assert sorted(together(lambda: outcome("acme"), lambda: outcome("ACME"))).count("taken") == 1
    assert world.value("SELECT count(*) FROM tenants") == 1


@BOT
def test_a_tenant_may_change_the_capitals_of_its_own_name(world: World, tenant: Tenant) -> None:
    before, after = update(tenant, name="ACME", description="Shoes")

    assert (before.name, after.name, after.description) == ("Acme", "ACME", "Shoes")
    assert world.sql("SELECT action, before->>'name', after->>'name' FROM audit_entries") == [
        ("tenant.update", "Acme", "ACME")
    ]


@BOT
def test_what_is_so_already_leaves_no_trace(world: World, tenant: Tenant) -> None:
    before, after = update(tenant, name="Acme")

    assert before is after
    assert world.value("SELECT count(*) FROM audit_entries") == 0


@BOT
def test_an_operator_names_a_tenant_by_a_word_and_is_shown_the_nearest(world: World, tenant: Tenant) -> None:
    world.sql("UPDATE tenants SET status = 'inactive'")

    with transaction():
        assert tenants.named(" acme").tenant_id == tenant.id
        with pytest.raises(NotFound, match=r"There is no tenant called `Akme`\. Did you mean `Acme`\?"):
            tenants.named("Akme")
        with pytest.raises(NotFound, match=r"See `tenant list`\."):
            tenants.named("Globex")


@BOT
def test_the_newest_deletion_of_a_name_is_the_one_that_is_undone(world: World, tenant: Tenant) -> None:
    delete(tenant)
    again = create("ACME")
    delete(again)

    restore("acme")

    assert world.sql("SELECT id FROM tenants WHERE deleted_at IS NULL") == [(again.id,)]
    with transaction():
        assert [one.tenant_id for one in tenants.deleted()] == [tenant.id]
        with pytest.raises(NotFound, match="No deleted tenant was called `Globex`"):
            tenants.deleted_named("Globex")


@BOT
def test_a_tenant_whose_name_is_taken_in_other_capitals_does_not_come_back(world: World, tenant: Tenant) -> None:
    delete(tenant)
    create("ACME")

    with pytest.raises(Conflict, match=r"Rename that one first with `tenant update --name OTHER --tenant Acme`"):
        restore("Acme")


@BOT
def test_what_is_not_deleted_is_not_restored(tenant: Tenant) -> None:
    with transaction(), pytest.raises(NotFound, match="`Acme` is not deleted"):
        tenants.deleted_named("Acme")


@BOT
def test_what_belongs_to_a_tenant_is_counted(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant)
    world.message(world.conversation(session))
    world.message(world.conversation(world.session(world.tenant("Globex"))))

    with transaction():
        assert tenants.holdings(tenant.id) == Holdings(users=1, sessions=1, conversations=1, messages=1)


@BOT
def test_a_person_chooses_among_their_tenants_and_takes_it_back(world: World) -> None:
    for name in ("Acme", "Globex"):
        world.user(world.tenant(name))
    world.tenant("Initech")

    with transaction():
        assert tenants.choose(ANA, "globex", choice_id=uuid7(), is_operator=False) == "Globex"
        assert tenants.chosen_by(ANA, is_operator=False) == "Globex"
        assert tenants.choose(ANA, "Acme", choice_id=uuid7(), is_operator=False) == "Acme"
        meant = stand(ANA, channel_id="CELSEWHERE", tenant_name=None, operators=()).tenant_name
        with pytest.raises(NotFound, match=r"You have no tenant called `Initech`\. Yours: `Acme`, `Globex`\."):
            tenants.choose(ANA, "Initech", choice_id=uuid7(), is_operator=False)
        tenants.unchoose(ANA)
        assert tenants.chosen_by(ANA, is_operator=False) is None

    assert meant == "Acme"


@BOT
def test_an_operator_chooses_any_tenant(world: World, tenant: Tenant) -> None:
    with transaction():
        tenants.choose(OPERATOR, "Acme", choice_id=uuid7(), is_operator=True)

        assert tenants.chosen_by(OPERATOR, is_operator=True) == "Acme"


@BOT
def test_a_choice_of_a_tenant_that_the_person_left_counts_no_more(world: World) -> None:
    for name in ("Acme", "Globex"):
        world.user(world.tenant(name))
    with transaction():
        tenants.choose(ANA, "Globex", choice_id=uuid7(), is_operator=False)
    world.sql(
        "UPDATE slack_identities SET deleted_at = now() FROM tenants t WHERE t.id = tenant_id AND name = 'Globex'"
    )

    with transaction():
        assert tenants.chosen_by(ANA, is_operator=False) is None


def standing(tenant: Tenant, role: UserRole | None, *, is_operator: bool = False) -> Standing:
    return Standing(
        person=ANA,
        tenant_id=tenant.id,
        tenant_name=tenant.name,
        tenant_status=TenantStatus.INACTIVE,
        role=role,
        user_id=None,
        is_operator=is_operator,
    )


@pytest.mark.parametrize("permission", sorted(set(Permission) - WHILE_DEACTIVATED))
def test_a_deactivated_tenant_is_not_worked_in(tenant: Tenant, permission: Permission) -> None:
    is_an_administrators = bool(ROLES_OF[permission])
    role = UserRole.TENANT_ADMIN if is_an_administrators else None
    somebody = standing(tenant, role, is_operator=not is_an_administrators)

    with pytest.raises(NotAllowed, match=r"\*Acme\* is deactivated: .* Ask an operator to run `tenant activate Acme`"):
        somebody.require(permission)


def test_a_deactivated_tenant_is_still_looked_after(tenant: Tenant) -> None:
    for permission in (Permission.TENANT_SHOW, Permission.TENANT_SETTINGS, Permission.USER_MANAGE):
        standing(tenant, UserRole.TENANT_ADMIN).require(permission)


def test_the_sessions_of_a_deleted_tenant_are_wanted_stopped_until_they_are_seen_to_be(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    delete(tenant)
    [wanted] = observing.sessions_of("main")
    moved = observing.record_poll("main", [Seen(session.id, "STOPPED")], at=world.value("SELECT now()"))

    assert (wanted.desired_state, wanted.is_deleted) == ("stopped", True)
    assert [(one.was, one.status) for one in moved] == [("working", "stopped")]
    assert observing.sessions_of("main") == []


def test_the_sessions_of_a_restored_tenant_are_wanted_as_before_and_their_absence_is_no_news(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    delete(tenant)
    observing.record_poll("main", [Seen(session.id, "STOPPED")], at=world.value("SELECT now()"))

    restore("Acme")

    [wanted] = observing.sessions_of("main")
    assert (wanted.desired_state, wanted.status) == ("running", "stopped")
    assert wanted.is_control_due


def test_a_session_of_a_deactivated_tenant_stays_as_people_want_it(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.conversation(session, CUSTOMER)
    world.sql("UPDATE tenants SET status = 'inactive'")

    [wanted] = observing.sessions_of("main")

    assert (wanted.desired_state, wanted.is_deleted) == ("running", False)
