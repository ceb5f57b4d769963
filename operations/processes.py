"""Which bots and daemons run: each writes now and then that it does, and what it alone knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import transaction
from models import ProcessKind
from operations.sql import changed, rows
from settings.version import VERSION

BEAT_SECONDS = 10.0
# Missed by several beats; whoever is not heard of for so long does not run, or hangs.
ALIVE_WITHIN = timedelta(seconds=45)
_TAKEN_OVER_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Running:
    """A process as it told of itself; `age` is how long ago."""

    kind: str
    name: str
    version: str
    roles: list[str]
    facts: dict[str, Any] = field(hash=False)
    age: timedelta
    up: timedelta


def beat(
    process_id: UUID, kind: ProcessKind, name: str, *, roles: Sequence[str] = (), facts: Mapping[str, Any] | None = None
) -> None:
    """Say that this process runs. Its row is that of one that ended long ago, or a new one."""
    row = {
        "id": process_id,
        "kind": kind.value,
        "name": name,
        "version": VERSION,
        "roles": Json(list(roles)),
        "facts": Json(dict(facts or {})),
        "gone": _TAKEN_OVER_AFTER,
    }
    with transaction():
        if not changed("UPDATE processes SET facts = %(facts)s, seen_at = clock_timestamp() WHERE id = %(id)s", row):
            changed(_TAKE_OVER, row) or changed(_ADD, row)


_TAKE_OVER = """
    UPDATE processes SET id = %(id)s, kind = %(kind)s, name = %(name)s, version = %(version)s, roles = %(roles)s,
        facts = %(facts)s, started_at = clock_timestamp(), seen_at = clock_timestamp()
    WHERE id = (SELECT id FROM processes WHERE seen_at < clock_timestamp() - %(gone)s
                ORDER BY seen_at LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
_ADD = """
    INSERT INTO processes (id, kind, name, version, roles, facts)
    VALUES (%(id)s, %(kind)s, %(name)s, %(version)s, %(roles)s, %(facts)s) ON CONFLICT (id) DO NOTHING
"""


def running() -> list[Running]:
    """Those that were heard of lately, the oldest first."""
    with transaction():
        return rows(
            Running,
            "SELECT kind, name, version, roles, facts, clock_timestamp() - seen_at AS age, "
            "clock_timestamp() - started_at AS up FROM processes "
            "WHERE seen_at > clock_timestamp() - %s ORDER BY started_at",
            (ALIVE_WITHIN,),
        )


def end(process_id: UUID) -> None:
    """This process stops: nobody waits to see whether it comes back."""
    with transaction():
        changed("UPDATE processes SET seen_at = 'epoch' WHERE id = %s", (process_id,))
