"""What a catch-up recovered tells of the trouble that made it necessary, and sometimes that there is trouble at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from database import tenant_transaction
from models import Cause, IncidentKind, SessionWatch, Suspicion
from operations import incidents, silence, silence_course
from operations.catching_up import LeasedSession
from operations.missed_messages import Missed
from operations.sql import database_now, first

# What was read this long after an incident was over was missed in it.
_JUST_OVER: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class _Trouble:
    id: UUID
    began_at: datetime


def note(leased: LeasedSession, missed: Sequence[Missed], recovered: int, *, now: datetime | None = None) -> bool:
    """Remember in the incident what was missed and is recovered; the second of two things may make the incident.

    Returns:
        Whether the session is named silent by this: what it missed is newer than all that it told, and nothing else
        explains why.
    """
    with tenant_transaction(leased.tenant_id):
        moment = now or database_now()
        watch = silence.of_session(leased.tenant_id, leased.session_id)
        named = watch is not None and bool(recovered) and _name(leased, watch, missed, moment)
        if named or leased.cause != Cause.QUIET:
            _note_blindness(leased, watch, recovered, moment)
        return named


def _name(leased: LeasedSession, watch: SessionWatch, missed: Sequence[Missed], now: datetime) -> bool:
    """Only what WAHA had the time to tell, and told nothing after."""
    missed_from = min(one.at for one in missed)
    if missed_from <= silence.heard_until(leased.working_since, watch):
        return False
    if watch.suspected_at is None and leased.cause == Cause.QUIET:
        silence.keep(
            watch, suspicion=Suspicion.UNHEARD.value, suspected_at=now, missed_from=missed_from, next_check_at=now
        )
        watch.missed_from = missed_from
    elif watch.suspicion is not Suspicion.UNHEARD or watch.named_at is not None:
        return False
    silence_course.name(watch, Suspicion.UNHEARD, now=now)
    silence.keep(watch, named_at=now)
    return True


def _note_blindness(leased: LeasedSession, watch: SessionWatch | None, recovered: int, now: datetime) -> None:
    trouble = first(
        _Trouble,
        "SELECT id, began_at FROM incidents WHERE tenant_id = %s AND session_id = %s AND kind <> %s "
        "AND (ended_at IS NULL OR ended_at > %s) ORDER BY ended_at IS NULL DESC, began_at DESC LIMIT 1",
        (leased.tenant_id, leased.session_id, IncidentKind.NUMBER.value, now - _JUST_OVER),
    )
    if trouble is not None:
        heard_at: datetime | None = watch.heard_at if watch is not None else None
        since = min(heard_at, trouble.began_at) if heard_at is not None else trouble.began_at
        until = max(since, leased.until)
        incidents.blind(leased.tenant_id, leased.session_id, since=since, until=until, recovered=recovered)
