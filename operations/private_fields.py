"""JSON fields that a tenant may have encrypted as wholes: those of which no statement reads a part."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from models import Tenant
from models.tenant_settings import ENCRYPTABLE, TenantSettings
from operations.envelopes import is_sealed, opened_json, sealed_json


def stored(value: Any, *, tenant_id: UUID, table: str, column: str, row: UUID) -> Any:
    """What a column of `ENCRYPTABLE` is to hold of a value, in the tenant's transaction.

    PostgreSQL refuses the plain value where the tenant wants it encrypted. What looks as if it were sealed is sealed.
    """
    name = f"{table}.{column}"
    if name not in ENCRYPTABLE:
        raise ValueError(f"{name} is no field that can be encrypted as a whole.")
    if not value or not (is_sealed(value) or name in _wanted(tenant_id)):
        return value
    return sealed_json(value, table=table, column=column, row=row)


def opened(kept: Any, *, table: str, column: str, row: UUID) -> Any:
    """The value that was stored, encrypted or not.

    Raises:
        CannotDecrypt: none of the keys opens it.
    """
    return opened_json(kept, table=table, column=column, row=row)


def _wanted(tenant_id: UUID) -> tuple[str, ...]:
    tenant = Tenant.select(Tenant.settings).where(Tenant.id == tenant_id).first()
    return TenantSettings.of(tenant.settings).encrypted_fields if tenant is not None else ()
