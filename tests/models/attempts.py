from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import cursor


@contextmanager
def attempt(acting: cursor) -> Iterator[None]:
    """Undo what happens inside. What PostgreSQL refuses would otherwise end the whole transaction."""
    acting.execute("SAVEPOINT attempt")
    try:
        yield
    finally:
        acting.execute("ROLLBACK TO SAVEPOINT attempt")
