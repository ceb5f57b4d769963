"""PostgreSQL is away when the processes start, and goes away under them: they wait, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import pytest_asyncio

from database.binaries import find_binaries
from database.cluster import Cluster, make_login_and_database, prepare, start
from database.privileges import choose_identity, reachable_binaries
from sandbox.stage import Stage
from sandbox.whatsapp import Phone
from tests.acceptance.acting import Scene, Team, until_logged

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_SECONDS = 30


class OwnServer:
    """A PostgreSQL that can be stopped and started under whoever uses it."""

    def __init__(self, directory: Path) -> None:
        self.cluster = Cluster(directory, durable=False)
        self._identity = choose_identity()
        self._binaries = reachable_binaries(find_binaries(), self._identity)
        self._process: subprocess.Popen[bytes] | None = None
        prepare(self.cluster, self._binaries, self._identity)

    async def start(self) -> None:
        self._process = start(self.cluster, self._binaries, self._identity)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._answers():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """A fast shutdown: whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def rows(self, sql: str, name: str = "switchboard") -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.cluster.url("postgres", name))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []

    def _answers(self) -> bool:
        try:
            return bool(self.rows("SELECT 1", "postgres"))
        except psycopg2.OperationalError:
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    directory = Path(tempfile.mkdtemp(prefix="switchboard-tests-"))
    directory.chmod(0o711)  # where root may only become nobody, nobody has to get through
    server = OwnServer(directory / "postgres")
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, server: OwnServer) -> AsyncIterator[Scene]:
    """Processes that were started before their database."""
    await server.start()
    make_login_and_database(server.cluster)
    server.stop()
    async with Stage(tmp_path_factory.mktemp("postgres"), database_url=server.cluster.url()) as stage:
        await stage.bot.start()
        await stage.daemon.start()
        for process in (stage.bot, stage.daemon):
            await until_logged(process, "waiting for PostgreSQL")
        await server.start()
        await stage.slack.connected(2, seconds=DEADLINE_SECONDS)
        await stage.until_ready()
        yield Scene(stage, partial(server.rows, name="switchboard"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def acme(scene: Scene) -> Team:
    return await scene.found("Acme", "ana", "support", "+4930901820")


@pytest.fixture
def customer(scene: Scene) -> Phone:
    return scene.stage.whatsapp.phone("+4915123456789", name="Carla")


async def test_processes_that_started_first_wait_with_one_line_and_then_work(scene: Scene, acme: Team) -> None:
    for process in (scene.stage.bot, scene.stage.daemon):
        written = process.last_words(2_000)
        assert written.count("waiting for PostgreSQL") == 1
        assert "Traceback" not in written


async def test_after_a_restart_of_postgresql_the_next_message_is_delivered(
    scene: Scene, server: OwnServer, acme: Team, customer: Phone
) -> None:
    root = await scene.written(acme, customer, "Before it")

    server.stop()
    await server.start()

    await customer.write("After it", to=acme.phone)
    scene.reply(acme, root, "We are here.")
    await scene.stage.until(lambda: scene.in_channel("support", "After it"), "the message in #support")
    await scene.arrives_once(acme, customer, "We are here.")
    assert len(scene.in_channel("support", "After it")) == 1


async def test_what_is_written_while_postgresql_is_away_is_kept_once_it_is_back(
    scene: Scene, server: OwnServer, acme: Team, customer: Phone
) -> None:
    root = await scene.written(acme, customer, "Is anybody there?")

    server.stop()
    scene.reply(acme, root, "Typed while it was away.")
    await customer.write("Written while it was away", to=acme.phone)
    await until_logged(scene.stage.bot, "event is not saved")
    await server.start()

    await scene.arrives_once(acme, customer, "Typed while it was away.", seconds=60)
    await scene.stage.until(lambda: scene.in_channel("support", "Written while it was away"), "the message", 60)
    await scene.until_idle()
    assert len(scene.in_channel("support", "Written while it was away")) == 1
    assert [one.copies for one in scene.on_phone(acme, customer, "Typed while it was away.")] == [1]
