"""Hot statements are SQL: a row through a Peewee model costs up to a millisecond of Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from database import database

Row = TypeVar("Row")
Parameters = Sequence[Any] | Mapping[str, Any]


def rows(kind: type[Row], sql: str, parameters: Parameters = ()) -> list[Row]:
    """The result as objects of a dataclass whose fields are named like the columns."""
    cursor = database.execute_sql(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [kind(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def first(kind: type[Row], sql: str, parameters: Parameters = ()) -> Row | None:
    found = rows(kind, sql, parameters)
    return found[0] if found else None


def value(sql: str, parameters: Parameters = ()) -> Any:
    """The first column of the first row, or None."""
    row = database.execute_sql(sql, parameters).fetchone()
    return row[0] if row else None


def changed(sql: str, parameters: Parameters = ()) -> int:
    """How many rows a statement wrote."""
    return cast("int", database.execute_sql(sql, parameters).rowcount)


def database_now() -> datetime:
    """PostgreSQL's clock: the daemons' own differ."""
    return cast("datetime", value("SELECT clock_timestamp()"))


def clean(text: str) -> str:
    r"""Text as a column takes it: PostgreSQL refuses \u0000, and half of a surrogate pair is no character."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def clean_json(found: Any) -> Any:
    """`clean` for all text in a JSON value."""
    if isinstance(found, str):
        return clean(found)
    if isinstance(found, dict):
        return {clean(str(key)): clean_json(inner) for key, inner in found.items()}
    if isinstance(found, list | tuple):
        return [clean_json(inner) for inner in found]
    return found
