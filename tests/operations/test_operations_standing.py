from __future__ import annotations

import pytest

from models import RoutePurpose, TenantStatus, UserRole
from operations.errors import AmbiguousTenant, NotAllowed, NotFound
from operations.permissions import FOR_ANYBODY, ROLES_OF, Permission, may, who_may
from operations.standing import Person, Standing, all_tenants, stand
from tests.operations.builders import ALERTS, ANA, OPERATOR, SUPPORT, World

pytestmark = pytest.mark.database_role("switchboard_bot")

ELSEWHERE = "CELSEWHERE"


def ask(person: Person = ANA, channel_id: str = ELSEWHERE, tenant_name: str | None = None) -> Standing:
    return stand(person, channel_id=channel_id, tenant_name=tenant_name, operators=(OPERATOR.key,))


def test_the_only_tenant_of_a_person_is_meant(world: World) -> None:
    acme = world.tenant()
    user = world.user(acme, role=UserRole.MANAGER)
    world.tenant("Globex")

    standing = ask()

    assert (standing.tenant_id, standing.tenant_name, standing.user_id) == (acme.id, "Acme", user.id)
    assert (standing.role, standing.is_operator) == (UserRole.MANAGER, False)


def test_the_channels_tenant_goes_before_others_of_the_person(world: World) -> None:
    for name in ("Acme", "Globex"):
        world.user(world.tenant(name))
    initech = world.tenant("Initech")
    world.user(initech, role=UserRole.AUDITOR)
    world.route(initech, ALERTS, RoutePurpose.ALERTS)

    standing = ask(channel_id=ALERTS)

    assert (standing.tenant_name, standing.role) == ("Initech", UserRole.AUDITOR)


def test_the_channel_of_a_tenant_in_which_the_person_is_nobody_does_not_count(world: World) -> None:
    world.user(world.tenant())
    world.route(world.tenant("Globex"), SUPPORT)

    assert ask(channel_id=SUPPORT).tenant_name == "Acme"


def test_a_named_tenant_goes_before_the_channels(world: World) -> None:
    acme, globex = world.tenant(), world.tenant("Globex")
    world.user(acme)
    world.user(globex)
    world.route(acme, SUPPORT)

    assert ask(channel_id=SUPPORT, tenant_name=" globex ").tenant_name == "Globex"


def test_several_tenants_are_asked_back_and_named(world: World) -> None:
    for name in ("Acme", "Globex"):
        world.user(world.tenant(name))

    with pytest.raises(AmbiguousTenant, match=r"`Acme`, `Globex`"):
        ask()


def test_a_name_in_other_letters_counts_only_where_it_is_clear(world: World) -> None:
    for name in ("Acme", "ACME"):
        world.user(world.tenant(name))

    assert ask(tenant_name="ACME").tenant_name == "ACME"
    with pytest.raises(NotFound):
        ask(tenant_name="acme")


def test_a_tenant_of_others_cannot_be_named(world: World) -> None:
    world.user(world.tenant())
    world.tenant("Globex")

    with pytest.raises(NotFound, match=r"no tenant called `Globex`. Yours: `Acme`"):
        ask(tenant_name="Globex")


def test_nobody_is_told_whom_to_ask_and_nothing_else(world: World) -> None:
    world.route(world.tenant(), SUPPORT)

    with pytest.raises(NotAllowed, match=r"You have no role in any tenant here.*user invite <@UANA> AGENT") as refusal:
        ask(channel_id=SUPPORT, tenant_name="Acme")

    assert "Acme" not in refusal.value.sentence


def test_a_person_of_another_workspace_is_somebody_else(world: World) -> None:
    world.user(world.tenant())

    with pytest.raises(NotAllowed):
        ask(Person("TOTHER", ANA.user_id))


def test_a_deactivated_person_may_nothing(world: World) -> None:
    world.user(world.tenant(), is_active=False)

    with pytest.raises(NotAllowed, match=r"Your account in \*Acme\* is deactivated"):
        ask()


@pytest.mark.parametrize(
    "gone",
    [
        "UPDATE tenants SET deleted_at = now()",
        "UPDATE users SET deleted_at = now()",
        "UPDATE slack_identities SET deleted_at = now()",
    ],
)
def test_what_is_deleted_gives_no_standing(world: World, gone: str) -> None:
    world.user(world.tenant())
    world.sql(gone)

    with pytest.raises(NotAllowed):
        ask()


