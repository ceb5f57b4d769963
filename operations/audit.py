"""Who did what to which row, and from where: written in the transaction that did it, and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from models import AuditEntry, Invitation, Model, Tenant, User
from operations.sql import clean, clean_json
from settings.redaction import redacted

_source: ContextVar[str] = ContextVar("source", default="")


@contextmanager
def coming_from(source: str) -> Iterator[None]:
    """Whatever is recorded inside was asked for there.

    A source is a door and its place: `command:T1/C1`, `button:…`, `form:…`, `reply:…`, `page:…`, `job:retention`.
    """
    before = _source.set(source)
    try:
        yield
    finally:
        _source.reset(before)


def record(
    actor: str,
    action: str,
    subject: Model | type[Model],
    *,
    tenant_id: UUID | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    source: str | None = None,
) -> None:
    """Add an entry to the audit, in the running transaction.

    `before` and `after` are for facts; a secret, a text or a customer's number among them is kept as `[hidden]`.
    Without a `source` it is that of the door (`coming_from`).
    """
    AuditEntry.create(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_table=subject._meta.table_name,  # noqa: SLF001 - Peewee's documented place
        subject_id=subject.id if isinstance(subject, Model) else None,
        subject_name=_name_of(subject),
        before=_facts(before),
        after=_facts(after),
        source=_source.get() if source is None else source,
    )


def record_life(actor: str, action: str, tenant: Tenant, *, after: Mapping[str, Any]) -> None:
    """What a tenant begins or ends with: in its own audit, and in that of the installation.

    Operators read it there while the tenant is deleted and nobody can be let into it.
    """
    for tenant_id in (tenant.id, None):
        record(actor, action, tenant, tenant_id=tenant_id, after=after)


def _facts(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if given is None else _plain(redacted(given))


def _plain(found: Any) -> Any:
    """What JSON takes: an id or a word of an enum is written as its text."""
    if isinstance(found, dict):
        return {str(key): _plain(inner) for key, inner in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(inner) for inner in found]
    return clean_json(found) if found is None or isinstance(found, bool | int | float | str) else clean(str(found))


# What a row is called among colleagues. A customer's row has no name here: the audit outlives its erasure.
_NAMES = {
    "tenants": "name",
    "waha_sessions": "name",
    "channel_routes": "slack_channel_name",
    "report_schedules": "name",
    "templates": "name",
}


def _name_of(subject: Model | type[Model]) -> str:
    if not isinstance(subject, Model):
        return ""
    if isinstance(subject, User | Invitation):
        return clean(f"{subject.first_name} {subject.last_name}".strip() or subject.email or "")
    column = _NAMES.get(subject._meta.table_name)  # noqa: SLF001 - Peewee's documented place
    return clean(str(getattr(subject, column) or "")) if column else ""
