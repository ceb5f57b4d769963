"""A valid request of each kind, to be broken in one place."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import ValidationError

from models.requests import (
    CreateMessage,
    CreateTenant,
    CreateUser,
    CreateWahaSession,
    Request,
    UpdateMessage,
    UpdateTenant,
    UpdateUser,
    UpdateWahaSession,
    explain,
)

ID = uuid.uuid4()
VALID: dict[type[Request], dict[str, Any]] = {
    CreateTenant: {"name": "Acme"},
    CreateUser: {"tenant_id": ID, "email": "ana@example.org", "role": "AGENT"},
    CreateWahaSession: {"tenant_id": ID, "name": "sales-berlin", "server": "main"},
    CreateMessage: {"tenant_id": ID, "session_id": ID, "direction": "outbound", "chat_id": "49151@c.us", "body": "Hi"},
    UpdateTenant: {"name": "Acme"},
    UpdateUser: {"role": "AGENT"},
    UpdateWahaSession: {"name": "sales-berlin"},
    UpdateMessage: {"status": "sent"},
}
TABLES: dict[type[Request], str] = {
    CreateTenant: "tenants",
    UpdateTenant: "tenants",
    CreateUser: "users",
    UpdateUser: "users",
    CreateWahaSession: "waha_sessions",
    UpdateWahaSession: "waha_sessions",
    CreateMessage: "messages",
    UpdateMessage: "messages",
}


def complaints(request: type[Request], **fields: Any) -> list[str]:
    """What is wrong with an otherwise valid request."""
    try:
        request.model_validate(VALID[request] | fields)
    except ValidationError as error:
        return explain(error)
    return []


def named(field: str) -> str:
    """A field as sentences call it."""
    return field.replace("_", " ").capitalize()
