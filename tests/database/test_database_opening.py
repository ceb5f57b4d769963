from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest
import structlog
from pydantic import SecretStr

from database import ConnectionRefused, DatabaseUnavailable, close_database, connection, database, open_database
from database.opening import warn_of_too_many_connections
from settings import DatabaseSettings

if TYPE_CHECKING:
    from tests.conftest import MigratedDatabase
    from tests.database.conftest import FaultProxy


@pytest.fixture(autouse=True)
def closed_after_each_test() -> Iterator[None]:
    yield
    close_database()


def address(url: str) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(url))


def test_opening_waits_for_a_postgresql_that_is_not_there_yet(proxy: FaultProxy) -> None:
    proxy.freeze()
    threading.Timer(0.5, proxy.thaw).start()

    open_database(address(proxy.url), process="tests")

    with connection():
        assert database.execute_sql("SELECT 1").fetchone() == (1,)


def test_opening_says_that_it_waits_and_gives_up_at_its_deadline(proxy: FaultProxy) -> None:
    proxy.close()

    with structlog.testing.capture_logs() as lines, pytest.raises(DatabaseUnavailable, match="refused"):
        open_database(address(proxy.url), process="tests", deadline_seconds=0.2)

    assert [line["event"] for line in lines].count("waiting for PostgreSQL") == 1


def test_a_role_that_does_not_exist_is_refused_with_a_hint(empty_url: str) -> None:
    with pytest.raises(ConnectionRefused, match=r"no_such_role.*python -m database migrate"):
        open_database(address(empty_url), "no_such_role", "tests")  # type: ignore[arg-type]


def test_a_process_is_told_when_all_together_may_open_too_many_connections(empty_url: str) -> None:
    open_database(address(empty_url), process="tests")
    others = [psycopg2.connect(empty_url, application_name=f"switchboard/other/{number}") for number in range(5)]

    with structlog.testing.capture_logs() as lines, connection():
        warn_of_too_many_connections(20)

    for other in others:
        other.close()
    [line] = lines
    assert line["processes"] >= 6
    assert line["wanted"] == line["processes"] * 22 > line["allowed"]


def test_a_closed_database_has_no_connections_left(empty_url: str) -> None:
    open_database(address(empty_url), process="closing")
    close_database()

    with closing(psycopg2.connect(empty_url)) as looking, looking.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'switchboard/closing/%'"
        )
        assert cursor.fetchone() == (0,)


def test_a_test_cannot_reach_beyond_this_machine() -> None:
    with closing(socket.socket()) as outside, pytest.raises(PermissionError, match=r"192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))


def test_a_migrated_database_is_open_and_its_owner_may_arrange(migrated_database: MigratedDatabase) -> None:
    with migrated_database.owner():
        database.execute_sql("CREATE TEMPORARY TABLE arranged (number int)")
        arranged_by = database.execute_sql("SELECT current_user").fetchone()
    with connection():
        acting = database.execute_sql("SELECT current_user").fetchone()

    assert arranged_by != acting or migrated_database.role is None
