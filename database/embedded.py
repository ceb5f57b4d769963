"""Using the embedded PostgreSQL: hold the lock that keeps it alive, and see to it that it has a keeper."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

import psycopg2
import structlog

from database.cluster import Cluster
from database.errors import EmbeddedPostgresFailed
from database.filelock import Lock, try_lock

START_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.05
LARGEST_LOG_BYTES = 10_000_000

log = structlog.stdlib.get_logger(__name__)


class EmbeddedPostgres:
    """One process's hold on the PostgreSQL in a directory; any number of processes may have one."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.cluster = Cluster(data_dir.resolve(), durable=durable)
        self._users: TextIO | None = None

    @property
    def url(self) -> str:
        """As the plain role `switchboard`, which owns the database of the same name and is no superuser."""
        return self.cluster.url()

    def attach(self, timeout_seconds: float = START_SECONDS) -> str:
        """Start PostgreSQL if it does not run, wait until it answers, and return its url.

        Raises:
            EmbeddedPostgresFailed: it cannot be started; the sentence says why and what to do.
        """
        began = time.monotonic()
        self.cluster.data_dir.parent.mkdir(parents=True, exist_ok=True)
        started = False
        while not self._is_held() or not self._is_kept() or not self._answers():
            if not started:
                log.info("starting the embedded PostgreSQL", data_dir=str(self.cluster.data_dir))
            elif not self._is_kept() and self.cluster.failure_file.exists():
                raise EmbeddedPostgresFailed(self.cluster.failure_file.read_text(encoding="utf-8"))
            if time.monotonic() - began > timeout_seconds:
                raise EmbeddedPostgresFailed(
                    f"The embedded PostgreSQL was not ready within {timeout_seconds:g} s; see {self.cluster.log_file}"
                )
            self.ensure()
            started = True
            time.sleep(LOOK_EVERY_SECONDS)
        log.info("embedded PostgreSQL is ready", seconds=round(time.monotonic() - began, 2))
        return self.url

    def ensure(self) -> None:
        """Start a keeper if there is none, without waiting for PostgreSQL; for whoever failed to connect."""
        if self._is_held() and not self._is_kept():
            self._start_keeper()

    def release(self) -> None:
        """Give up the hold; PostgreSQL stops when this was the last."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def wait_until_stopped(self, timeout_seconds: float = START_SECONDS) -> bool:
        """Whether the keeper ended in time; it does once everybody has released."""
        deadline = time.monotonic() + timeout_seconds
        while (kept := self._is_kept()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_SECONDS)
        return not kept

    def _is_held(self) -> bool:
        """Whether we hold the users' lock; a keeper that is just stopping denies it for a moment."""
        if self._users is None:
            self._users = self.cluster.users_file.open("a")
        return try_lock(self._users, Lock.SHARED)

    def _is_kept(self) -> bool:
        with self.cluster.keeper_file.open("a") as keepers:
            return not try_lock(keepers, Lock.SHARED)

    def _answers(self) -> bool:
        try:
            connection = psycopg2.connect(self.url, connect_timeout=2)
        except psycopg2.OperationalError:
            return False
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            return False
        finally:
            connection.close()
        return True

    def _start_keeper(self) -> None:
        _keep_log_small(self.cluster.log_file)
        command = [sys.executable, "-m", "database.keeper", str(self.cluster.data_dir)]
        if not self.cluster.durable:
            command.append("--not-durable")
        with self.cluster.log_file.open("ab") as output:
            subprocess.run(  # noqa: S603 -- ourselves
                command,
                cwd=Path(__file__).resolve().parent.parent,
                env={"PATH": os.defpath},  # it lives long and needs none of our secrets
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=False,
            )


def attach(data_dir: Path, *, durable: bool = True) -> EmbeddedPostgres:
    """Attach to the PostgreSQL in `data_dir`, which is started if need be; keep what is returned to keep it running."""
    postgres = EmbeddedPostgres(data_dir, durable=durable)
    postgres.attach()
    return postgres


def _keep_log_small(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > LARGEST_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
