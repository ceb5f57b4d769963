"""A tenant moves to another Slack workspace, and nobody goes on from the one where it was."""

from __future__ import annotations

import pytest

from database import transaction
from models import Tenant, UserRole, uuid7
from operations import moving, workspaces
from operations.errors import Conflict
from operations.moving import Moved
from operations.standing import Person, memberships
from operations.workspaces import Place, Tokens
from tests.operations.builders import ANA, OPERATOR, TEAM, World

pytestmark = pytest.mark.database_role("switchboard_bot")

THERE = "T2"
BEN, CLEO = Person(TEAM, "UBEN"), Person(THERE, "UCLEO")
PEOPLE = "SELECT slack_team_id || '/' || slack_user_id FROM slack_identities WHERE deleted_at IS NULL"


@pytest.fixture
def acme(world: World) -> Tenant:
    """Acme in the workspace of the settings, with ana as its only administrator; another workspace is connected."""
    with transaction():
        place = Place(THERE, "Globex", "UBOT", "BBOT")
        workspaces.connect(place, Tokens("xoxb-there"), workspace_id=uuid7(), actor=OPERATOR.key)
    tenant = world.tenant()
    world.user(tenant, ANA, UserRole.TENANT_ADMIN)
    return tenant


def move(team_id: str | None) -> Moved:
    with transaction():
        return moving.bind("acme", team_id, actor=OPERATOR.key)


def home(world: World) -> str | None:
    found: str | None = world.value("SELECT slack_team_id FROM tenants")
    return found


def test_a_tenant_does_not_move_away_from_its_people(world: World, acme: Tenant) -> None:
    world.user(acme, BEN)

    with pytest.raises(Conflict, match=r"^\*Acme\* has 2 people in the workspace where it is now\. Remove them first"):
        move(THERE)

    assert home(world) is None
    assert len(world.sql(PEOPLE)) == 2


@pytest.mark.usefixtures("acme")
def test_the_last_administrator_is_taken_out_by_the_move(world: World) -> None:
    moved = move(THERE)

    with transaction():
        assert memberships(ANA) == []
    assert moved == Moved("Acme", "uana@example.org")
    assert home(world) == THERE
    assert world.sql("SELECT action FROM audit_entries WHERE actor = %s ORDER BY id", OPERATOR.key) == [
        ("workspace.add",),
        ("user.remove",),
        ("tenant.bind",),
    ]


def test_it_moves_back_to_the_workspace_of_the_settings_in_the_same_way(world: World, acme: Tenant) -> None:
    move(THERE)
    world.user(acme, CLEO, UserRole.TENANT_ADMIN)

    moved = move(None)

    assert moved.left == "ucleo@example.org"
    assert home(world) is None
    assert world.sql(PEOPLE) == []


def test_who_is_in_the_new_workspace_already_stays(world: World, acme: Tenant) -> None:
    world.user(acme, CLEO, UserRole.TENANT_ADMIN)

    move(THERE)

    assert world.sql(PEOPLE) == [(CLEO.key,)]


def test_an_invitation_to_somebody_where_the_tenant_was_is_withdrawn(world: World, acme: Tenant) -> None:
    for person in (BEN, CLEO):
        world.sql(
            "INSERT INTO invitations (id, tenant_id, slack_team_id, slack_user_id, email, role, invited_by, "
            "expires_at) VALUES (gen_random_uuid(), %s, %s, %s, %s, 'AGENT', %s, now() + interval '1 day')",
            acme.id,
            *(person.team_id, person.user_id, f"{person.user_id}@example.org", OPERATOR.key),
        )

    move(THERE)

    assert world.sql("SELECT slack_user_id FROM invitations WHERE withdrawn_at IS NULL") == [(CLEO.user_id,)]
