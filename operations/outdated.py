"""What nobody could send for days: its session was stopped all the while, or WhatsApp let it begin no chat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from database import tenant_transaction, transaction
from models import Message
from operations.delivery import say_failed
from operations.receipts import show_receipt
from operations.sql import changed, rows, value


@dataclass(frozen=True)
class _Outdated:
    tenant_id: UUID
    conversation_id: UUID
    message_id: UUID


def give_up(age: timedelta, limit: int = 50) -> int:
    """Fail what is older, and say so in its thread with the way to send it all the same; how many were found."""
    with transaction():
        found = rows(_Outdated, "SELECT * FROM outdated_messages(%s, %s)", (limit, age))
    for one in found:
        with tenant_transaction(one.tenant_id):
            _give_up(one, age)
    return len(found)


def _give_up(one: _Outdated, age: timedelta) -> None:
    value(
        "SELECT id FROM conversations WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (one.conversation_id, one.tenant_id),
    )
    failed = changed(
        "UPDATE messages SET status = 'failed', error_message = concat_ws(' ', %s, hold_reason), hold_reason = NULL, "
        "updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s AND status = 'queued' AND parked_at IS NULL "
        "AND send_started_at IS NULL AND (lease_token IS NULL OR lease_expires_at < clock_timestamp())",
        (f"Given up after {age.total_seconds() / 3600:g} hours.", one.message_id, one.tenant_id),
    )
    if failed:
        message = Message.get_by_id(one.message_id)
        show_receipt(message)
        say_failed(message)
