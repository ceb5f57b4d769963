"""Locks on files, which the kernel takes back however their holder ends."""

from __future__ import annotations

import fcntl
from enum import Enum
from typing import IO


class Lock(Enum):
    """Any number of holders may share a lock; an exclusive one has a single holder."""

    SHARED = fcntl.LOCK_SH
    EXCLUSIVE = fcntl.LOCK_EX


def try_lock(file: IO[str], kind: Lock) -> bool:
    """Take a lock if it is free, without waiting; it is given back when `file` is closed.

    Asking again for what this file holds already changes nothing.
    """
    try:
        fcntl.flock(file.fileno(), kind.value | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
