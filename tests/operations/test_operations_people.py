"""A tenant's people: changed by whoever may, shut out at once, and never without an administrator."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from database import tenant_transaction, transaction
from models import Tenant, UserRole, uuid7
from models.requests import CreateUser, UpdateUser
from operations import colleagues, users
from operations.colleagues import Named
from operations.errors import Conflict, NotAllowed, NotFound, Refused
from operations.standing import Person, Standing, memberships, stand
from tests.operations.builders import ANA, OPERATOR, TEAM, World, together

pytestmark = pytest.mark.database_role("switchboard_bot")

BEN, CARL = Person(TEAM, "UBEN"), Person(TEAM, "UCARL")
ADMIN, AGENT = UserRole.TENANT_ADMIN, UserRole.AGENT


def standing(person: Person = ANA) -> Standing:
    with transaction():
        return stand(person, channel_id="CELSEWHERE", tenant_name=None, operators=(OPERATOR.key,))


def act(work: Callable[..., Any], *arguments: Any, by: Standing | None = None) -> Any:
    """As a command does it: who stood before the tenant, in one transaction."""
    by = by or standing()
    with tenant_transaction(by.tenant_id):
        return work(*arguments, by=by)


@pytest.fixture
def acme(world: World) -> Tenant:
    """Acme, with ana as its only administrator and ben as an agent."""
    tenant = world.tenant()
    world.user(tenant, ANA, ADMIN)
    world.user(tenant, BEN, AGENT)
    return tenant


def roles(world: World) -> dict[str, str]:
    return dict(
        world.sql(
            "SELECT i.slack_user_id, u.role FROM users u JOIN slack_identities i ON i.user_id = u.id "
            "WHERE u.deleted_at IS NULL AND u.is_active"
        )
    )


def audited(world: World) -> list[tuple[str, str]]:
    return world.sql("SELECT actor, action FROM audit_entries ORDER BY created_at, id")


@pytest.mark.usefixtures("acme")
def test_another_role_counts_at_once_and_leaves_an_entry_in_the_audit(world: World) -> None:
    was = act(users.give_role, BEN, UserRole.MANAGER)

    assert was is AGENT
    assert standing(BEN).role is UserRole.MANAGER
    entry = world.sql("SELECT actor, action, before, after FROM audit_entries")
    assert entry == [(ANA.key, "user.role", {"role": "AGENT"}, {"role": "MANAGER"})]


@pytest.mark.usefixtures("acme")
def test_whoever_is_deactivated_is_kept_out_until_they_are_activated(world: World) -> None:
    act(users.deactivate, BEN)

    with pytest.raises(NotAllowed, match=r"Your account in \*Acme\* is deactivated"):
        standing(BEN)
    act(users.activate, BEN)
    assert standing(BEN).role is AGENT
    assert audited(world) == [(ANA.key, "user.deactivate"), (ANA.key, "user.activate")]


@pytest.mark.parametrize("shut_out", [users.deactivate, users.remove], ids=lambda work: work.__name__)
def test_whoever_is_shut_out_is_logged_out_and_nobody_comes_in_by_their_links_or_invitations(
    world: World, acme: Tenant, shut_out: Callable[..., Any]
) -> None:
    world.user(acme, CARL, ADMIN)
    carl = world.value("SELECT user_id FROM slack_identities WHERE slack_user_id = 'UCARL'")
    identity = (uuid7(), acme.id, carl, TEAM, "UCARL")
    world.sql(
        "INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at) "
        "VALUES (%s, %s, %s, %s, %s, now() + interval '1 hour')",
        *identity,
    )
    world.sql(
        "INSERT INTO page_links (id, tenant_id, user_id, slack_team_id, slack_user_id, purpose, token_hash, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, 'log_in', 'x', now() + interval '1 hour')",
        *identity,
    )
    world.sql(
        "INSERT INTO invitations (id, tenant_id, slack_team_id, slack_user_id, email, role, invited_by, expires_at) "
        "VALUES (%s, %s, %s, 'UDORA', 'dora@example.org', 'AGENT', %s, now() + interval '1 hour')",
        *(uuid7(), acme.id, TEAM, CARL.key),
    )

    act(shut_out, CARL)

    for open_one in (
        "logins WHERE ended_at IS NULL",
        "page_links WHERE used_at IS NULL AND expires_at > now()",
        "invitations WHERE withdrawn_at IS NULL",
    ):
        assert world.value(f"SELECT count(*) FROM {open_one}") == 0, open_one  # noqa: S608 - ours


def test_whoever_is_removed_is_nobody_and_can_be_added_anew_with_the_same_address(world: World, acme: Tenant) -> None:
    act(users.remove, BEN)

    assert memberships(BEN) == []
    assert world.sql("SELECT count(*), count(deletion_id) FROM users WHERE deleted_at IS NOT NULL") == [(1, 1)]
    request = CreateUser(tenant_id=acme.id, email="uben@example.org", role=AGENT)
    with tenant_transaction(acme.id):
        users.add(request, BEN, user_id=uuid7(), identity_id=uuid7(), actor=ANA.key)
    assert standing(BEN).role is AGENT


@pytest.mark.usefixtures("acme")
def test_a_name_and_an_address_are_changed_and_the_audit_says_which_and_not_what(world: World) -> None:
    act(users.update, BEN, UpdateUser(first_name="Ben", email="Ben@Example.org"))

    with transaction():
        found = colleagues.one(standing().tenant_id, BEN)
    assert found is not None
    assert (found.first_name, found.email) == ("Ben", "ben@example.org")
    assert world.sql("SELECT action, before, after FROM audit_entries") == [
        ("user.update", None, {"fields": ["email", "first_name"]})
    ]


@pytest.mark.usefixtures("acme")
def test_an_address_of_a_colleague_is_refused(world: World) -> None:
    with pytest.raises(Conflict, match="is the address of another user"):
        act(users.update, BEN, UpdateUser(email="uana@example.org"))

    assert audited(world) == []


@pytest.mark.usefixtures("acme")
def test_somebody_is_found_by_their_address_where_slack_offers_them_no_more() -> None:
    act(users.remove, "UBEN@example.org")

    assert memberships(BEN) == []


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (partial(users.give_role, BEN, AGENT), "is AGENT in this tenant already"),
        (partial(users.activate, BEN), "is not deactivated"),
        (partial(users.update, BEN, UpdateUser(first_name="Ana")), "is known so already"),
    ],
)
@pytest.mark.usefixtures("acme")
def test_what_is_so_already_is_said(world: World, work: Callable[..., Any], reason: str) -> None:
    with pytest.raises(Conflict, match=reason):
        act(work)

    assert audited(world) == []


ON_SOMEBODY: tuple[Callable[..., Any], ...] = (
    lambda who, *, by: users.give_role(who, UserRole.MANAGER, by=by),
    lambda who, *, by: users.update(who, UpdateUser(first_name="X"), by=by),
    users.deactivate,
    users.activate,
    users.remove,
)


@pytest.mark.parametrize("work", ON_SOMEBODY)
@pytest.mark.parametrize("who", [CARL, Person("TELSEWHERE", BEN.user_id), "ucarl@example.org"], ids=str)
@pytest.mark.usefixtures("acme")
def test_nobody_of_another_tenant_or_workspace_is_found(world: World, work: Callable[..., Any], who: Named) -> None:
    world.user(world.tenant("Globex"), CARL, AGENT)

    with pytest.raises(NotFound, match=r"is nobody in \*Acme\*"):
        act(work, who)

    assert audited(world) == []


TAKES_AN_ADMIN: tuple[Callable[..., Any], ...] = (
    lambda who, *, by: users.give_role(who, AGENT, by=by),
    users.deactivate,
    users.remove,
)


@pytest.mark.parametrize("work", TAKES_AN_ADMIN)
@pytest.mark.usefixtures("acme")
def test_the_last_administrator_stays_whoever_asks(world: World, work: Callable[..., Any]) -> None:
    world.user(world.tenant("Globex"), CARL, ADMIN)
    operator = stand(OPERATOR, channel_id="C", tenant_name="Acme", operators=(OPERATOR.key,))

    for by in (standing(), operator):
        with pytest.raises(Conflict, match="is the last active TENANT_ADMIN of this tenant"):
            act(work, ANA, by=by)

    assert roles(world) == {"UANA": "TENANT_ADMIN", "UBEN": "AGENT", "UCARL": "TENANT_ADMIN"}


@pytest.mark.parametrize("outside", ["guest", "deactivated"])
def test_an_administrator_whom_slack_keeps_out_is_none(world: World, acme: Tenant, outside: str) -> None:
    world.user(acme, CARL, ADMIN)
    world.sql(
        "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside) VALUES (%s, %s, 'UCARL', %s)",
        *(uuid7(), TEAM, outside),
    )

    with pytest.raises(Conflict, match="is the last active TENANT_ADMIN"):
        act(users.remove, ANA)


def test_adding_somebody_again_takes_no_last_administrator_away(world: World, acme: Tenant) -> None:
    request = CreateUser(tenant_id=acme.id, email="uana@example.org", role=AGENT)

    with pytest.raises(Conflict, match="is the last active TENANT_ADMIN"), tenant_transaction(acme.id):
        users.add(request, ANA, user_id=uuid7(), identity_id=uuid7(), actor=OPERATOR.key)

    assert roles(world)["UANA"] == "TENANT_ADMIN"


@pytest.mark.parametrize("work", TAKES_AN_ADMIN)
def test_of_two_administrators_who_take_each_others_role_at_once_one_stays(
    world: World, acme: Tenant, work: Callable[..., Any]
) -> None:
    world.user(acme, CARL, ADMIN)

    def take(who: Person, by: Standing) -> str:
        try:
            act(work, who, by=by)
        except Refused as refusal:
            return type(refusal).__name__
        return "done"

    outcomes = together(partial(take, CARL, standing(ANA)), partial(take, ANA, standing(CARL)))

    # The second had lost the role when the turn came.
    assert sorted(outcomes) == ["NotAllowed", "done"]
    assert sum(role == "TENANT_ADMIN" for role in roles(world).values()) == 1


def test_of_three_administrators_who_is_demoted_while_waiting_demotes_nobody(world: World, acme: Tenant) -> None:
    world.user(acme, CARL, ADMIN)
    act(users.give_role, BEN, ADMIN)
    was = standing(BEN)
    act(users.give_role, BEN, AGENT)

    with pytest.raises(NotAllowed, match="you are AGENT there"):
        act(users.give_role, CARL, AGENT, by=was)

    assert roles(world)["UCARL"] == "TENANT_ADMIN"


def vouch(role: UserRole, who: Person, *, by: Standing) -> users.Added:
    """`user add`."""
    request = CreateUser(tenant_id=by.tenant_id, email=f"{who.user_id.lower()}@example.org", role=role)
    return users.vouch(request, who, user_id=uuid7(), identity_id=uuid7(), by=by)


def test_who_is_removed_while_waiting_adds_nobody(world: World, acme: Tenant) -> None:
    world.user(acme, CARL, ADMIN)
    was = standing(CARL)
    act(users.remove, CARL)

    with pytest.raises(NotAllowed, match="you are nobody there"):
        act(vouch, ADMIN, BEN, by=was)

    assert roles(world) == {"UANA": "TENANT_ADMIN", "UBEN": "AGENT"}


@pytest.mark.usefixtures("acme")
def test_who_is_deactivated_is_said_to_be_so_when_they_are_added_again(world: World) -> None:
    act(users.deactivate, BEN)

    with pytest.raises(Conflict, match="They are deactivated: see `user activate <@UBEN>`"):
        act(vouch, AGENT, BEN)


_WORK: dict[str, Callable[..., Any]] = {
    "add": vouch,
    "role": lambda role, who, *, by: users.give_role(who, role, by=by),
    "deactivate": lambda _, who, *, by: users.deactivate(who, by=by),
    "activate": lambda _, who, *, by: users.activate(who, by=by),
    "remove": lambda _, who, *, by: users.remove(who, by=by),
}
_numbers = itertools.count()
PEOPLE = tuple(Person(TEAM, f"U{name}") for name in ("A", "B", "C"))
STEPS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(PEOPLE),
        strategies.sampled_from(sorted(_WORK)),
        strategies.sampled_from(PEOPLE),
        strategies.sampled_from(UserRole),
    ),
    max_size=12,
)


@given(steps=STEPS, first=strategies.tuples(*[strategies.sampled_from(UserRole)] * 2))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_people_do_to_each_other_only_administrators_do_it_and_one_is_left(
    world: World, steps: list[tuple[Person, str, Person, UserRole]], first: tuple[UserRole, UserRole]
) -> None:
    world.sql("DELETE FROM tenants")
    tenant = world.tenant(f"Tenant {next(_numbers)}")
    for person, role in zip(PEOPLE, (ADMIN, *first), strict=True):
        world.user(tenant, person, role)

    for actor, what, on, role in steps:
        before = roles(world)
        try:
            act(partial(_WORK[what], role), on, by=standing(actor))
        except Refused:
            assert roles(world) == before
        else:
            assert before.get(actor.user_id) == "TENANT_ADMIN"
        assert "TENANT_ADMIN" in roles(world).values()
