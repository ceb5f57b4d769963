from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from database import transaction
from models import uuid7
from operations.encryption import KeyRing
from operations.sql import changed, first, rows


@dataclass(frozen=True)
class _Key:
    id: UUID
    webhook_hmac_key: str | None


@dataclass(frozen=True)
class ServerView:
    """What is last known of a server."""

    name: str
    state: str
    error_message: str | None
    version: str | None
    engine: str | None


def webhook_key(server: str, ring: KeyRing) -> str:
    """The HMAC key of a server's webhooks, made once and kept encrypted."""
    with transaction():
        changed("INSERT INTO waha_servers (id, name) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING", (uuid7(), server))
        row = first(_Key, "SELECT id, webhook_hmac_key FROM waha_servers WHERE name = %s FOR UPDATE", (server,))
        if row is None:
            raise LookupError(server)
        if row.webhook_hmac_key is not None:
            place = {"table": "waha_servers", "column": "webhook_hmac_key", "row": row.id}
            return ring.decrypt(row.webhook_hmac_key, **place).decode()  # type: ignore[arg-type]
        key = secrets.token_hex(32)
        sealed = ring.encrypt(key.encode(), table="waha_servers", column="webhook_hmac_key", row=row.id)
        changed("UPDATE waha_servers SET webhook_hmac_key = %s WHERE id = %s", (sealed, row.id))
        return key


def views(names: Iterable[str]) -> dict[str, ServerView]:
    found = rows(
        ServerView,
        "SELECT name, state, error_message, version, engine FROM waha_servers WHERE name = ANY (%s)",
        (list(names),),
    )
    return {one.name: one for one in found}
