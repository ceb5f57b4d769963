"""An invitation is for one Slack user, once, for a week; to everybody else there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from database import tenant_transaction, transaction
from models import Outside, Tenant, User, UserRole, uuid7
from models.requests import CreateUser
from operations import invitations, slack_people, users
from operations.audit_pages import Filters, page, subjects_of
from operations.errors import Conflict, NotAllowed, NotFound, Refused
from operations.standing import Person, memberships, stand
from tests.operations.builders import ANA, OPERATOR, TEAM, World, together

pytestmark = pytest.mark.database_role("switchboard_bot")

BEN, CARL = Person(TEAM, "UBEN"), Person(TEAM, "UCARL")
NOT_FOUND = "is not there any more, or it is for somebody else"


@pytest.fixture
def acme(world: World) -> Tenant:
    tenant = world.tenant("Acme & Sons")
    world.user(tenant, ANA, UserRole.TENANT_ADMIN)
    return tenant


def invite(
    tenant: Tenant, *, by: Person = ANA, role: UserRole = UserRole.AGENT, email: str = "uben@example.org"
) -> UUID:
    """Ben is invited."""
    request = CreateUser(tenant_id=tenant.id, email=email, role=role, first_name="Ben", last_name="Okafor")
    invitation_id = uuid7()
    with transaction():
        standing = stand(by, channel_id="C", tenant_name=tenant.name, operators=(OPERATOR.key,))
        invitations.invite(request, BEN, invitation_id=invitation_id, by=standing)
    return invitation_id


def accept(invitation_id: UUID, person: Person = BEN) -> User:
    with transaction():
        offered = invitations.open_for(person, invitation_id)
        return invitations.accept(offered, person, user_id=uuid7(), identity_id=uuid7())


def decline(invitation_id: UUID, person: Person = BEN) -> None:
    with transaction():
        invitations.decline(invitations.open_for(person, invitation_id), person)


def test_who_is_invited_is_asked_by_direct_message_with_two_buttons(world: World, acme: Tenant) -> None:
    invitation_id = invite(acme)

    [told] = world.privately(BEN)
    assert told.startswith("<@UANA> invites you to *Acme &amp; Sons* as AGENT: you write to its customers. Accept it")
    [[payload]] = world.sql("SELECT payload FROM slack_posts")
    buttons = payload["blocks"][-1]["elements"]
    assert [(one["action_id"], one["value"]) for one in buttons] == [
        ("invitation.accept", str(invitation_id)),
        ("invitation.decline", str(invitation_id)),
    ]
    assert memberships(BEN) == []


def test_whoever_accepts_is_let_in_in_the_role_and_the_inviter_is_told(world: World, acme: Tenant) -> None:
    accept(invite(acme, role=UserRole.MANAGER))

    [mine] = memberships(BEN)
    assert (mine.tenant_id, mine.role_held) == (acme.id, UserRole.MANAGER)
    assert world.sql("SELECT email, first_name, last_name FROM users WHERE role = 'MANAGER'") == [
        ("uben@example.org", "Ben", "Okafor")
    ]
    assert world.privately(ANA) == ["<@UBEN> accepted your invitation to *Acme &amp; Sons* as MANAGER."]
    found = "SELECT actor, action, subject_table, subject_name, after FROM audit_entries ORDER BY created_at, id"
    offered = {"role": "MANAGER", "slack": BEN.key}
    assert world.sql(found) == [
        (ANA.key, "user.invite", "invitations", "Ben Okafor", offered),
        (BEN.key, "invitation.accept", "users", "Ben Okafor", offered | {"invited_by": ANA.key}),
    ]
    with transaction():
        about = Filters(acme.id, subjects=subjects_of(acme.id, BEN.user_id))
        assert [one.action for one in page(about).entries] == ["invitation.accept", "user.invite"]


def test_whoever_declines_stays_outside_and_the_inviter_is_told(world: World, acme: Tenant) -> None:
    decline(invite(acme))

    assert memberships(BEN) == []
    assert world.privately(ANA) == ["<@UBEN> declined your invitation to *Acme &amp; Sons* as AGENT."]


def test_one_person_is_invited_to_several_tenants(world: World, acme: Tenant) -> None:
    globex = world.tenant("Globex")

    for tenant in (acme, globex):
        accept(invite(tenant, by=OPERATOR))

    assert [one.tenant_name for one in memberships(BEN)] == ["Acme & Sons", "Globex"]


@pytest.mark.parametrize("answer", [accept, decline])
@pytest.mark.parametrize(
    "person", [CARL, ANA, OPERATOR, Person("TELSEWHERE", "UBEN")], ids=lambda person: person.key.replace("/", "-")
)
def test_nobody_else_can_answer_it_nor_learns_that_there_is_one(
    world: World, acme: Tenant, answer: Callable[..., Any], person: Person
) -> None:
    invitation_id = invite(acme)
    with pytest.raises(NotFound) as of_nothing:
        answer(uuid7(), person)

    with pytest.raises(NotFound, match=NOT_FOUND) as of_another:
        answer(invitation_id, person)

    assert of_another.value.sentence == of_nothing.value.sentence
    assert world.sql("SELECT accepted_at, declined_at FROM invitations") == [(None, None)]


@pytest.mark.parametrize("answer", [accept, decline])
@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("accepted_at = now()", r"you accepted this invitation already. See `whoami`.$"),
        ("declined_at = now()", r"you declined this invitation. Ask <@UANA> to invite you again"),
        ("withdrawn_at = now()", r"was withdrawn, or replaced by a newer one. Ask <@UANA>"),
        ("expires_at = now() - interval '1 s'", r"has expired. Ask <@UANA>"),
    ],
)
def test_what_is_settled_or_over_is_said_to_the_invited_and_changes_nothing(
    world: World, acme: Tenant, answer: Callable[..., Any], before: str, reason: str
) -> None:
    invitation_id = invite(acme)
    world.sql(f"UPDATE invitations SET {before}")  # noqa: S608 - ours

    with pytest.raises(Conflict, match=reason):
        answer(invitation_id)

    assert memberships(BEN) == []


def test_it_can_be_accepted_for_a_week(world: World, acme: Tenant) -> None:
    invite(acme)

    assert world.value(
        "SELECT expires_at BETWEEN now() + interval '167 hours' AND now() + interval '168 hours' FROM invitations"
    )


def test_a_new_invitation_takes_the_place_of_the_open_one(world: World, acme: Tenant) -> None:
    first = invite(acme)
    second = invite(acme, role=UserRole.AUDITOR)

    with pytest.raises(Conflict, match="replaced by a newer one"):
        accept(first)
    assert accept(second).role is UserRole.AUDITOR


def test_of_two_answers_at_once_one_counts(world: World, acme: Tenant) -> None:
    invitation_id = invite(acme)

    def outcome(answer: Callable[..., Any]) -> str:
        try:
            answer(invitation_id)
        except Refused as refusal:
            return type(refusal).__name__
        return "done"

    outcomes = together(partial(outcome, accept), partial(outcome, accept), partial(outcome, decline))

    assert sorted(outcomes) == ["Conflict", "Conflict", "done"]
    assert (
        world.value("SELECT count(*) FROM invitations WHERE accepted_at IS NOT NULL AND declined_at IS NOT NULL") == 0
    )


def test_whoever_is_somebody_here_already_is_not_invited(world: World, acme: Tenant) -> None:
    world.user(acme, BEN, UserRole.AGENT)

    with pytest.raises(Conflict, match=r"is AGENT in this tenant already; nothing was changed"):
        invite(acme)


def test_a_colleagues_address_is_offered_to_nobody(acme: Tenant) -> None:
    with pytest.raises(Conflict, match="is another Slack user's address"):
        invite(acme, email="uana@example.org")


def test_whoever_is_added_while_invited_cannot_accept_any_more(world: World, acme: Tenant) -> None:
    invitation_id = invite(acme)
    request = CreateUser(tenant_id=acme.id, email="uben@example.org", role=UserRole.AUDITOR)
    with tenant_transaction(acme.id):
        users.add(request, BEN, user_id=uuid7(), identity_id=uuid7(), actor=ANA.key)

    with pytest.raises(Conflict, match="was withdrawn"):
        accept(invitation_id)

    assert [one.role for one in memberships(BEN)] == ["AUDITOR"]


def test_what_was_offered_can_be_taken_back_once(world: World, acme: Tenant) -> None:
    invitation_id = invite(acme)
    standing = stand(ANA, channel_id="C", tenant_name=None, operators=())

    with transaction():
        invitations.withdraw(BEN, by=standing)

    with pytest.raises(Conflict, match="was withdrawn"):
        accept(invitation_id)
    with pytest.raises(NotFound, match="has no open invitation"), transaction():
        invitations.withdraw(BEN, by=standing)


@pytest.mark.parametrize("outside", ["guest", "stranger", "deactivated", "bot"])
def test_whoever_slack_keeps_out_by_now_cannot_accept(world: World, acme: Tenant, outside: str) -> None:
    invitation_id = invite(acme)
    world.sql(
        "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside) VALUES (%s, %s, 'UBEN', %s)",
        *(uuid7(), TEAM, outside),
    )

    with pytest.raises(NotAllowed, match="Ask an administrator of this Slack workspace for a full account"):
        accept(invitation_id)

    assert memberships(BEN) == []


@pytest.mark.parametrize("role", [UserRole.MANAGER, UserRole.AGENT, UserRole.AUDITOR])
def test_an_invitation_ends_with_the_inviters_right_to_let_people_in(
    world: World, acme: Tenant, role: UserRole
) -> None:
    world.user(acme, CARL, UserRole.TENANT_ADMIN)
    invitation_id = invite(acme, by=CARL, role=UserRole.TENANT_ADMIN)
    with transaction():
        users.give_role(CARL, role, by=stand(ANA, channel_id="C", tenant_name=None, operators=()))

    with pytest.raises(Conflict, match="was withdrawn"):
        accept(invitation_id)

    assert memberships(BEN) == []


@pytest.mark.parametrize("outside", [Outside.GUEST, Outside.DEACTIVATED])
def test_an_invitation_of_somebody_whom_slack_keeps_out_by_now_lets_nobody_in(acme: Tenant, outside: Outside) -> None:
    invitation_id = invite(acme, role=UserRole.TENANT_ADMIN)
    slack_people.remember(ANA, outside)

    with pytest.raises(Conflict, match=r"keeps out whoever invited you.*another administrator of \*Acme &amp; Sons\*"):
        accept(invitation_id)

    assert memberships(BEN) == []


def test_an_operators_invitation_rests_on_no_row(acme: Tenant) -> None:
    slack_people.remember(OPERATOR, None)

    assert accept(invite(acme, by=OPERATOR)).role is UserRole.AGENT


def test_an_invitation_of_a_tenant_that_was_deleted_is_not_there(world: World, acme: Tenant) -> None:
    invitation_id = invite(acme)
    world.sql("UPDATE tenants SET deleted_at = now()")

    with pytest.raises(NotFound, match=NOT_FOUND):
        accept(invitation_id)


def test_what_is_kept_of_it_in_the_outbox_names_no_address(world: World, acme: Tenant) -> None:
    invite(acme)

    [[payload]] = world.sql("SELECT payload FROM slack_posts")
    assert "example.org" not in json.dumps(payload)
