"""Migrations: numbered files with SQL to go up and down, run by peewee-migrate's router.

A file is `migrations/NNN_name.py` with two strings, `UP` and `DOWN`. Each runs in a transaction of its own. The
router's own ways are left out where they bite: before it runs anything it replays what was done with Peewee mocked for
the whole process; it takes no lock, so that two processes starting at once collide; and `%` in SQL breaks it.
"""

from __future__ import annotations

import hashlib
import logging
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from peewee import PostgresqlDatabase
from peewee_migrate import Router
from peewee_migrate.migrator import Migrator
from psycopg2.extensions import parse_dsn

from database.errors import MigrationRefused

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
# Any number that every process agrees on.
LOCK_KEY = 0x5377426F
LOCK_WAIT_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.1
# A change that waits for a table would make everybody wait who comes after it: better it fails and is run again.
SESSION = "-c timezone=UTC -c lock_timeout=5s"

log = logging.getLogger(__name__)

Step = Callable[..., None]


class SqlRouter(Router):
    """peewee-migrate's router for files of SQL."""

    def __init__(self, database: PostgresqlDatabase, directory: Path = MIGRATIONS) -> None:
        super().__init__(database, migrate_dir=directory)

    @cached_property
    def migrator(self) -> Migrator:
        """Without the replay: SQL needs to know no earlier models."""
        return Migrator(self.database)

    def read(self, name: str) -> tuple[Step, Step]:
        """How to go up and how to go down.

        Raises:
            MigrationRefused: the file lacks one of them.
        """
        script = runpy.run_path(str(self._file(name)))
        if not script.get("UP", "").strip() or not script.get("DOWN", "").strip():
            raise MigrationRefused(f"Migration {name} needs two strings of SQL, UP and DOWN")
        return _executing(script["UP"]), _executing(script["DOWN"])

    def check(self) -> None:
        """Compare what was done with the files.

        Raises:
            MigrationRefused: the database is ahead of this code, or a file was edited after it ran.
        """
        rows = self.database.execute_sql(f"SELECT name, checksum FROM {self.migrate_table}").fetchall()  # noqa: S608
        if ahead := sorted(name for name, _ in rows if not self._file(name).exists()):
            raise MigrationRefused(
                f"The database is ahead of this code, which does not know {', '.join(ahead)}: "
                "deploy the newer code, or roll back with it"
            )
        if edited := sorted(name for name, checksum in rows if checksum and checksum != self._checksum(name)):
            raise MigrationRefused(f"Edited after it ran: {', '.join(edited)}; write a new migration instead")

    def run_up(self, name: str) -> None:
        """Run one migration and remember what it looked like."""
        with self.database.atomic():
            self.run_one(name, self.migrator, fake=False)
            self.database.execute_sql(
                f"UPDATE {self.migrate_table} SET checksum = %s WHERE name = %s",  # noqa: S608
                (self._checksum(name), name),
            )

    def run_down(self, name: str) -> None:
        """Take one migration back."""
        self.run_one(name, self.migrator, fake=False, downgrade=True)

    def prepare(self) -> None:
        """Make the table of what was done, with our column in it."""
        self.model  # noqa: B018 -- reading it makes the table
        self.database.execute_sql(f"ALTER TABLE {self.migrate_table} ADD COLUMN IF NOT EXISTS checksum text")
        self.notices()  # that both exist already is no news

    def notices(self) -> list[str]:
        """What PostgreSQL remarked since this was last asked."""
        kept: list[str] = self.database.connection().notices
        remarks = [remark.strip() for remark in kept]
        kept.clear()
        return remarks

    def _file(self, name: str) -> Path:
        return Path(self.migrate_dir) / f"{name}.py"

    def _checksum(self, name: str) -> str:
        return hashlib.sha256(self._file(name).read_bytes()).hexdigest()


def migrate(url: str, directory: Path = MIGRATIONS, *, say: Callable[[str], None] = log.info) -> list[str]:
    """Run what was not run yet, each migration in its own transaction, and return the names.

    Raises:
        MigrationRefused: the files and the database do not fit, or another process holds the lock too long.
        psycopg2.Error: a migration failed; it left nothing behind, and those before it stay.
    """
    with _router(url, directory) as router:
        names: list[str] = router.diff
        for name in names:
            began = time.monotonic()
            router.run_up(name)
            for line in [*router.notices(), f"{name} applied in {time.monotonic() - began:.2f} s"]:
                say(line)
        return names


def rollback(url: str, directory: Path = MIGRATIONS, *, say: Callable[[str], None] = log.info) -> str | None:
    """Take the latest migration back and return its name; None when there is none.

    Raises:
        MigrationRefused: the files and the database do not fit.
        psycopg2.Error: it failed and left everything as it was.
    """
    with _router(url, directory) as router:
        if not router.done:
            return None
        name: str = router.done[-1]
        router.run_down(name)
        for line in [*router.notices(), f"{name} rolled back"]:
            say(line)
        return name


def pending(url: str, directory: Path = MIGRATIONS) -> list[str]:
    """What `migrate` would run.

    Raises:
        MigrationRefused: the files and the database do not fit.
    """
    with _router(url, directory) as router:
        names: list[str] = router.diff
        return names


@contextmanager
def _router(url: str, directory: Path) -> Iterator[SqlRouter]:
    parts = parse_dsn(url)
    session = f"{parts.pop('options', '')} {SESSION}".strip()
    name = parts.pop("dbname", None) or parts.get("user", "postgres")
    database = PostgresqlDatabase(name, autoconnect=False, options=session, application_name="migrations", **parts)
    database.connect()
    try:
        with _lock(database):
            router = SqlRouter(database, directory)
            router.prepare()
            router.check()
            yield router
    finally:
        database.close()


@contextmanager
def _lock(database: PostgresqlDatabase) -> Iterator[None]:
    """One process migrates at a time; the lock goes with the connection."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while not _execute(database, "SELECT pg_try_advisory_lock(%s)", LOCK_KEY).fetchone()[0]:
        if time.monotonic() > deadline:
            raise MigrationRefused(f"Another process has been migrating for {LOCK_WAIT_SECONDS:g} s")
        time.sleep(LOOK_EVERY_SECONDS)
    yield


def _execute(database: PostgresqlDatabase, sql: str, *params: object) -> Any:
    return database.execute_sql(sql, params)  # type: ignore[no-untyped-call]


def _executing(sql: str) -> Step:
    def step(_migrator: Migrator, database: PostgresqlDatabase, **_: Any) -> None:
        # Without parameters psycopg2 leaves `%` alone, and one string may hold many statements.
        database.cursor().execute(sql)  # type: ignore[no-untyped-call]

    return step
