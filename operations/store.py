from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

import peewee
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
    values = [tuple(getattr(row, column) for column in columns) for row in new]
    # Around Peewee's own way, so its errors have to be asked for.
    with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
        returned = execute_values(database.cursor(), statement, values, page_size=len(values), fetch=True)
    return len(cast("list[Any]", returned))
