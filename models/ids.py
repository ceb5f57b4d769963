from __future__ import annotations

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A version 7 UUID (RFC 9562): rows made one after another lie beside each other in an index.

    Made here because PostgreSQL has `uuidv7()` from 18 on only, and because an operation that may be repeated takes its
    ids from outside. Never an order: two processes' clocks differ.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
