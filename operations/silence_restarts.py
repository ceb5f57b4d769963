"""Whether a silent session is restarted now, and what became of the restart that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from models import SessionWatch, Suspicion
from operations.sql import lock, rows, value

# One silent session of a server with many says nothing about the way.
_SEVERAL: Final = 2
# So many have a cause in common: one at a time shows whether restarting helps.
_TOGETHER: Final = 3
# As sessions that fail together are: a browser at each start, and WhatsApp sees no storm.
BETWEEN: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class _Server:
    """The silent sessions of a server: `untold` of whom there is news, `on_trial` restarted a moment ago."""

    has_told: bool
    untold: int
    silent: int
    on_trial: int
    restarted_at: datetime | None


def is_way_cut(server: str, watch: SessionWatch) -> bool:
    """Whether it is not the session: a restart would cost a connection and mend nothing."""
    if watch.suspicion not in {Suspicion.UNHEARD, Suspicion.CANARY}:
        return False
    found = _look(server, watch)
    return not found.has_told and found.untold >= _SEVERAL


def is_turn(server: str, watch: SessionWatch, *, now: datetime) -> bool:
    """Whether the next restart on a server may be this one; nobody else decides that until the transaction ends."""
    lock(f"silence restarts:{server}")
    found = _look(server, watch)
    if found.restarted_at is not None and now - found.restarted_at < BETWEEN:
        return False
    return found.silent < _TOGETHER or found.on_trial == 0


def _look(server: str, watch: SessionWatch) -> _Server:
    [found] = rows(_Server, "SELECT * FROM silence_of_server(%s, %s)", (server, watch.missed_from))
    return found


def fate(watch: SessionWatch) -> Literal["made", "not made", "under way"]:
    """What became of the last restart: a status that came back between two polls has not moved."""
    found: Literal["made", "not made", "under way"] | None = value(
        "SELECT CASE WHEN done_at IS NOT NULL OR payload ? 'called' THEN 'made' "
        "WHEN parked_at IS NOT NULL THEN 'not made' ELSE 'under way' END "
        "FROM waha_actions WHERE tenant_id = %s AND session_id = %s AND kind = 'restart' "
        "ORDER BY created_at DESC LIMIT 1",
        (watch.tenant_id, watch.session_id),
    )
    return found or "made"


def is_noted_last(watch: SessionWatch, what: str) -> bool:
    """Whether this was said last of the silence: what is tried again and again is said once."""
    return bool(
        value(
            "SELECT done -> -1 ->> 'what' = %s FROM incidents "
            "WHERE tenant_id = %s AND session_id = %s AND kind = 'silent' AND ended_at IS NULL",
            (what, watch.tenant_id, watch.session_id),
        )
    )


def is_told(watch: SessionWatch) -> bool:
    """Whether the incident that named the session is open: a stop ends it, whatever the watch knows."""
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM incidents WHERE tenant_id = %s AND session_id = %s AND kind = 'silent' "
            "AND ended_at IS NULL)",
            (watch.tenant_id, watch.session_id),
        )
    )
