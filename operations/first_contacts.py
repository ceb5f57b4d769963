"""By which chat id WhatsApp knows a number that never wrote, asked once before the first message.

Brazil, Mexico and Argentina have numbers that are written in two ways, of which a message reaches one; to the other it
is taken and vanishes. Asking for many numbers is itself suspicious: answers are kept, and a question comes only with a
first message, of which there are few a day and one at a time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from database import tenant_transaction
from models import WahaSession, now_utc
from operations import conversations, sending
from operations.conversations import Customer, number_of
from operations.sending import Leased
from operations.sql import changed
from waha.chat_ids import digits_of, from_jid, kind_of
from waha.payloads import NumberCheck

# WAHA's own apps for such numbers keep an answer for 31 days; somebody who has no WhatsApp may get it tomorrow.
_YES_HOLDS: Final = timedelta(days=30)
_NO_HOLDS: Final = timedelta(days=1)

NOT_ON_WHATSAPP: Final = (
    "This number is not on WhatsApp. Check it with its country code; who is not there cannot be written to."
)


def number_to_ask_for(leased: Leased, *, now: datetime | None = None) -> str | None:
    """The digits that WhatsApp has to be asked for; None where it was, or where there is nothing to ask."""
    digits = digits_of(leased.chat_id)
    if not leased.is_new_contact or digits is None:
        return None
    holds = _YES_HOLDS if leased.known_as is not None else _NO_HOLDS
    is_known = leased.checked_at is not None and (now or now_utc()) - leased.checked_at < holds
    return None if is_known else digits


def is_known_to_be_nobody(leased: Leased) -> bool:
    """Whether WhatsApp answered lately that it knows no such number."""
    return leased.is_new_contact and leased.checked_at is not None and leased.known_as is None


def record_answer(leased: Leased, answer: NumberCheck) -> str | None:
    """The chat id to write to. None: there is none, or the message comes again in a conversation that has it."""
    if answer.exists:
        return _record_found(leased, answer)
    with tenant_transaction(leased.tenant_id):
        _remember(leased, (leased.chat_id,), None)
    record_nobody(leased)
    return None


def record_nobody(leased: Leased) -> bool:
    """Fail the message, and say so: sent to such a number it would be taken and vanish. It was no new contact."""
    with tenant_transaction(leased.tenant_id):
        changed(
            "UPDATE conversations SET begun_at = NULL WHERE id = %s AND tenant_id = %s AND last_inbound_at IS NULL",
            (leased.conversation_id, leased.tenant_id),
        )
    return sending.record_refused(leased, NOT_ON_WHATSAPP)


def _record_found(leased: Leased, answer: NumberCheck) -> str | None:
    known_as = from_jid(answer.chat_id or answer.phone_chat_id or leased.chat_id)
    told = (leased.chat_id, known_as, *([from_jid(answer.phone_chat_id)] if answer.phone_chat_id else []))
    chat_ids = tuple(dict.fromkeys(told))
    with tenant_transaction(leased.tenant_id):
        session: WahaSession = WahaSession.get_by_id(leased.session_id)
        numbers = [number for one in reversed(chat_ids) if (number := number_of(one))]
        lid = next((one for one in chat_ids if kind_of(one) == "lid"), None)
        customer = Customer(chat_ids, msisdn=next(iter(numbers), None), lid=lid)
        found = conversations.known_to(session, customer)
        is_elsewhere = any(one.id != leased.conversation_id for one in found)
        if is_elsewhere:
            # What is on its way is not joined to another conversation: it is given back first.
            sending.put_off(leased)
        conversations.unite(session, customer)
        _remember(leased, chat_ids, known_as)
    return None if is_elsewhere else known_as


def _remember(leased: Leased, chat_ids: tuple[str, ...], known_as: str | None) -> None:
    changed(
        "UPDATE conversation_chats SET checked_at = clock_timestamp(), known_as = %s "
        "WHERE tenant_id = %s AND session_id = %s AND chat_id = ANY (%s)",
        (known_as, leased.tenant_id, leased.session_id, list(chat_ids)),
    )
