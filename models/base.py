from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import peewee
from playhouse.postgres_ext import BinaryJSONField, DateTimeTZField

from database import database
from models.ids import uuid7


def now_utc() -> datetime:
    return datetime.now(UTC)


class Timestamp(DateTimeTZField):  # type: ignore[misc]
    """A point in time, aware; a naive one is refused, because the driver would take it as UTC whatever was meant."""

    def db_value(self, value: datetime | None) -> datetime | None:
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"{self.name} needs a time with its zone, not {value!r}.")
        return value


class Stamp(Timestamp):
    """A time that PostgreSQL fills in: the processes' clocks differ, and due times and look-backs compare with these.

    It is not known to the object that `create()` returns; read the row again where it matters.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(constraints=[peewee.SQL("DEFAULT now()")], **options)


class Json(BinaryJSONField):  # type: ignore[misc]
    """jsonb without the GIN index that Peewee would add."""

    def __init__(self, **options: Any) -> None:
        super().__init__(index=False, **options)


class Words(peewee.TextField):
    """Text that holds one word of an enum."""

    def __init__(self, words: type[StrEnum], **options: Any) -> None:
        self.words = words
        super().__init__(**options)

    def db_value(self, value: Any) -> str | None:
        return None if value is None else self.words(value).value

    def python_value(self, value: Any) -> StrEnum | None:
        return None if value is None else self.words(value)


class Model(peewee.Model):
    """Every table has an id made by us and the time of its making."""

    id = peewee.UUIDField(primary_key=True, default=uuid7)
    created_at = Stamp()

    class Meta:
        database = database
        legacy_table_names = False
        only_save_dirty = True


class Kept(Model):
    """A row that people edit and may delete: deleting hides it, and what was deleted together comes back together."""

    updated_at = Stamp()
    deleted_at = Timestamp(null=True)
    deletion_id = peewee.UUIDField(null=True)

    @classmethod
    def live(cls, *fields: Any) -> peewee.ModelSelect[Self]:
        """The rows that are not deleted. A plain `select()` still sees all of them, as joins and updates do."""
        return cls.select(*fields).where(cls.deleted_at.is_null())

    @classmethod
    def find(cls, row_id: Any) -> Self | None:
        found: Self | None = cls.live().where(cls.id == row_id).first()
        return found


class OwnedByTenant(Kept):
    """A row that is deleted and restored with its tenant."""

    tenant_id = peewee.UUIDField()


def belongs_to(column: str, table: str, *, on_delete: str = "CASCADE") -> peewee.SQL:
    """A foreign key over (tenant_id, column), which Peewee has none of: a row can never point at another tenant's."""
    return peewee.SQL(f"FOREIGN KEY (tenant_id, {column}) REFERENCES {table} (tenant_id, id) ON DELETE {on_delete}")


def owned_by_tenant() -> peewee.SQL:
    return peewee.SQL("FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE")


def referred_to() -> peewee.SQL:
    """What `belongs_to` of other tables points at."""
    return peewee.SQL("UNIQUE (tenant_id, id)")