def test_an_operator_names_any_tenant_or_stands_in_its_channel(world: World) -> None:
    world.tenant()
    world.route(world.tenant("Globex"), SUPPORT)

    named, here = ask(OPERATOR, tenant_name="Acme"), ask(OPERATOR, channel_id=SUPPORT)

    assert (named.tenant_name, here.tenant_name) == ("Acme", "Globex")
    assert (named.role, named.user_id, named.is_operator) == (None, None, True)


def test_an_operator_is_never_guessed_a_tenant(world: World) -> None:
    with pytest.raises(NotFound, match="There is no tenant yet"):
        ask(OPERATOR)

    world.tenant()

    with pytest.raises(AmbiguousTenant, match="`Acme`"):
        ask(OPERATOR)


def test_an_operator_who_is_somebody_in_one_tenant_means_that_one(world: World) -> None:
    world.tenant()
    world.user(world.tenant("Globex"), OPERATOR, UserRole.AGENT)

    standing = ask(OPERATOR)

    assert (standing.tenant_name, standing.role, standing.is_operator) == ("Globex", UserRole.AGENT, True)


def test_an_operator_whose_account_is_deactivated_is_still_an_operator_and_no_writer(world: World) -> None:
    world.user(world.tenant(), OPERATOR, UserRole.TENANT_ADMIN, is_active=False)

    standing = ask(OPERATOR)

    assert standing.role is None
    standing.require(Permission.USER_ADD)
    for permission in (Permission.MESSAGE_SEND, Permission.MESSAGE_SHOW, Permission.SESSION_CONTROL):
        with pytest.raises(NotAllowed):
            standing.require(permission)


def test_an_operator_who_is_not_logged_in_is_told_to_log_in_and_not_to_take_a_lesser_role(world: World) -> None:
    world.user(world.tenant(), OPERATOR, UserRole.TENANT_ADMIN)
    world.sql("""UPDATE tenants SET settings = '{"login": "password"}'""")

    with pytest.raises(NotAllowed, match=r"you are operator there\. \*Acme\* asks for your password\.") as refusal:
        ask(OPERATOR).require(Permission.MESSAGE_SEND)

    assert "user add" not in refusal.value.sentence


def test_an_inactive_tenant_is_found_and_says_so(world: World) -> None:
    world.user(world.tenant())
    world.sql("UPDATE tenants SET status = 'inactive'")

    assert ask().tenant_status is TenantStatus.INACTIVE


def test_a_refusal_says_who_may_and_what_the_person_is(world: World) -> None:
    world.user(world.tenant("A<b>"), role=UserRole.AGENT)

    with pytest.raises(NotAllowed, match=r"needs TENANT_ADMIN or MANAGER in \*A&lt;b&gt;\*; you are AGENT there"):
        ask().require(Permission.SESSION_CONTROL)


def test_whoever_lacks_what_only_operators_may_is_sent_to_one(world: World) -> None:
    world.user(world.tenant(), role=UserRole.TENANT_ADMIN)

    with pytest.raises(NotAllowed, match=r"needs operator in .* Ask an operator of this installation\.$"):
        ask().require(Permission.SESSION_ADOPT)


def test_many_tenants_are_not_all_named(world: World) -> None:
    for number in range(22):
        world.user(world.tenant(f"Tenant {number:02}"))

    with pytest.raises(AmbiguousTenant, match=r"`Tenant 19` and 2 more"):
        ask()


def test_the_list_of_tenants_counts_what_lives(world: World) -> None:
    acme = world.tenant()
    world.user(acme)
    world.session(acme)
    world.session(acme, "old")
    world.sql("UPDATE waha_sessions SET deleted_at = now() WHERE name = 'old'")
    world.tenant("Globex")
    world.sql("UPDATE tenants SET deleted_at = now() WHERE name = 'Globex'")

    [line] = all_tenants()

    assert (line.tenant_name, line.sessions, line.users) == ("Acme", 1, 1)


@pytest.mark.parametrize("permission", list(Permission))
def test_every_permission_is_in_the_table_and_an_administrator_has_all_that_a_tenant_gives(
    permission: Permission,
) -> None:
    roles = ROLES_OF[permission]

    assert not roles or UserRole.TENANT_ADMIN in roles
    assert who_may(permission)
    assert may(permission, None, is_operator=True) == (who_may(permission).endswith(("operator", "everybody")))
    assert may(permission, None, is_operator=False) == (permission in FOR_ANYBODY)
