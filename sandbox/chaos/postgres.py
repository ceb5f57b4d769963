"""The embedded PostgreSQL from outside: its processes, and a look at its rows that asks none of our code."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import psycopg2

_SERVING = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s"


class Postgres:
    """The cluster in `data_dir`, whose path must be short enough to hold its socket."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._stalled: list[int] = []

    @property
    def pid(self) -> int | None:
        """The postmaster's, while there is one."""
        try:
            first = (self.data_dir / "postmaster.pid").read_text().splitlines()[0]
            return int(first) if _command(int(first)) else None
        except (OSError, IndexError, ValueError):
            return None

    @property
    def keeper(self) -> int | None:
        """The pid of the process that started it."""
        pid = self.pid
        parent = _parent(pid) if pid is not None else None
        return parent if parent is not None and "database.keeper" in _command(parent) else None

    def stop(self) -> bool:
        """A fast shutdown, as for a restart; the keeper starts it again."""
        return _send(self.pid, signal.SIGINT)

    def crash(self) -> bool:
        """An immediate one, after which it recovers."""
        return _send(self.pid, signal.SIGQUIT)

    def kill_keeper(self) -> bool:
        """PostgreSQL ends with it; a user of it starts another."""
        return _send(self.keeper, signal.SIGKILL)

    def stall(self) -> None:
        """Stop all its processes where they are: connections stay open and nothing answers, as on a disk that hangs."""
        pid = self.pid
        for one in [pid, *_children(pid)] if pid is not None else []:
            self._stop(one)

    def stall_idle(self, *, client: int | None) -> None:
        """Stop those that serve this process and are in no transaction, where they would keep locks from others.

        To be called again for those that are in one, or are new.
        """
        named = f"switchboard/%:{client}"
        with contextlib.suppress(psycopg2.Error):
            found = [pid for (pid,) in self.rows(_SERVING, (named,)) if pid not in self._stalled]
            for pid in found:
                self._stop(pid)
            # Meanwhile one may have begun.
            idle = {pid for (pid,) in self.rows(f"{_SERVING} AND state = 'idle'", (named,))}
            for pid in set(found) - idle:
                self._stalled.remove(pid)
                _send(pid, signal.SIGCONT)

    def go_on(self) -> None:
        """Let everything that was stopped run again."""
        while self._stalled:
            _send(self._stalled.pop(), signal.SIGCONT)

    def _stop(self, pid: int) -> None:
        if _send(pid, signal.SIGSTOP):
            self._stalled.append(pid)

    def rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """What a query finds, as the superuser: row-level security hides nothing.

        Raises:
            psycopg2.Error: PostgreSQL is away.
        """
        connection = psycopg2.connect(host=str(self.data_dir), dbname="switchboard", user="postgres", connect_timeout=5)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())


def _send(pid: int | None, number: signal.Signals) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in running if _parent(one) == pid]


def _parent(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # "pid (name) state parent …"; the name may hold anything.
    return int(status.rpartition(")")[2].split()[1])
