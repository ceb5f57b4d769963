"""An incident of a tenant with all that is part of it, gathered for telling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from models import Incident, IncidentKind
from operations.sql import entity, rows
from operations.telling_words import Member, Story, is_of_silence
from slack.mrkdwn import foreign

_PARTS = """
    SELECT i.id, s.name, i.kind, i.began_at, i.ended_at, i.done, i.blind_from, i.blind_to, i.recovered,
        s.metadata ? 'me_id' AS has_account,
        CASE WHEN s.wanted_since > i.ended_at + interval '1 minute' THEN 'working'
            WHEN s.deleted_at IS NOT NULL THEN 'deleted' WHEN s.desired_state = 'stopped' THEN 'stopped'
            WHEN s.status_changed_at <= i.ended_at THEN s.status ELSE 'working' END AS was_then
    FROM incidents i
    JOIN waha_sessions s ON s.id = i.session_id AND s.tenant_id = i.tenant_id
    WHERE i.tenant_id = %(tenant)s AND (i.id = %(id)s OR i.part_of = %(id)s)
    ORDER BY i.began_at, i.id
"""


@dataclass(frozen=True)
class _Part:
    id: UUID
    name: str
    kind: str
    began_at: datetime
    ended_at: datetime | None
    done: list[dict[str, Any]]
    blind_from: datetime | None
    blind_to: datetime | None
    recovered: int
    has_account: bool
    was_then: str


def story_of(incident: Incident) -> Story:
    """Its story as of now; inside its tenant's transaction."""
    parts = rows(_Part, _PARTS, {"tenant": incident.tenant_id, "id": incident.id})
    parent = (
        entity(Incident, "SELECT * FROM incidents WHERE id = %s", (incident.part_of,)) if incident.part_of else None
    )
    return Story(
        incident,
        members=[Member(part.name, IncidentKind(part.kind), part.ended_at is not None) for part in parts],
        steps=_steps(incident, parts),
        ended_at=_end(incident, parts),
        blind_from=min((part.blind_from for part in parts if part.blind_from), default=None),
        blind_to=max((part.blind_to for part in parts if part.blind_to), default=None),
        recovered=sum(part.recovered for part in parts),
        tells_of_it=_label(parent) if parent is not None else "",
        is_told_elsewhere_too=parent is not None and parent.tenant_id is None,
        has_account=any(part.has_account for part in parts),
        was_then=parts[-1].was_then if parts and incident.session_id is not None else "working",
    )


def _end(incident: Incident, parts: Sequence[_Part]) -> datetime | None:
    """Over with the last of it; what is part of it may outlast it, as sessions that come up after their server."""
    ends = [incident.ended_at, *(part.ended_at for part in parts)]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _steps(incident: Incident, parts: Sequence[_Part]) -> list[tuple[datetime, str]]:
    """What was done, in order; the same for several sessions is said once, with how often."""
    done = [*(incident.done if incident.session_id is None else []), *(step for part in parts for step in part.done)]
    times: dict[str, list[datetime]] = {}
    for step in done:
        times.setdefault(str(step["what"]), []).append(datetime.fromisoformat(step["at"]))
    said = {what: f"{what} ({len(at)} times)" if len(at) > 1 else what for what, at in times.items()}
    return sorted((min(at), said[what]) for what, at in times.items())


def _label(parent: Incident) -> str:
    """Without a number, so that what is part of it is not told anew with each that joins."""
    server = foreign(parent.server or "")
    return {
        IncidentKind.SEVERAL_SESSIONS: f"several sessions {'are silent' if is_of_silence(parent) else 'fail'} together",
        IncidentKind.SERVER_AWAY: f"WAHA server `{server}` is away",
        IncidentKind.KEY_REFUSED: f"WAHA server `{server}` refuses our key",
    }.get(parent.kind, "what is the matter with this session")
