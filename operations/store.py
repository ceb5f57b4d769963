from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

from psycopg2.extras import execute_values

from database import database


def insert_many(table: str, new: Sequence[Any]) -> int:
    """Insert dataclass rows in one statement; those of which any unique column is there already are left out.

    `position` is given in the order of `new`.
    """
    if not new:
        return 0
    columns = [field.name for field in fields(new[0])]
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES %s ON CONFLICT DO NOTHING RETURNING 1"  # noqa: S608 - names of ours
    cursor = database.cursor()
    values = [tuple(getattr(row, column) for column in columns) for row in new]
    return len(cast("list[Any]", execute_values(cursor, statement, values, page_size=len(values), fetch=True)))
