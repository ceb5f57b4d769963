from __future__ import annotations

from typing import Any
from uuid import UUID

from models import AuditEntry, Model


def record(
    actor: str,
    action: str,
    subject: Model | type[Model],
    *,
    tenant_id: UUID | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    source: str = "",
) -> None:
    """Who did what to which row, in the transaction that did it; `before` and `after` hold no secrets and no texts."""
    AuditEntry.create(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        subject_table=subject._meta.table_name,  # noqa: SLF001 - Peewee's documented place
        subject_id=subject.id if isinstance(subject, Model) else None,
        before=before,
        after=after,
        source=source,
    )
