"""Which server a new session goes to, what operators see of the servers, and what draining one changes."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest

from database import transaction
from models import Engine, SessionStatus, Tenant, now_utc
from operations import servers
from operations.errors import Conflict, NotFound
from tests.operations.builders import OPERATOR, World, together

NAMES = ("main", "second", "third")
CAPACITIES = {"main": 3, "second": 10}


def known(world: World, name: str, state: str = "up", engine: str = "GOWS", *, draining: bool = False) -> None:
    world.sql(
        "INSERT INTO waha_servers (id, name, state, engine, draining_since) VALUES (%s, %s, %s, %s, %s)",
        uuid4(),
        name,
        state,
        engine,
        now_utc() if draining else None,
    )


def placed(engine: Engine | None = None, names: tuple[str, ...] = NAMES[:2], wish: str | None = None) -> str:
    with transaction():
        return servers.place(names, CAPACITIES, engine, wish=wish)


def test_a_new_session_goes_where_most_room_is(world: World, tenant: Tenant) -> None:
    known(world, "main")
    known(world, "second")
    for number in range(8):
        world.session(tenant, f"s{number}", server="second")

    before = placed()
    world.session(tenant, "one-more", server="main")
    world.session(tenant, "and-one", server="main")

    assert (before, placed()) == ("main", "second")


def test_sessions_of_all_tenants_count_and_deleted_ones_do_not(world: World, tenant: Tenant) -> None:
    other = world.tenant("Globex")
    for number, of in enumerate((tenant, other, other)):
        world.session(of, f"s{number}", server="main")
    gone = world.session(tenant, "gone", server="main")
    world.sql("UPDATE waha_sessions SET deleted_at = now() WHERE id = %s", gone.id)

    with transaction():
        [main] = servers.hosts(("main",), CAPACITIES)

    assert (main.load.sessions, main.free) == (3, 0)


def test_a_server_without_a_limit_has_room_before_others(world: World) -> None:
    for name in NAMES:
        known(world, name)

    assert placed(names=NAMES) == "third"


def test_a_server_that_answers_is_taken_before_one_that_is_away(world: World) -> None:
    known(world, "main", "up")
    known(world, "second", "down")

    assert placed() == "main"


def test_a_session_is_added_also_while_no_server_answers(world: World) -> None:
    known(world, "main", "down")

    assert placed(names=("main",)) == "main"


def test_a_server_with_another_engine_is_passed_over(world: World) -> None:
    known(world, "main", engine="WEBJS")
    known(world, "second", engine="GOWS")

    assert placed(Engine.WEBJS) == "main"
    assert placed(Engine.GOWS) == "second"


def test_where_none_may_have_it_the_refusal_says_why_for_each(world: World, tenant: Tenant) -> None:
    known(world, "main")
    known(world, "second", draining=True)
    for number in range(3):
        world.session(tenant, f"s{number}", server="main")

    with pytest.raises(Conflict) as refused:
        placed()

    assert "`main` is full (3 of 3); `second` is being drained." in refused.value.sentence


def test_a_server_that_a_person_names_is_held_to_the_same_rules(world: World) -> None:
    known(world, "main")
    known(world, "second", draining=True)

    assert placed(wish="main") == "main"
    with pytest.raises(Conflict, match="`second` is being drained"):
        placed(wish="second")


def test_two_that_are_added_at_once_do_not_share_the_last_place(world: World, tenant: Tenant) -> None:
    for number in range(2):
        world.session(tenant, f"s{number}", server="main")

    def add(name: str) -> bool:
        with transaction():
            try:
                servers.place(("main",), CAPACITIES)
            except Conflict:
                return False
            world.session(tenant, name, server="main")
            return True

    assert sorted(together(partial(add, "one"), partial(add, "other"))) == [False, True]


def test_draining_is_in_the_audit_and_done_once(world: World) -> None:
    known(world, "main")

    with transaction():
        first = servers.drain("main", actor=OPERATOR.key)
        again = servers.drain("main", actor=OPERATOR.key)
        back = servers.undrain("main", actor=OPERATOR.key)

    assert (first, again, back) == (True, False, True)
    actions = world.sql("SELECT action, after->>'server', tenant_id FROM audit_entries ORDER BY created_at")
    assert actions == [("server.drain", "main", None), ("server.undrain", "main", None)]
    assert placed(names=("main",)) == "main"


def test_a_server_that_nobody_looked_at_yet_cannot_be_drained(world: World) -> None:
    with pytest.raises(NotFound, match="a daemon has to look at it first"), transaction():
        servers.drain("main", actor=OPERATOR.key)


def test_the_longest_trouble_of_a_server_is_shown_first(world: World, tenant: Tenant) -> None:
    for name, status, minutes in (("calm", "working", 90), ("new", "failed", 1), ("old", "failed", 60)):
        made = world.session(tenant, name, status=SessionStatus(status))
        world.sql(
            "UPDATE waha_sessions SET status_changed_at = now() - %s * interval '1 minute' WHERE id = %s",
            minutes,
            made.id,
        )

    with transaction():
        shown = servers.sessions_on("main", most=2)
        [main] = servers.hosts(("main",), {})

    assert [one.name for one in shown] == ["old", "new"]
    assert (main.load.troubled, main.load.oldest_trouble_at) == (2, shown[0].status_changed_at)
