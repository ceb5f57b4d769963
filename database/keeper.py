"""The keeper: a small process that owns the embedded PostgreSQL for as long as anybody uses it.

    python -m database.keeper DATA_DIR [--not-durable]

Every user (bot, daemon, a test run) holds a shared lock on a file beside the data directory. The keeper stops
PostgreSQL and itself once it gets that lock exclusively: then nobody is left, however they went. So a bot or a daemon
that is killed never takes the database away. When the keeper is killed, PostgreSQL stops with it (on Linux), and
whoever finds it gone starts another keeper, which takes over.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2

from database.binaries import find_binaries
from database.cluster import Cluster, make_login_and_database, prepare, start
from database.errors import EmbeddedPostgresFailed
from database.filelock import Lock, try_lock
from database.privileges import choose_identity, reachable_binaries

LOOK_EVERY_SECONDS = 0.2
STOP_SECONDS = 30.0
# A PostgreSQL that ends sooner than this after its start has failed to start.
SHORT_LIFE_SECONDS = 5.0
STARTS_IN_A_ROW = 5

log = logging.getLogger("keeper")


class Keeper:
    """Starts PostgreSQL again when it ends while it is still used."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.identity = choose_identity()
        self.binaries = reachable_binaries(find_binaries(), self.identity)
        self.users = cluster.users_file.open("a")
        self.told_to_stop = False

    def keep(self) -> None:
        """Run PostgreSQL until nobody uses it.

        Raises:
            EmbeddedPostgresFailed: it cannot be made, or does not stay up.
        """
        end_orphan(self.cluster)
        prepare(self.cluster, self.binaries, self.identity)
        failures = 0
        while not self._is_over():
            started = time.monotonic()
            self._run_once()
            if self._is_over():
                return
            failures = failures + 1 if time.monotonic() - started < SHORT_LIFE_SECONDS else 0
            if failures == STARTS_IN_A_ROW:
                raise EmbeddedPostgresFailed(f"PostgreSQL does not stay up; the reason is in {self.cluster.log_file}")
            log.warning("PostgreSQL ended while it was in use, starting it again")
            time.sleep(LOOK_EVERY_SECONDS * failures)

    def stop(self, *_: object) -> None:
        """For SIGTERM: the machine goes down, or an operator wants it."""
        self.told_to_stop = True

    def _run_once(self) -> None:
        server = start(self.cluster, self.binaries, self.identity)
        log.info("started PostgreSQL %d, pid %d, as %s", self.binaries.major_version, server.pid, self.identity.value)
        prepared = False
        while server.poll() is None and not self._is_over():
            prepared = prepared or self._prepared()
            time.sleep(LOOK_EVERY_SECONDS if prepared else LOOK_EVERY_SECONDS / 10)
        end(server)

    def _prepared(self) -> bool:
        try:
            make_login_and_database(self.cluster)
        except psycopg2.OperationalError:  # still starting
            return False
        return True

    def _is_over(self) -> bool:
        return self.told_to_stop or try_lock(self.users, Lock.EXCLUSIVE)


def end(server: subprocess.Popen[bytes]) -> None:
    """Shut down fast, which breaks connections off; if that takes too long at once, which the next start repairs."""
    for how in (signal.SIGINT, signal.SIGQUIT):
        if server.poll() is None:
            server.send_signal(how)
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("PostgreSQL did not stop within %d s", STOP_SECONDS)
    log.info("PostgreSQL has stopped")


def end_orphan(cluster: Cluster) -> None:
    """End the PostgreSQL of a keeper that was killed, if it still runs: two on one directory are impossible."""
    pid = _running_server(cluster)
    deadline = time.monotonic() + STOP_SECONDS
    while pid and pid == _running_server(cluster):
        os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGQUIT)
        time.sleep(LOOK_EVERY_SECONDS / 2)


def _running_server(cluster: Cluster) -> int | None:
    """PostgreSQL's process id, if the process that bears it now is a PostgreSQL on this directory."""
    try:
        pid = int((cluster.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return pid if str(cluster.data_dir) in _command_of(pid) else None


def _command_of(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- a number
    return answer.stdout


def main(arguments: list[str]) -> int:
    """Become the keeper in the background unless there is one."""
    parser = argparse.ArgumentParser(prog="python -m database.keeper", description="Keep the embedded PostgreSQL.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--not-durable", action="store_true", help="for tests: fast, and lost with the machine")
    options = parser.parse_args(arguments)
    cluster = Cluster(options.data_dir.resolve(), durable=not options.not_durable)
    with cluster.keeper_file.open("a") as keepers:
        # The child inherits the lock. Its parent ends here, so that nobody has to wait for the keeper's end.
        if not try_lock(keepers, Lock.EXCLUSIVE) or os.fork():
            return 0
        return _work(cluster)


def _work(cluster: Cluster) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper: %(message)s")
    cluster.failure_file.unlink(missing_ok=True)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        keeper = Keeper(cluster)
        signal.signal(signal.SIGTERM, keeper.stop)
        signal.signal(signal.SIGINT, keeper.stop)
        keeper.keep()
    except EmbeddedPostgresFailed as failure:
        log.error("%s", failure)  # noqa: TRY400 -- the sentence says it all
        cluster.failure_file.write_text(str(failure), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
