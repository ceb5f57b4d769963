"""What nobody could send for days: its session was stopped all the while, or WhatsApp let it begin no chat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from database import tenant_transaction, transaction
from models import Message
from operations.delivery import say_failed
from operations.hold_reasons import UNKNOWN
from operations.receipts import show_receipt
from operations.sending import ask_what_became
from operations.sql import changed, rows, value


@dataclass(frozen=True)
class _Outdated:
    tenant_id: UUID
    conversation_id: UUID
    message_id: UUID


def give_up(age: timedelta, limit: int = 50) -> int:
    """Fail what is older, and say so in its thread with the way to send it all the same; how many were found.

    What may have left and cannot be looked up, since its session does not work, is put to a person instead.
    """
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
    reason = f"Given up after {age.total_seconds() / 3600:g} hours."
    if _write(
        one,
        age,
        "send_started_at IS NULL",
        "status = 'failed', error_message = concat_ws(' ', %(why)s, hold_reason), hold_reason = NULL",
        reason,
    ):
        message = Message.get_by_id(one.message_id)
        say_failed(message)
        show_receipt(message)
    elif _write(
        one, age, "send_started_at IS NOT NULL", "parked_at = clock_timestamp(), hold_reason = %(why)s", UNKNOWN
    ):
        ask_what_became(Message.get_by_id(one.message_id))


def _write(one: _Outdated, age: timedelta, where: str, assignments: str, why: str) -> bool:
    """Where it is still as old as it was found: a person may have wanted it sent meanwhile."""
    return bool(
        changed(
            f"UPDATE messages SET {assignments}, updated_at = clock_timestamp() "  # noqa: S608 - words of ours
            f"WHERE id = %(id)s AND tenant_id = %(tenant)s AND status = 'queued' AND parked_at IS NULL AND {where} "
            "AND coalesce(confirmed_at, created_at) <= clock_timestamp() - %(age)s "
            "AND (lease_token IS NULL OR lease_expires_at < clock_timestamp())",
            {"id": one.message_id, "tenant": one.tenant_id, "age": age, "why": why},
        )
    )
