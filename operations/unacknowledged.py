"""Messages that WAHA took and WhatsApp has not confirmed: asked for, sent once more under the same id, then given up.

GOWS answers a send when WhatsApp has the message. NOWEB and WEBJS answer at once, and what they took may stay with them
for ever; WAHA's own people advise to wait a minute for the first acknowledgement and then to send once more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from database import tenant_transaction, transaction
from models import Message
from operations.buttons import Act
from operations.receipts import show_receipt
from operations.saying import excerpt_of, lock_thread_of, say_in_thread
from operations.sql import changed, rows
from waha.acks import Receipt

UNCONFIRMED: Final = "WhatsApp has not confirmed it."
_FREE: Final = "lease_token = NULL, lease_expires_at = NULL"

# Later than `sent` in every way; a message that is read was delivered.
_REACHED: Final = {
    "sent": "status = 'sent'",
    "delivered": "status = 'delivered', delivered_at = clock_timestamp()",
    "read": "status = 'delivered', delivered_at = clock_timestamp(), read_at = clock_timestamp()",
}


@dataclass(frozen=True)
class Unacknowledged:
    """A message that is ours to ask for until the lease ends. `is_resent`: it went a second time already."""

    message_id: UUID
    tenant_id: UUID
    session_id: UUID
    lease_token: UUID
    external_session_id: str
    server: str
    engine: str
    ids_refused: bool
    chat_id: str
    body: str
    waha_message_id: str
    is_resent: bool


def lease(
    limit: int, *, wait: timedelta, lease: timedelta, servers: Collection[str] | None = None
) -> list[Unacknowledged]:
    """Messages of sessions that work, without a word from WhatsApp for as long as `wait`."""
    with transaction():
        names = None if servers is None else list(servers)
        return rows(Unacknowledged, "SELECT * FROM lease_unacknowledged(%s, %s, %s, %s)", (limit, wait, lease, names))


def begin_again(one: Unacknowledged, call: timedelta) -> bool:
    """Mark that it goes a second time, before it does, so that no crash makes it a third; False: it must not go."""
    with tenant_transaction(one.tenant_id):
        return not one.is_resent and _write(
            one, "resent_at = clock_timestamp(), awaits_ack_since = clock_timestamp()", needs=call
        )


def record_reached(one: Unacknowledged, receipt: Receipt) -> bool:
    """WhatsApp has it after all: `sent`, `delivered` or `read`."""
    with tenant_transaction(one.tenant_id):
        reached = _write(one, f"{_REACHED[receipt]}, awaits_ack_since = NULL, id_confirmed = true, {_FREE}")
        if reached:
            show_receipt(Message.get_by_id(one.message_id))
        return reached


def record_waiting(one: Unacknowledged) -> bool:
    """It could not be told, or it has just gone again: it is asked for anew when it has waited as long once more."""
    with tenant_transaction(one.tenant_id):
        return _write(one, f"awaits_ack_since = clock_timestamp(), {_FREE}")


def record_unconfirmed(one: Unacknowledged) -> bool:
    """People decide. The message goes on to `delivered` by itself where WhatsApp's word comes late."""
    with tenant_transaction(one.tenant_id):
        lock_thread_of(one.message_id, one.tenant_id)
        given_up = _write(one, f"status = 'failed', error_message = %(why)s, {_FREE}", why=UNCONFIRMED)
        if given_up:
            message: Message = Message.get_by_id(one.message_id)
            text = (
                f"❌ Not confirmed: “{excerpt_of(message)}”. WAHA took it, and WhatsApp has not confirmed it since. It "
                "may still arrive: look on the phone before you send it again."
            )
            say_in_thread(message, text, Act.SEND_AGAIN, Act.EDIT, Act.DISCARD)
            show_receipt(message)
        return given_up


def _write(one: Unacknowledged, assignments: str, **named: object) -> bool:
    """Where the lease is still ours and nobody has heard of the message meanwhile."""
    return bool(
        changed(
            f"UPDATE messages SET {assignments}, updated_at = clock_timestamp() "  # noqa: S608 - words of ours
            "WHERE id = %(id)s AND tenant_id = %(tenant)s AND lease_token = %(token)s AND status = 'sent' "
            "AND awaits_ack_since IS NOT NULL AND lease_expires_at > clock_timestamp() + %(needs)s",
            {"id": one.message_id, "tenant": one.tenant_id, "token": one.lease_token, "needs": timedelta(0)} | named,
        )
    )
