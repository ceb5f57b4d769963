"""Sessions whose messages nobody confirms, or whose every send is refused: restarted once, like silent ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from database import tenant_transaction, transaction
from models import SessionWatch, Suspicion
from operations import silence, silence_course
from operations.silence_proofs import REFUSED_LIKE
from operations.sql import database_now, rows
from operations.unacknowledged import UNCONFIRMED

# One chat may be the matter of its customer.
_CHATS: Final = 3


@dataclass(frozen=True)
class _Mute:
    """A session that does not send. `is_everywhere`: nor does any other of its server."""

    tenant_id: UUID
    session_id: UUID
    server: str
    reason: str
    since: datetime
    chats: int
    is_everywhere: bool


def look(servers: Collection[str], *, now: datetime | None = None) -> list[UUID]:
    """Name the sessions of these servers that do not send; who is suspected of something already is left alone."""
    with transaction():
        moment = now or database_now()
        asked = (list(servers), UNCONFIRMED, REFUSED_LIKE, _CHATS, moment)
        found = rows(_Mute, "SELECT * FROM sessions_that_do_not_send(%s, %s, %s, %s, %s)", asked)
    return [one.session_id for one in found if _name(one, moment)]


def _is_from_before(mute: _Mute, watch: SessionWatch) -> bool:
    """Whether some of it is what the last restart was for: it says nothing about the time after."""
    return watch.restarted_at is not None and mute.since <= watch.restarted_at


def _name(mute: _Mute, now: datetime) -> bool:
    suspicion = Suspicion(mute.reason)
    with tenant_transaction(mute.tenant_id):
        watch = silence.of_session(mute.tenant_id, mute.session_id)
        if watch is None or watch.suspected_at is not None or _is_from_before(mute, watch):
            return False
        if mute.is_everywhere:
            silence_course.say_everywhere(watch, mute.server, now=now)
        else:
            silence_course.name(watch, suspicion, now=now)
        silence.keep(
            watch,
            suspicion=suspicion.value,
            suspected_at=now,
            missed_from=mute.since,
            named_at=now,
            given_up_at=now if mute.is_everywhere else None,
            next_check_at=now,
        )
        return True
