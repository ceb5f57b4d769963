"""Where a process of ours may die: passages with names of their own, traced, and fatal when it was asked for.

Runs inside the bot and the daemon. Two files say what happens, named by the environment:

- CRASHING_TRACE: each passage appends its name.
- CRASHING_ORDER: while it exists it holds `FATE NUMBER NAME`, and the NUMBER-th passage of NAME meets its FATE, once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from enum import StrEnum
from pathlib import Path

TRACE, ORDER = "CRASHING_TRACE", "CRASHING_ORDER"


class Fate(StrEnum):
    """What is to happen at a passage."""

    KILL = "kill"
    LOSE = "lose"  # the answer to a COMMIT, with the connection


class Passages:
    """The passages of this process; threads and the event loop go through them at the same time."""

    def __init__(self, trace: Path, order: Path) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._order = order
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._known = ""

    def passed(self, name: str) -> bool:
        """Leave a trace, and die here if that was asked for; True when the answer is to be lost instead."""
        os.write(self._trace, f"{name}\n".encode())
        with self._lock:
            fate = self._fate_of(name)
        if fate is Fate.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        return fate is Fate.LOSE

    def _fate_of(self, name: str) -> Fate | None:
        try:
            order = self._order.read_text()
        except FileNotFoundError:
            return None
        if order != self._known:
            self._known, self._seen = order, Counter()
        fate, number, wanted = order.split(" ", 2)
        self._seen[name] += 1
        if name != wanted or self._seen[name] != int(number):
            return None
        # Carried out: whoever gave it sees that, and the next process does not meet the same fate.
        self._order.unlink()
        return Fate(fate)
