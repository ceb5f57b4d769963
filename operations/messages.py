"""Looking at messages."""

from __future__ import annotations

from uuid import UUID

from database import set_tenant
from models import Message, MessageStatus, WahaSession
from operations.errors import BadInput, NotFound

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


def show(tenant_id: UUID, written_id: str) -> Message:
    """The message of that id.

    Raises:
        BadInput: it is no id.
        NotFound: the tenant has none of that id; another tenant's is none.
    """
    set_tenant(tenant_id)
    try:
        message_id = UUID(written_id.strip("`"))
    except ValueError as error:
        raise BadInput("A message's id looks like `0198c2a4-…`; `message list` shows them.") from error
    message = Message.live().where(Message.tenant_id == tenant_id, Message.id == message_id).first()
    if message is None:
        raise NotFound("There is no such message in this tenant; `message list` shows the newest.")
    found: Message = message
    return found
