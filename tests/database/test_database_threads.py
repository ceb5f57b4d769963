from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import peewee
import pytest
from pydantic import SecretStr

from database import (
    ConnectionLost,
    DatabaseOnLoop,
    DatabaseUnavailable,
    close_database,
    connection,
    database,
    in_database,
    open_database,
    transaction,
)
from database.embedded import EmbeddedPostgres
from database.pool import PoolFigures
from settings import DatabaseSettings

if TYPE_CHECKING:
    from tests.database.conftest import FaultProxy

request_id: ContextVar[str] = ContextVar("request_id")


class Note(peewee.Model):
    id = peewee.UUIDField(primary_key=True)

    class Meta:
        database = database
        table_name = "notes"


def write(note_id: uuid.UUID) -> None:
    with transaction():
        Note.insert(id=note_id).on_conflict_ignore().execute()


def count_notes() -> int:
    return int(Note.select().count())


@pytest.fixture
def notes(opened: str) -> None:
    with connection():
        database.create_tables([Note])


async def test_an_operation_runs_in_a_thread_with_a_connection(notes: None) -> None:
    await in_database(write, uuid.uuid4())

    assert await in_database(count_notes) == 1


async def test_an_operation_sees_the_context_of_its_caller(notes: None) -> None:
    request_id.set("r-1")

    assert await in_database(request_id.get) == "r-1"


async def test_a_query_on_the_loops_thread_is_refused(notes: None) -> None:
    with pytest.raises(DatabaseOnLoop, match="in_database"), connection():
        pass


async def test_a_query_on_the_loops_thread_is_refused_also_on_an_open_connection(opened: str) -> None:
    def on_a_loop_of_its_own() -> None:
        async def query() -> None:
            database.execute_sql("SELECT 1")

        asyncio.run(query())

    with pytest.raises(DatabaseOnLoop):
        await in_database(on_a_loop_of_its_own)


async def test_an_operation_that_raises_is_not_repeated(notes: None) -> None:
    runs = []

    def fail() -> None:
        runs.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_database(fail)

    assert len(runs) == 1


def end_own_session() -> None:
    database.execute_sql("SELECT pg_terminate_backend(pg_backend_pid())")


async def test_an_operation_is_run_again_when_its_connection_broke(notes: None) -> None:
    note_id, runs = uuid.uuid4(), []

    def write_and_break_once() -> None:
        runs.append(1)
        write(note_id)
        if len(runs) == 1:
            end_own_session()

    await in_database(write_and_break_once)

    assert len(runs) == 2
    assert await in_database(count_notes) == 1


async def test_an_operation_is_given_up_after_four_tries(notes: None) -> None:
    runs = []

    def break_always() -> None:
        runs.append(1)
        end_own_session()

    with pytest.raises(ConnectionLost):
        await in_database(break_always)

    assert len(runs) == 4


async def test_an_operation_that_had_to_give_way_is_run_again(notes: None) -> None:
    runs = []

    def fail_to_serialize_once() -> None:
        runs.append(1)
        if len(runs) == 1:
            database.execute_sql("DO $$ BEGIN RAISE EXCEPTION 'give way' USING ERRCODE = '40001'; END $$")

    await in_database(fail_to_serialize_once)

    assert len(runs) == 2


async def test_a_statement_that_takes_too_long_means_that_the_database_is_away(notes: None) -> None:
    def stalled() -> None:
        with transaction():
            database.execute_sql("SET LOCAL statement_timeout = 50")
            database.execute_sql("SELECT pg_sleep(5)")

    with pytest.raises(DatabaseUnavailable, match="statement timeout"):
        await in_database(stalled)


async def test_as_many_operations_run_at_once_as_there_are_connections(notes: None) -> None:
    together = threading.Barrier(20, timeout=10)

    await asyncio.gather(*(in_database(together.wait) for _ in range(20)))

    assert not together.broken


async def test_a_database_that_was_not_opened_runs_nothing() -> None:
    with pytest.raises(DatabaseUnavailable, match="open_database"):
        await in_database(count_notes)


@pytest.fixture
def frozen_at_will(proxy: FaultProxy) -> Iterator[FaultProxy]:
    figures = PoolFigures(connect_seconds=0.3, silence_seconds=0.3)
    open_database(DatabaseSettings(url=SecretStr(proxy.url)), process="tests", figures=figures)
    with connection():
        database.create_tables([Note])
    yield proxy
    proxy.thaw()
    close_database()


async def test_an_operation_outlives_a_network_that_froze_for_a_while(frozen_at_will: FaultProxy) -> None:
    note_id, runs = uuid.uuid4(), []

    def write_into_a_frozen_network_once() -> None:
        runs.append(1)
        if len(runs) == 1:
            frozen_at_will.freeze()
            threading.Timer(1.0, frozen_at_will.thaw).start()
        write(note_id)

    await asyncio.wait_for(in_database(write_into_a_frozen_network_once), timeout=10)

    assert len(runs) == 2
    assert await in_database(count_notes) == 1


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that a test may kill."""
    with tempfile.TemporaryDirectory(prefix="switchboard-tests-") as directory:
        Path(directory).chmod(0o711)
        server = EmbeddedPostgres(Path(directory) / "postgres", durable=False)
        server.attach()
        yield server
        server.release()
        server.wait_until_stopped()


def server_pid(server: EmbeddedPostgres) -> int:
    return int((server.cluster.data_dir / "postmaster.pid").read_text().splitlines()[0])


def stop_postgresql(server: EmbeddedPostgres) -> None:
    """Its keeper starts it again."""
    os.kill(server_pid(server), signal.SIGINT)


def kill_keeper(server: EmbeddedPostgres) -> None:
    """PostgreSQL goes with it; who fails to connect starts another keeper."""
    parent = int(Path(f"/proc/{server_pid(server)}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)


@pytest.mark.parametrize("interrupt", [stop_postgresql, kill_keeper])
async def test_an_interruption_of_postgresql_costs_each_operation_at_most_one_repetition(
    own_server: EmbeddedPostgres, interrupt: Callable[[EmbeddedPostgres], None]
) -> None:
    await asyncio.to_thread(open_database, DatabaseSettings(data_dir=own_server.cluster.data_dir), None, "tests")
    runs: Counter[uuid.UUID] = Counter()
    stop = threading.Event()

    def write_counted(note_id: uuid.UUID) -> None:
        runs[note_id] += 1
        write(note_id)

    async def keep_writing() -> None:
        while not stop.is_set():
            await in_database(write_counted, uuid.uuid4())

    await in_database(database.create_tables, [Note])
    writers = [asyncio.create_task(keep_writing()) for _ in range(8)]
    await in_database(wait_for_notes, 100)

    await asyncio.to_thread(interrupt, own_server)
    await in_database(wait_for_notes, await in_database(count_notes) + 500)
    stop.set()
    await asyncio.gather(*writers)

    assert await in_database(count_notes) == len(runs)
    assert max(runs.values()) == 2
    await asyncio.to_thread(close_database)


def wait_for_notes(count: int) -> None:
    deadline = time.monotonic() + 30
    while count_notes() < count:
        assert time.monotonic() < deadline, "the writers stand still"
