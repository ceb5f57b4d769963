"""Incidents that are one: sessions that fail together, those of a server that is away, what follows in one session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args
from uuid import UUID

from psycopg2.extras import Json

from models import Incident, IncidentKind, uuid7
from operations.causes import Cause, cause_of, cause_of_silence
from operations.sql import changed, entities, rows, value

TOGETHER = 3
WITHIN = timedelta(minutes=10)
# A server is back, and its sessions come up one after another; those that do not are told by themselves then.
COMES_UP_WITHIN = timedelta(minutes=10)

FAILING = (IncidentKind.FAILED, IncidentKind.STOPPED, IncidentKind.STUCK, IncidentKind.NEEDS_SCAN)
# What many sessions may have together: where they are silent other things are said and done than where they fail.
Together = Literal["failing", "silent"]
TOGETHERS: Final[tuple[Together, ...]] = get_args(Together)
KINDS: Final[dict[Together, tuple[IncidentKind, ...]]] = {"failing": FAILING, "silent": (IncidentKind.SILENT,)}
OF_SERVERS = (IncidentKind.SERVER_AWAY, IncidentKind.KEY_REFUSED)
# One story with what went before in the same session; the health of its number is another.
_ONE_STORY = (*FAILING, IncidentKind.SILENT)

# Part of nothing, or of what the operators alone are told.
IS_TOP = "(i.part_of IS NULL OR EXISTS (SELECT 1 FROM incidents o WHERE o.id = i.part_of AND o.tenant_id IS NULL))"


@dataclass(frozen=True)
class Failing:
    """A session in trouble that no other incident tells of."""

    incident_id: UUID
    tenant_id: UUID
    session_id: UUID
    began_at: datetime


@dataclass(frozen=True)
class _Taken:
    left_from: UUID | None


@dataclass(frozen=True)
class _Times:
    open: int
    last_end: datetime | None


def group(tenant_id: UUID, now: datetime) -> None:
    """Make one of a tenant's incidents what is one; whoever tells looks at what is part of nothing afterwards."""
    unclosed = of(tenant_id)
    for incident in unclosed:
        if incident.kind in OF_SERVERS:
            _take_in_server(incident, tenant_id, unclosed, now)
    for what in TOGETHERS:
        _join_several(tenant_id, what)
    _follow_up(tenant_id)
    for incident in of(tenant_id):
        if incident.kind is IncidentKind.SEVERAL_SESSIONS:
            _settle_several(incident, tenant_id, now)


def of(tenant_id: UUID | None) -> list[Incident]:
    """What is not told to its end; the oldest first."""
    return entities(
        Incident,
        "SELECT * FROM incidents WHERE tenant_id IS NOT DISTINCT FROM %s AND closed_at IS NULL ORDER BY began_at, id",
        (tenant_id,),
    )


def window(found: Sequence[Failing]) -> list[Failing]:
    """Those that began within ten minutes with at least two others, in the first such time; [] without one."""
    ordered = sorted(found, key=lambda one: one.began_at)
    for first in ordered:
        together = [one for one in ordered if first.began_at <= one.began_at <= first.began_at + WITHIN]
        if len({one.session_id for one in together}) >= TOGETHER:
            return together
    return []


def begin_several(tenant_id: UUID | None, what: Together, began_at: datetime) -> UUID:
    incident_id = uuid7()
    changed(
        "INSERT INTO incidents (id, tenant_id, kind, began_at, details) VALUES (%s, %s, 'several_sessions', %s, %s)",
        (incident_id, tenant_id, began_at, Json({"together": what})),
    )
    return incident_id


def open_several(what: Together, unclosed: Sequence[Incident]) -> Incident | None:
    """The one that is open, which who joins them joins."""
    for one in unclosed:
        is_one = one.kind is IncidentKind.SEVERAL_SESSIONS and one.details.get("together", "failing") == what
        if is_one and one.ended_at is None:
            return one
    return None


def explain(incident: Incident, cause: Cause) -> None:
    """Keep the likely cause beside the incident, where it is another one now."""
    if incident.cause != cause.sentence or incident.details.get("cause") != cause.code:
        changed(
            "UPDATE incidents SET cause = %s, details = details || %s WHERE id = %s",
            (cause.sentence, Json({"cause": cause.code}), incident.id),
        )


def _settle_several(incident: Incident, tenant_id: UUID, now: datetime) -> None:
    """Say why its sessions fail, and end it with the last of them."""
    [times] = rows(
        _Times,
        "SELECT count(*) FILTER (WHERE ended_at IS NULL) AS open, max(ended_at) AS last_end FROM incidents "
        "WHERE part_of = %s AND tenant_id = %s AND session_id IS NOT NULL",
        (incident.id, tenant_id),
    )
    if times.open:
        is_silence = incident.details.get("together") == "silent"
        cause = (
            cause_of_silence(incident.id, tenant_id)
            if is_silence
            else cause_of(incident.id, tenant_id, incident.began_at)
        )
        explain(incident, cause)
    elif incident.ended_at is None:
        changed("UPDATE incidents SET ended_at = %s WHERE id = %s", (times.last_end or now, incident.id))


