"""What proves that a session tells what happens on WhatsApp: a message that a webhook brought, or its own canary.

A canary is a message that a session writes to its own account. It is nobody's conversation: whatever tells of it, a
webhook or the history, it is known by its words, since some engines choose the ids themselves.
"""

from __future__ import annotations

from typing import Final

from models import WahaSession
from operations.sql import changed
from waha.messages import Message as WahaMessage

_CANARY: Final = "Switchboard looks whether this account hears itself. Nothing is to be done. "


def canary_text(canary_id: str) -> str:
    """What is written; whoever has the phone sees it in the chat with themselves."""
    return _CANARY + canary_id


def is_canary(told: WahaMessage) -> bool:
    return told.from_me and told.body.startswith(_CANARY)


def note_heard(session: WahaSession) -> None:
    """A webhook told of a message, at this moment; as exact as a second, so that chats do not wait for each other."""
    changed(
        "UPDATE session_watches SET heard_at = clock_timestamp() WHERE session_id = %s AND tenant_id = %s "
        "AND coalesce(heard_at < clock_timestamp() - interval '1 second', true)",
        (session.id, session.tenant_id),
    )


def note_canary(session: WahaSession, told: WahaMessage) -> None:
    """The session has heard what it wrote to itself; an earlier one, that comes late, is not waited for."""
    changed(
        "UPDATE session_watches SET canary_seen_at = clock_timestamp(), canary_id = NULL "
        "WHERE session_id = %s AND tenant_id = %s AND canary_sent_at IS NOT NULL "
        "AND %s LIKE '%%' || coalesce(canary_id, '')",
        (session.id, session.tenant_id, told.body),
    )
