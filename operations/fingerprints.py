"""What may be recognised and not be known: a chat id under a secret of the installation's own."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models import uuid7
from operations.encryption import seal, unseal
from operations.sql import changed, first, value

_ERASURES = "erasures"


@dataclass(frozen=True)
class _Key:
    id: UUID
    sealed_key: str


def remember_erased(tenant_id: UUID, chat_ids: Collection[str]) -> None:
    """What was written in these chats until now stays away from now on. The tenant is set."""
    for fingerprint in _fingerprints(tenant_id, chat_ids):
        changed(
            "INSERT INTO erasures (id, tenant_id, fingerprint, created_at) VALUES (%s, %s, %s, clock_timestamp())",
            (uuid7(), tenant_id, fingerprint),
        )


def newest_erasure(tenant_id: UUID) -> datetime | None:
    """When the tenant last erased somebody: what was written later needs no further look."""
    found: datetime | None = value("SELECT max(created_at) FROM erasures WHERE tenant_id = %s", (tenant_id,))
    return found


def was_erased(tenant_id: UUID, chat_ids: Collection[str], written_at: datetime) -> bool:
    """Whether one of these chats was erased after that. WhatsApp's clock counts whole seconds."""
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM erasures WHERE tenant_id = %s AND fingerprint = ANY (%s) "
            "AND date_trunc('second', created_at) > %s)",
            (tenant_id, _fingerprints(tenant_id, chat_ids), written_at),
        )
    )


def _fingerprints(tenant_id: UUID, chat_ids: Collection[str]) -> list[str]:
    """The same chat has another one in each tenant."""
    key = _key()
    return [
        hmac.new(key, f"{tenant_id}/{chat_id}".encode(), hashlib.sha256).hexdigest() for chat_id in sorted(chat_ids)
    ]


def _key() -> bytes:
    """Made once and kept encrypted; a change of the encryption keys leaves it as it is."""
    found = _kept_key()
    if found is None:
        new_id = uuid7()
        sealed = seal(secrets.token_hex(32), table="fingerprint_keys", column="sealed_key", row=new_id)
        changed(
            "INSERT INTO fingerprint_keys (id, purpose, sealed_key) VALUES (%s, %s, %s) "
            "ON CONFLICT (purpose) DO NOTHING",
            (new_id, _ERASURES, sealed),
        )
        found = _kept_key()
    if found is None:
        raise LookupError("The key of fingerprints is gone.")
    return unseal(found.sealed_key, table="fingerprint_keys", column="sealed_key", row=found.id).encode()


def _kept_key() -> _Key | None:
    return first(_Key, "SELECT id, sealed_key FROM fingerprint_keys WHERE purpose = %s", (_ERASURES,))
