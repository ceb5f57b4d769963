"""What proves that a session tells and sends again, and what proves that it still does not."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from models import SessionWatch, Suspicion
from operations.sql import value

# As `waha.answers` words it; what an account may not do has an incident of its own.
REFUSED_LIKE: Final = "WhatsApp refused the message (%"


def is_relieved(watch: SessionWatch, since: datetime) -> bool:
    """Whether something proves since then that the session does again what it did not."""
    match watch.suspicion:
        case Suspicion.UNACKNOWLEDGED:
            return _has_sent(watch, since, "AND awaits_ack_since IS NULL")
        case Suspicion.REFUSED:
            return _has_sent(watch, since, "")
        case Suspicion.CANARY:
            return _is_after(watch.canary_seen_at, since) or _is_after(watch.heard_at, since)
        case _:
            return _is_after(watch.heard_at, since)


def is_as_before(watch: SessionWatch, missed_from: datetime | None, *, now: datetime) -> bool:
    """Whether the restart has changed nothing; `missed_from` is when the oldest message was missed since."""
    match watch.suspicion:
        case Suspicion.UNACKNOWLEDGED:
            waits = "AND awaits_ack_since IS NOT NULL AND sent_at <= %(now)s - interval '2 min'"
            return _has_sent(watch, watch.restarted_at, waits, now=now)
        case Suspicion.REFUSED:
            return _was_refused(watch)
        case Suspicion.CANARY:
            return False  # the next canary tells
        case _:
            return _is_after(missed_from, watch.restarted_at)


def _is_after(at: datetime | None, since: datetime) -> bool:
    return at is not None and at > since


def _has_sent(watch: SessionWatch, since: datetime, condition: str, **named: object) -> bool:
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE tenant_id = %(tenant)s AND session_id = %(session)s "  # noqa: S608 - words of ours
            f"AND direction = 'outbound' AND status IN ('sent', 'delivered') AND sent_at > %(since)s "
            f"AND NOT metadata ? 'timestamp' {condition})",
            {"tenant": watch.tenant_id, "session": watch.session_id, "since": since, **named},
        )
    )


def _was_refused(watch: SessionWatch) -> bool:
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE tenant_id = %s AND session_id = %s AND direction = 'outbound' "
            "AND status = 'queued' AND error_message LIKE %s AND updated_at > %s + interval '10 s')",
            (watch.tenant_id, watch.session_id, REFUSED_LIKE, watch.restarted_at),
        )
    )
