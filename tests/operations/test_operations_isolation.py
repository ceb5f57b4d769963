"""What one tenant's administrator can do with the ids and names of another: nothing, with row security and without.

Every public function that works for a tenant is found and called; a new one is tried without being named here, and one
that takes no tenant has to be explained in `crossing.NOT_TRIED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import peewee
import pytest

from database import database, set_tenant, tenant_transaction, transaction
from models import Message, now_utc
from operations import home, home_facts, home_views, slack_people
from operations.errors import Refused
from operations.sql import changed
from operations.standing import Person
from tests.operations.builders import ANA, World
from tests.operations.crossing import NOT_TRIED, attempts, call, operations_by_name, takes_a_row, takes_a_tenant
from tests.operations.two_tenants import BEN, Ours, Theirs, Watch, leaks, ours, theirs, told

pytestmark = pytest.mark.database_role("switchboard_bot")

# What a call may answer besides its result: a sentence, nothing of that id, an id that is taken, a wall.
EXPECTED = (Refused, peewee.IntegrityError, peewee.DoesNotExist, LookupError, PermissionError)


@dataclass
class Tally:
    attempts: int = 0
    refused: int = 0
    surprises: set[str] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)


@pytest.fixture
def acme(world: World) -> Ours:
    return ours(world)


@pytest.fixture
def beta(world: World) -> Theirs:
    return theirs(world)


@pytest.fixture
def without_row_security(world: World) -> Iterator[None]:
    """Only the filters of the operations themselves are left."""
    found = world.sql("SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace")
    tables = [name for (name,) in found]
    for table in tables:
        world.sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    yield
    for table in tables:
        world.sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def attempt(work: Callable[[], Any], given: str, ours: Ours, theirs: Theirs, watch: Watch, tally: Tally) -> None:
    """Call, look at what came back and at their rows, and take it all back."""
    tally.attempts += 1
    with tenant_transaction(ours.tenant.id), database.atomic() as tried:
        said = outcome(work, tally)
        found = [*leaks(said, given, theirs), *watch.changes()]
        tried.rollback()
    tally.leaks += [f"{given[:200]} -> {one[:300]}" for one in found]


def outcome(work: Callable[[], Any], tally: Tally) -> str:
    try:
        with transaction():
            return told(work())
    except EXPECTED as error:
        tally.refused += 1
        return str(error)
    except peewee.ProgrammingError as error:
        if "row-level security" not in str(error):
            tally.surprises.add(repr(error))
        tally.refused += 1
        return str(error)
    except Exception as error:  # noqa: BLE001 - gathered, and the test fails on them
        tally.surprises.add(repr(error))
        return str(error)


def try_all(names: list[str], ours: Ours, theirs: Theirs, watch: Watch) -> dict[str, Tally]:
    known = operations_by_name()
    tallies = {name: Tally() for name in names}
    for name, tally in tallies.items():
        for arguments in attempts(known[name], ours, theirs):
            given = f"{name} {told(arguments)}"
            attempt(lambda: call(known[name], arguments), given, ours, theirs, watch, tally)  # noqa: B023 - called at once
    return tallies


def tried() -> list[str]:
    known = operations_by_name()
    return sorted(name for name in known.keys() - NOT_TRIED.keys() if takes_a_tenant(known[name]))


def found_in(tallies: dict[str, Tally]) -> list[str]:
    return [f"{name}: {one}" for name, tally in tallies.items() for one in (*tally.leaks, *sorted(tally.surprises))]


def shown(title: str, tallies: dict[str, Tally]) -> str:
    counts = sum(tally.attempts for tally in tallies.values()), sum(tally.refused for tally in tallies.values())
    found = sum(len(tally.leaks) for tally in tallies.values())
    return f"\n{title}: {len(tallies)} operations, {counts[0]} attempts ({counts[1]} refused), leaks {found}"


def test_every_operation_is_tried_or_says_why_not() -> None:
    known = operations_by_name()
    explained = {name for name, operation in known.items() if takes_a_tenant(operation) or takes_a_row(operation)}

    assert sorted(known.keys() - explained - NOT_TRIED.keys()) == []
    assert sorted(NOT_TRIED.keys() - known.keys()) == []


def test_no_operation_reaches_another_tenant(world: World, acme: Ours, beta: Theirs) -> None:
    tallies = try_all(tried(), acme, beta, Watch.over(world, beta.tenant.id))

    print(shown("as tenant A, with everything of tenant B", tallies))  # noqa: T201 - what this shows
    assert found_in(tallies) == []
    assert len(tallies) > 50


@pytest.mark.usefixtures("without_row_security")
def test_no_operation_needs_row_security_to_keep_tenants_apart(world: World, acme: Ours, beta: Theirs) -> None:
    tallies = try_all(tried(), acme, beta, Watch.over(world, beta.tenant.id))

    print(shown("the same with row security switched off", tallies))  # noqa: T201 - what this shows
    assert found_in(tallies) == []


@pytest.mark.parametrize("guard", ["guarded", "bare"])
def test_a_home_shows_and_touches_nothing_of_a_tenant_that_its_person_is_not_in(
    world: World, acme: Ours, beta: Theirs, guard: str, request: pytest.FixtureRequest
) -> None:
    for person in (ANA, BEN):
        slack_people.remember(person, None)
        world.sql(
            "INSERT INTO home_views (id, slack_team_id, slack_user_id, opened_at) "
            "VALUES (gen_random_uuid(), %s, %s, now())",
            person.team_id,
            person.user_id,
        )
    watch = Watch.over(world, beta.tenant.id)
    if guard == "bare":
        request.getfixturevalue("without_row_security")

    seen = {person: home_of(person) for person in (ANA, BEN)}
    home_views.look_again(ANA)
    assert [home_views.refresh(view, operators=[], now=now_utc()) for view in claimed()] == [True, True]
    with transaction():
        touched = watch.changes()

    assert "Acme" in seen[ANA]
    assert leaks(seen[ANA], "", beta) == set()
    assert {"bellatrix", "bedlam", "bruised"} <= leaks(seen[BEN], "", beta)
    assert touched == []
    homes = dict(world.sql("SELECT slack_channel_id, payload::text FROM slack_posts WHERE kind = 'publish'"))
    assert leaks(homes[ANA.user_id], "", beta) == set()
    assert "bedlam" in homes[BEN.user_id]


def home_of(person: Person) -> str:
    with transaction():
        return told(home.blocks(home_facts.of(person, operators=[], now=now_utc())))


def claimed() -> list[home_views.View]:
    return home_views.claim(20, has_news=True, now=now_utc())


def forgets_to_filter(tenant_id: UUID) -> list[Message]:
    set_tenant(tenant_id)
    return list(Message.select())


def forgets_whose_it_is(tenant_id: UUID, message_id: UUID) -> int:
    set_tenant(tenant_id)
    return changed("UPDATE messages SET body = 'x' WHERE id = %s", (message_id,))


@pytest.mark.parametrize("planted", [forgets_to_filter, forgets_whose_it_is])
def test_a_planted_leak_is_seen_where_row_security_does_not_stop_it(
    planted: Callable[..., Any], world: World, acme: Ours, beta: Theirs, request: pytest.FixtureRequest
) -> None:
    watch, guarded, bare = Watch.over(world, beta.tenant.id), Tally(), Tally()

    for arguments in attempts(planted, acme, beta):
        attempt(lambda: planted(**arguments), told(arguments), acme, beta, watch, guarded)  # noqa: B023 - called at once
    request.getfixturevalue("without_row_security")
    for arguments in attempts(planted, acme, beta):
        attempt(lambda: planted(**arguments), told(arguments), acme, beta, watch, bare)  # noqa: B023 - called at once

    assert guarded.leaks == []
    assert bare.leaks != []
