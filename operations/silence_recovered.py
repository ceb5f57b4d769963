"""What a catch-up recovered tells of the trouble that made it necessary, and sometimes that there is trouble at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from database import notify, tenant_transaction
from models import Cause, IncidentKind, SessionWatch, Suspicion
from operations import catching_up, silence, silence_course
from operations.catching_up import LeasedSession
from operations.missed_messages import Missed
from operations.sql import changed, database_now, first

# What was read this long after an incident was over was missed in it.
_JUST_OVER: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class _Trouble:
    id: UUID
    kind: str
    began_at: datetime
    ended_at: datetime | None


# Of the session, or of the server that it is on; what is open in front, then what was over last.
_TROUBLE: Final = """
    SELECT id, kind, began_at, ended_at FROM incidents
    WHERE tenant_id = %(tenant)s AND (session_id = %(session)s OR session_id IS NULL AND server = %(server)s)
        AND kind <> 'number' AND (ended_at IS NULL OR ended_at > %(just)s)
    ORDER BY ended_at IS NULL DESC, session_id IS NULL, began_at DESC LIMIT 1
"""
_BLIND: Final = """
    UPDATE incidents SET blind_from = least(blind_from, %(since)s), blind_to = greatest(blind_to, %(until)s),
        recovered = recovered + %(recovered)s
    WHERE id = %(id)s AND tenant_id = %(tenant)s
"""


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
            _note_blindness(leased, watch, missed, recovered, moment)
        return named


def _name(leased: LeasedSession, watch: SessionWatch, missed: Sequence[Missed], now: datetime) -> bool:
    """Only what WAHA had the time to tell, told nothing after, and would have told somebody."""
    back_at = catching_up.away_until(leased.external_session_id)
    missed_from = min((one.at for one in missed if back_at is None or one.at > back_at), default=None)
    if missed_from is None or missed_from <= silence.heard_until(leased.working_since, watch):
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


def _note_blindness(
    leased: LeasedSession, watch: SessionWatch | None, missed: Sequence[Missed], recovered: int, now: datetime
) -> None:
    asked = {
        "tenant": leased.tenant_id,
        "session": leased.session_id,
        "server": leased.server,
        "just": now - _JUST_OVER,
    }
    trouble = first(_Trouble, _TROUBLE, asked)
    if trouble is None:
        return
    times = [one.at for one in missed]
    since = min([trouble.began_at, *times, *_last_told(trouble, watch)])
    until = max([since, trouble.ended_at or leased.until, *times])
    noted = {"id": trouble.id, "tenant": leased.tenant_id, "since": since, "until": until, "recovered": recovered}
    changed(_BLIND, noted)
    notify("incidents")


def _last_told(trouble: _Trouble, watch: SessionWatch | None) -> list[datetime]:
    """Of a silent session all is in doubt since the last message that it told."""
    heard_at = watch.heard_at if watch is not None and trouble.kind == IncidentKind.SILENT else None
    return [heard_at] if heard_at is not None else []
