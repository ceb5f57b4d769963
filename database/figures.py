"""How busy this process keeps its connections, for its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from database import threads
from database.errors import DatabaseUnavailable
from database.postgres import database


def pool_figures() -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Name, labels and value of each; none while the database is not open."""
    try:
        pool = database.pool
    except DatabaseUnavailable:
        return
    size, resting = pool.size, pool.resting
    yield "pool_connections", {"state": "in_use"}, max(0, size - resting)
    yield "pool_connections", {"state": "idle"}, resting
    yield "pool_size_max", {}, pool.figures.max_size
    yield "pool_waiting", {}, threads.waiting()
