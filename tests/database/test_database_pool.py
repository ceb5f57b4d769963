from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg2
import pytest

from database import ConnectionRefused, DatabaseUnavailable, PoolTimeout, connections
from database.connections import Target
from database.pool import ConnectionPool, PoolFigures

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.database.conftest import FaultProxy

QUICK = PoolFigures(max_size=4, min_size=2, acquire_seconds=1.0, idle_seconds=0.2, connect_seconds=0.3)

MakePool = Callable[..., ConnectionPool]


@pytest.fixture
def make_pool(empty_url: str) -> Iterator[MakePool]:
    pools: list[ConnectionPool] = []
    connections.install()

    def make(
        url: str = empty_url,
        figures: PoolFigures = QUICK,
        role: str | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> ConnectionPool:
        pools.append(ConnectionPool(Target(url, "switchboard/tests", role), figures, on_failure))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.01)


def ask(pool: ConnectionPool, sql: str = "SELECT pg_backend_pid()") -> str:
    connection = pool.acquire()
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
            return str(row[0]) if row else ""
    finally:
        pool.release(connection)


def test_the_figures_are_those_of_the_specification() -> None:
    assert PoolFigures() == PoolFigures(
        max_size=20, min_size=5, acquire_seconds=30.0, idle_seconds=30.0, connect_seconds=2.0
    )


def test_five_connections_are_warm_before_anybody_asks(make_pool: MakePool) -> None:
    pool = make_pool(figures=PoolFigures())

    wait_until(lambda: pool.resting == 5)


def test_the_twenty_first_waits_and_is_told_so(make_pool: MakePool) -> None:
    pool = make_pool(figures=replace(PoolFigures(), acquire_seconds=0.2))
    taken = [pool.acquire() for _ in range(20)]

    with pytest.raises(PoolTimeout, match=r"within 0\.2 s: all 20 are in use"):
        pool.acquire()

    for connection in taken:
        pool.release(connection)


def test_who_waits_gets_the_next_that_comes_back(make_pool: MakePool) -> None:
    pool = make_pool()
    taken = [pool.acquire() for _ in range(QUICK.max_size)]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.acquire)

        pool.release(taken[0])

        assert waiting.result(timeout=5) is taken[0]
    for connection in taken:
        pool.release(connection)


def test_connections_at_rest_are_let_go_down_to_the_minimum(make_pool: MakePool) -> None:
    pool = make_pool()
    for connection in [pool.acquire() for _ in range(QUICK.max_size)]:
        pool.release(connection)
    assert pool.resting == QUICK.max_size

    wait_until(lambda: pool.size == QUICK.min_size)

    assert pool.resting == QUICK.min_size


def test_connecting_to_a_frozen_host_ends_in_time(proxy: FaultProxy) -> None:
    connections.install()
    proxy.freeze()
    began = time.monotonic()

    with pytest.raises(psycopg2.OperationalError, match="did not answer within 2 s"):
        Target(proxy.url, "switchboard/tests").connect()

    assert 1.9 < time.monotonic() - began < 3


def test_threads_that_meet_a_frozen_host_wait_side_by_side(make_pool: MakePool, proxy: FaultProxy) -> None:
    proxy.freeze()
    pool = make_pool(proxy.url, replace(QUICK, max_size=8, connect_seconds=1.0))
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        results = [threads.submit(ask, pool) for _ in range(4)]

        failures = [result.exception(timeout=10) for result in results]

    assert all(isinstance(failure, PoolTimeout) for failure in failures)
    assert time.monotonic() - began < 1.5


def test_connecting_is_tried_again_until_the_time_to_acquire_is_over(make_pool: MakePool, proxy: FaultProxy) -> None:
    pool = make_pool(proxy.url)
    proxy.close()
    began = time.monotonic()

    with pytest.raises(PoolTimeout, match=r"within 1 s: .*refused"):
        ask(pool)

    assert 0.4 < time.monotonic() - began < 2


def test_whoever_can_repair_is_called_when_connecting_fails(make_pool: MakePool, proxy: FaultProxy) -> None:
    called = threading.Event()
    proxy.close()

    make_pool(proxy.url, on_failure=called.set)

    assert called.wait(5)


def test_a_refusal_for_good_is_not_waited_for(make_pool: MakePool, postgres: Server) -> None:
    missing = urlsplit(postgres.owner)._replace(path="/no_such_database").geturl()
    pool = make_pool(missing)

    with pytest.raises(ConnectionRefused, match="does not exist"):
        pool.acquire()


def test_a_connection_that_died_at_rest_is_not_handed_out(make_pool: MakePool, proxy: FaultProxy) -> None:
    pool = make_pool(proxy.url, figures=replace(QUICK, idle_seconds=30, trusted_seconds=0.0))
    before = ask(pool)
    proxy.break_connections()

    assert ask(pool) != before


def test_a_connection_in_the_middle_of_a_transaction_is_thrown_away(make_pool: MakePool) -> None:
    pool = make_pool()
    connection = pool.acquire()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")

    pool.release(connection)

    assert connection.closed


def test_a_silent_network_ends_a_query(proxy: FaultProxy) -> None:
    connections.install()
    connection = Target(proxy.url, "switchboard/tests").connect(silence_seconds=0.3)
    proxy.freeze()

    with pytest.raises(psycopg2.OperationalError, match=r"did not answer within 0\.3 s"), connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert connection.closed


def test_a_session_has_its_role_its_clock_and_its_limits(make_pool: MakePool, postgres: Server) -> None:
    postgres.run("DROP ROLE IF EXISTS pool_tests; CREATE ROLE pool_tests NOLOGIN")
    postgres.run(f'GRANT pool_tests TO "{urlsplit(postgres.owner).username}"')
    pool = make_pool(role="pool_tests")

    settings = ask(
        pool,
        "SELECT concat_ws(' ', current_user, current_setting('timezone'), current_setting('statement_timeout'),"
        " current_setting('idle_in_transaction_session_timeout'), current_setting('application_name'))",
    )

    assert settings == "pool_tests UTC 15s 30s switchboard/tests"


def test_a_closed_pool_hands_out_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.close()

    with pytest.raises(DatabaseUnavailable, match="closed"):
        pool.acquire()
