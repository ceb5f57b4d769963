"""Hot statements are SQL: a row through a Peewee model costs up to a millisecond of Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import peewee

from database import database
from models import Model

Row = TypeVar("Row")
Entity = TypeVar("Entity", bound=Model)
Parameters = Sequence[Any] | Mapping[str, Any]


def rows(kind: type[Row], sql: str, parameters: Parameters = ()) -> list[Row]:
    """The result as objects of a dataclass whose fields are named like the columns."""
    cursor = database.execute_sql(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [kind(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def first(kind: type[Row], sql: str, parameters: Parameters = ()) -> Row | None:
    found = rows(kind, sql, parameters)
    return found[0] if found else None


def entities(kind: type[Entity], sql: str, parameters: Parameters = ()) -> list[Entity]:
    """The result as models, from a statement that names the columns or takes them all.

    As `select()` gives them, at a fifth of the price: Peewee spends more on writing a statement than on running it.
    """
    cursor = database.execute_sql(sql, parameters)
    # A column that only a newer version knows is left alone: daemons are replaced one after another.
    fields = [kind._meta.columns.get(column[0]) for column in cursor.description]  # noqa: SLF001 - Peewee's own way
    return [_entity(kind, fields, row) for row in cursor.fetchall()]


def _entity(kind: type[Entity], fields: Sequence[Any], row: Sequence[Any]) -> Entity:
    values = {field.name: field.python_value(cell) for field, cell in zip(fields, row, strict=True) if field}
    found = kind(__no_default__=True, **values)
    found.dirty_fields.clear()
    return found


def entity(kind: type[Entity], sql: str, parameters: Parameters = ()) -> Entity | None:
    found = entities(kind, sql, parameters)
    return found[0] if found else None


def value(sql: str, parameters: Parameters = ()) -> Any:
    """The first column of the first row, or None."""
    row = database.execute_sql(sql, parameters).fetchone()
    return row[0] if row else None


def changed(sql: str, parameters: Parameters = ()) -> int:
    """How many rows a statement wrote."""
    return cast("int", database.execute_sql(sql, parameters).rowcount)


def locked(query: peewee.ModelSelect[Entity], strength: str = "FOR NO KEY UPDATE") -> peewee.ModelSelect[Entity]:
    """Lock the rows that a query finds; an insert that refers to one of them by a foreign key goes on."""
    return query.for_update(cast("bool", strength))  # Peewee takes the words too, its stubs do not


def lock(name: str) -> None:
    """Take turns, until the end of the transaction, with whoever names the same thing."""
    value("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", (name,))


def try_lock(name: str) -> bool:
    """Keep everybody else out until the end of the transaction; False when somebody is in already."""
    return bool(value("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 2))", (name,)))


def try_share(name: str) -> bool:
    """Keep those out who `lock` the same thing until the end of the transaction; False when one is in already."""
    return bool(value("SELECT pg_try_advisory_xact_lock_shared(hashtextextended(%s, 2))", (name,)))


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
