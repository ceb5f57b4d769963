"""Looking at messages."""

from __future__ import annotations

from uuid import UUID

from database import set_tenant
from models import Message, MessageStatus, WahaSession

PAGE = 10


def latest(tenant_id: UUID, *, status: MessageStatus | None, session: WahaSession | None) -> list[Message]:
    """The newest messages of a tenant, newest first."""
    set_tenant(tenant_id)
    chosen = Message.live().where(Message.tenant_id == tenant_id)
    if status is not None:
        chosen = chosen.where(Message.status == status)
    if session is not None:
        chosen = chosen.where(Message.session_id == session.id)
    return list(chosen.order_by(Message.created_at.desc(), Message.id.desc()).limit(PAGE))