def _take_in_server(server: Incident, tenant_id: UUID, unclosed: Sequence[Incident], now: datetime) -> None:
    """What fails on a server that is away is the server's trouble, from shortly before until it has come up again."""
    if server.ended_at is not None and now - server.ended_at >= COMES_UP_WITHIN:
        changed(
            "UPDATE incidents SET part_of = NULL WHERE part_of = %s AND tenant_id = %s AND ended_at IS NULL",
            (server.id, tenant_id),
        )
        return
    # What was over before the server went away is a story of its own, and was told to its end.
    taken = rows(
        _Taken,
        "WITH taken AS (SELECT i.id, i.part_of FROM incidents i WHERE i.tenant_id = %s AND i.session_id IS NOT NULL "
        "AND i.closed_at IS NULL AND i.server = %s AND i.kind = ANY (%s) AND i.began_at BETWEEN %s AND %s "
        "AND coalesce(i.ended_at >= %s, true) AND i.part_of IS DISTINCT FROM %s) "
        "UPDATE incidents i SET part_of = %s FROM taken WHERE i.id = taken.id RETURNING taken.part_of AS left_from",
        (
            tenant_id,
            server.server,
            [kind.value for kind in _ONE_STORY],
            server.began_at - WITHIN,
            (server.ended_at or now) + COMES_UP_WITHIN,
            *(server.began_at, server.id, server.id),
        ),
    )
    left = {one.left_from for one in taken}
    for other in unclosed:
        if (other.id in left and _is_swallowed(other)) or _went_before(other, server):
            _take_over(server, other, now)


def _is_swallowed(other: Incident) -> bool:
    """Sessions that failed together, of which all that still fail are on a server that is away."""
    parts = "SELECT EXISTS (SELECT 1 FROM incidents WHERE part_of = %s AND tenant_id = %s AND ended_at IS NULL)"
    return other.kind is IncidentKind.SEVERAL_SESSIONS and not value(parts, (other.id, other.tenant_id))


def _went_before(other: Incident, server: Incident) -> bool:
    """It was away, and refuses our key now. That it is away once more is news, which a changed message would not be."""
    is_over = other.ended_at is not None and server.ended_at is None
    is_another = other.kind in OF_SERVERS and other.kind is not server.kind
    return is_over and is_another and other.server == server.server


def _take_over(incident: Incident, earlier: Incident, now: datetime) -> None:
    """Go on in the message of an earlier one, which turned out to be this; people read one message, not two."""
    if incident.post_id is None and earlier.post_id is not None:
        changed(
            "UPDATE incidents SET post_id = %s, told_at = %s, muted_at = %s, muted_by = %s, details = details || %s "
            "WHERE id = %s",
            (
                earlier.post_id,
                earlier.told_at,
                earlier.muted_at,
                earlier.muted_by,
                Json({"places": earlier.details.get("places", [])}),
                incident.id,
            ),
        )
        incident.post_id = earlier.post_id
        changed("UPDATE incidents SET post_id = NULL WHERE id = %s", (earlier.id,))
    changed(
        "UPDATE incidents SET part_of = %s, ended_at = coalesce(ended_at, %s), closed_at = coalesce(closed_at, %s) "
        "WHERE id = %s",
        (incident.id, now, now, earlier.id),
    )
    changed(
        "UPDATE incidents SET part_of = %s WHERE part_of = %s AND tenant_id = %s",
        (incident.id, earlier.id, incident.tenant_id),
    )


def _join_several(tenant_id: UUID, what: Together) -> None:
    """Three that fail within ten minutes are one incident; who fails within ten minutes after them joins it."""
    single = rows(
        Failing,
        "SELECT i.id AS incident_id, i.tenant_id, i.session_id, i.began_at FROM incidents i "  # noqa: S608 - words of ours
        "WHERE i.tenant_id = %s AND i.session_id IS NOT NULL AND i.ended_at IS NULL AND i.kind = ANY (%s) "
        f"AND {IS_TOP}",
        (tenant_id, [kind.value for kind in KINDS[what]]),
    )
    if not single:
        return
    open_now = open_several(what, of(tenant_id))
    if open_now is not None:
        latest = value("SELECT max(began_at) FROM incidents WHERE part_of = %s", (open_now.id,)) or open_now.began_at
        members = [one for one in single if abs(one.began_at - latest) <= WITHIN]
        _join(tenant_id, open_now.id, members)
    elif members := window(single):
        _join(tenant_id, begin_several(tenant_id, what, members[0].began_at), members)


def _join(tenant_id: UUID, incident_id: UUID, members: Sequence[Failing]) -> None:
    changed(
        "UPDATE incidents SET part_of = %s WHERE tenant_id = %s AND id = ANY (%s)",
        (incident_id, tenant_id, [one.incident_id for one in members]),
    )


def _follow_up(tenant_id: UUID) -> None:
    """What comes upon a session that is in trouble already is the same story, told where that is told."""
    changed(
        "UPDATE incidents i SET part_of = coalesce(f.inner_part, f.id) FROM ("  # noqa: S608 - words of ours
        "  SELECT DISTINCT ON (e.session_id) e.id, e.session_id, e.ended_at, "
        "    CASE WHEN EXISTS (SELECT 1 FROM incidents o WHERE o.id = e.part_of AND o.tenant_id IS NOT NULL) "
        "    THEN e.part_of END AS inner_part "
        "  FROM incidents e WHERE e.tenant_id = %(tenant)s AND e.session_id IS NOT NULL AND e.closed_at IS NULL "
        "  AND e.kind = ANY (%(kinds)s) ORDER BY e.session_id, e.began_at, e.id"
        ") f WHERE i.tenant_id = %(tenant)s AND i.session_id = f.session_id AND i.id <> f.id AND i.closed_at IS NULL "
        "AND (f.ended_at IS NULL OR f.ended_at >= i.began_at) "
        f"AND i.kind = ANY (%(kinds)s) AND {IS_TOP} AND i.post_id IS NULL",
        {"tenant": tenant_id, "kinds": [kind.value for kind in _ONE_STORY]},
    )
