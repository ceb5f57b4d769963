"""Numbers are measured one by one: neither many of them nor a spoilt one keep the others waiting."""

from __future__ import annotations

import pytest

from daemon.numbers import LimitsHeard, NumberWatch
from database import connection, in_database
from settings import NumberSettings
from tests.conftest import MigratedDatabase
from tests.daemon.conftest import Rows
from tests.operations.builders import World
from waha.payloads import SessionInfo

MEASURED = "SELECT count(*), count(measured_at) FROM number_healths"
SPOILT = """UPDATE tenants SET settings = '{"time_zone": "Nowhere/Land"}' WHERE name = 'Spoilt'"""


@pytest.fixture
async def world(migrated_database: MigratedDatabase) -> World:
    return World(migrated_database)


async def begin(world: World, *tenants: str, sessions: int = 1) -> None:
    """Sessions in which something happened."""

    def make() -> None:
        with connection():
            for name in tenants:
                tenant = world.tenant(name)
                for number in range(sessions):
                    world.session(tenant, f"{name.lower()}-{number}")
            world.sql("UPDATE waha_sessions SET last_activity_at = now()")

    await in_database(make)


def told(name: str, status: str = "CAPPED") -> SessionInfo:
    me = {"id": "4930901820@c.us", "messageCapping": {"cappingStatus": status, "totalQuota": 10, "usedQuota": 10}}
    session = SessionInfo.parse({"name": name, "status": "WORKING", "me": me})
    assert session is not None
    return session


async def test_a_number_that_cannot_be_measured_keeps_none_behind_it_from_it(world: World, rows: Rows) -> None:
    await begin(world, "Spoilt", "Sound")
    await rows(SPOILT)
    watch = NumberWatch(NumberSettings())

    assert not await watch.step()

    assert await rows(MEASURED) == [(2, 2)]
    assert not await watch.step()


async def test_more_numbers_than_are_measured_at_once_are_measured_without_a_pause(world: World, rows: Rows) -> None:
    await begin(world, "Acme", sessions=51)
    watch = NumberWatch(NumberSettings())

    assert [await watch.step() for _ in range(2)] == [True, False]

    assert await rows(MEASURED) == [(51, 51)]


async def test_numbers_that_can_none_of_them_be_measured_are_tried_again_only_later(world: World, rows: Rows) -> None:
    await begin(world, "Spoilt", sessions=50)
    await rows(SPOILT)

    assert not await NumberWatch(NumberSettings()).step()


async def test_limits_that_cannot_be_kept_keep_no_others_and_are_tried_again(world: World, rows: Rows) -> None:
    await begin(world, "Acme", sessions=2)
    bad, good = [name for (name,) in await rows("SELECT external_session_id FROM waha_sessions ORDER BY name")]
    await rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'spoilt'; END $$; "
        "CREATE TRIGGER refuse BEFORE INSERT ON number_healths FOR EACH ROW "
        "WHEN (NEW.capping ->> 'cappingStatus' = 'SPOILT') EXECUTE FUNCTION refuse()"
    )
    heard = LimitsHeard("main")

    try:
        await heard.hear([told(bad, "SPOILT"), told(good)])
    finally:
        await rows("DROP FUNCTION refuse CASCADE")

    assert await rows(MEASURED) == [(1, 0)]
    await heard.hear([told(bad, "SPOILT"), told(good)])
    assert await rows(MEASURED) == [(2, 0)]
