"""What the tests of all rooms share: a real PostgreSQL, a migrated database, and no way out of this machine.

PostgreSQL is the embedded one, or the server that SWITCHBOARD_TEST_URL names, whose login has to be a superuser.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import structlog
from pydantic import SecretStr

from database import as_owner, close_database, connection, database, migrations, open_database
from database.embedded import EmbeddedPostgres
from database.opening import Role
from operations.encryption import KeyRing, use_keys
from settings import DatabaseSettings

SERVER_VARIABLE = "SWITCHBOARD_TEST_URL"
# What the processes of a test in this process encrypt with.
TEST_KEY = b"k" * 32


def _refuse_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """Let sockets connect to this machine only. libpq is not Python: SWITCHBOARD_TEST_URL may be elsewhere."""
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    if not host.startswith("127.") and host not in {"::1", "localhost"}:
        raise PermissionError(f"A test tried to connect to {host}; only this machine may be reached")


sys.addaudithook(_refuse_outside)


def pytest_configure(config: pytest.Config) -> None:
    # As the processes log: structlog's own default renders the locals of every frame, which takes a second a trace.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    config.addinivalue_line(
        "markers", "database_role(name): whom migrated_database acts as: switchboard_bot, switchboard_daemon or None"
    )


@dataclass(frozen=True)
class Server:
    """A PostgreSQL for this run; `admin` is a superuser's url, `owner` that of who owns the tests' databases."""

    admin: str
    owner: str

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database and return its owner's url."""
        owner = urlsplit(self.owner)
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER "{owner.username}"')
        return owner._replace(path=f"/{name}").geturl()

    def drop(self, name: str) -> None:
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def run(self, sql: str, name: str = "") -> list[tuple[Any, ...]]:
        """Execute SQL as the superuser, in a database or in the one that `admin` names."""
        url = urlsplit(self.admin)._replace(path=f"/{name}").geturl() if name else self.admin
        with closing(psycopg2.connect(url)) as admin:
            admin.autocommit = True
            with admin.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if url := os.environ.get(SERVER_VARIABLE):
        yield Server(admin=url, owner=url)
        return
    # Not pytest's tmp_path, which keeps the 40 MB of the last three runs.
    directory = Path(tempfile.mkdtemp(prefix="switchboard-tests-"))
    directory.chmod(0o711)  # where root may only become nobody, nobody has to get through
    embedded = EmbeddedPostgres(directory / "postgres", durable=False)
    embedded.attach()
    yield Server(admin=embedded.cluster.url("postgres", "postgres"), owner=embedded.url)
    embedded.release()
    embedded.wait_until_stopped()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def new_database(postgres: Server) -> Iterator[Callable[..., str]]:
    """Make an empty database, or a copy of a template in 0.2 s; all are dropped at the end of the run."""
    numbers = itertools.count()
    made: list[str] = []

    def make(template: str = "template1") -> str:
        made.append(f"switchboard_test_{os.getpid()}_{next(numbers)}")
        return postgres.create(made[-1], template)

    yield make
    for name in reversed(made):
        postgres.drop(name)


@pytest.fixture(scope="session")
def template_database(new_database: Callable[..., str]) -> str:
    """The name of a database with the repository's migrations and no rows."""
    url = new_database()
    migrations.migrate(url)
    return urlsplit(url).path.removeprefix("/")


@dataclass(frozen=True)
class MigratedDatabase:
    """The open database of a test; `url` is for processes of their own."""

    url: str
    role: Role | None

    @property
    def settings(self) -> DatabaseSettings:
        return DatabaseSettings(url=SecretStr(self.url))

    @contextmanager
    def owner(self) -> Iterator[None]:
        """Act as the owner of the tables, to arrange and to look at rows of any tenant."""
        with as_owner(), connection():
            database.execute_sql("SET ROLE NONE")
            try:
                yield
            finally:
                database.execute_sql("RESET ROLE")  # back to the role that the connection was opened with


@pytest.fixture(scope="session")
def _shared_database(new_database: Callable[..., str], template_database: str) -> str:
    return new_database(template_database)


@pytest.fixture
def migrated_database(
    request: pytest.FixtureRequest, postgres: Server, _shared_database: str
) -> Iterator[MigratedDatabase]:
    """Migrated, without rows, and open as the daemon's role unless `database_role` marks another."""
    roles_exist = postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'switchboard_daemon'")
    role: Role | None = "switchboard_daemon" if roles_exist else None
    if marker := request.node.get_closest_marker("database_role"):
        role = marker.args[0]
    _delete_rows(postgres, urlsplit(_shared_database).path.removeprefix("/"))
    migrated = MigratedDatabase(_shared_database, role)
    open_database(migrated.settings, role, "tests")
    use_keys(KeyRing([TEST_KEY]))
    yield migrated
    use_keys(None)
    close_database()


def _delete_rows(postgres: Server, name: str) -> None:
    """1 ms, where TRUNCATE takes 30 and a copy of the template 200. As a replica no foreign key or trigger is asked."""
    tables = postgres.run("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'", name)
    deletes = "".join(f"DELETE FROM {table};" for (table,) in tables if table != "migratehistory")  # noqa: S608 -- names
    postgres.run(f"SET session_replication_role = replica; {deletes}", name)
