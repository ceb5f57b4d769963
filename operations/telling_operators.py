"""What goes beyond one tenant is told to the operators: servers that are away, and sessions of several tenants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from database import set_tenant, transaction
from models import Incident, IncidentKind
from operations import grouping, noticing
from operations.causes import OnServer, likely, likely_of_silence
from operations.grouping import KINDS, OF_SERVERS, TOGETHERS, Failing, Together
from operations.sql import changed, database_now, rows, try_lock
from operations.telling import begin_telling, bring_up_to_date, close_when_over, of_operators
from operations.telling_words import Member, Story, is_of_silence


@dataclass(frozen=True)
class _Trouble:
    """An incident of some tenant; without a session it is of a server, or of several sessions."""

    incident_id: UUID
    tenant_id: UUID
    tenant_name: str
    session_id: UUID | None
    session_name: str | None
    server: str | None
    engine: str | None
    kind: str
    cause: str
    part_of: UUID | None
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class _Server:
    name: str
    state: str
    error_message: str | None
    version: str | None
    start_timestamp: int | None


def look_after_installation(*, operators: Collection[str], now: datetime | None = None) -> int:
    """Join what is the matter in several tenants, and tell the operators; how many messages were queued or changed."""
    with transaction():
        if not try_lock("incidents:installation"):
            return 0
        moment = now or database_now()
        noticing.notice_servers(None, moment)
        troubles = rows(_Trouble, "SELECT * FROM troubles_of_all()")
        own = grouping.of(None)
        if not troubles and not own:
            return 0
        _join(own, troubles, moment)
        places = of_operators(operators)
        return sum(_tell(one, places, moment) for one in grouping.of(None))


def _tell(incident: Incident, places: Collection[str], now: datetime) -> bool:
    story = _story(incident)
    if incident.post_id is not None:
        return bring_up_to_date(story, now)
    if story.ended_at is not None:
        close_when_over(story, now)
        return False
    return begin_telling(story, places, now)


def _join(own: Sequence[Incident], troubles: Sequence[_Trouble], now: datetime) -> None:
    by_id = {one.incident_id: one for one in troubles}
    for incident in own:
        if incident.kind in OF_SERVERS and incident.ended_at is None:
            _attach(
                incident.id,
                [
                    one
                    for one in troubles
                    if not one.session_id and (one.kind, one.server) == (incident.kind, incident.server)
                ],
            )
    for what in TOGETHERS:
        several = grouping.open_several(what, own)
        failing = [one for one in troubles if _is_failing(one, what, by_id)]
        if several is None:
            _begin_several(what, failing, by_id)
        else:
            _go_on(several, failing, by_id, now)


def _begin_several(what: Together, failing: Sequence[_Trouble], by_id: Mapping[UUID, _Trouble]) -> None:
    loose = [one for one in failing if _root(one, by_id).part_of is None]
    members = grouping.window([_as_failing(one) for one in loose if one.ended_at is None])
    if len({one.tenant_id for one in members}) > 1:
        incident_id = grouping.begin_several(None, what, members[0].began_at)
        ids = {one.incident_id for one in members}
        _attach(incident_id, [_root(one, by_id) for one in loose if one.incident_id in ids])
        _explain(incident_id, [one for one in loose if one.incident_id in ids])


def _go_on(several: Incident, failing: Sequence[_Trouble], by_id: Mapping[UUID, _Trouble], now: datetime) -> None:
    members = [one for one in failing if _root(one, by_id).part_of == several.id]
    latest = max((one.began_at for one in members), default=several.began_at)
    joining = [
        one
        for one in failing
        if _root(one, by_id).part_of is None and one.ended_at is None and abs(one.began_at - latest) <= grouping.WITHIN
    ]
    _attach(several.id, [_root(one, by_id) for one in joining])
    if joining or any(one.ended_at is None for one in members):
        _explain(several.id, [*members, *joining])
        return
    ended = max((one.ended_at for one in members if one.ended_at), default=now)
    changed("UPDATE incidents SET ended_at = %s WHERE id = %s", (ended, several.id))


def _is_failing(one: _Trouble, what: Together, by_id: Mapping[UUID, _Trouble]) -> bool:
    """A session in trouble that is not explained by its server."""
    return one.session_id is not None and one.kind in set(KINDS[what]) and _root(one, by_id).kind not in set(OF_SERVERS)


def _root(one: _Trouble, by_id: Mapping[UUID, _Trouble]) -> _Trouble:
    """What its own tenant is told of it: itself, or what it is part of."""
    parent = by_id.get(one.part_of) if one.part_of is not None else None
    return one if parent is None else _root(parent, by_id)


def _as_failing(one: _Trouble) -> Failing:
    if one.session_id is None:
        raise ValueError("An incident of a server is of no session.")
    return Failing(one.incident_id, one.tenant_id, one.session_id, one.began_at)


def _attach(incident_id: UUID, tops: Sequence[_Trouble]) -> None:
    for top in {one.incident_id: one for one in tops if one.part_of is None}.values():
        set_tenant(top.tenant_id)
        changed(
            "UPDATE incidents SET part_of = %s WHERE id = %s AND tenant_id = %s AND part_of IS NULL",
            (incident_id, top.incident_id, top.tenant_id),
        )


def _explain(incident_id: UUID, members: Sequence[_Trouble]) -> None:
    incident = Incident.get_by_id(incident_id)
    if is_of_silence(incident):
        grouping.explain(incident, likely_of_silence([one.cause for one in members if one.ended_at is None]))
        return
    names = sorted({one.server for one in members if one.server})
    servers = {
        one.name: one
        for one in rows(
            _Server,
            "SELECT name, state, error_message, version, start_timestamp FROM waha_servers WHERE name = ANY (%s)",
            (names,),
        )
    }
    kinds: dict[tuple[str, str], list[str]] = {}
    for one in members:
        kinds.setdefault((one.server or "", one.engine or ""), []).append(one.kind)
    places = [
        _on_server(name, engine, servers.get(name), found)
        for (name, engine), found in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]
    grouping.explain(incident, likely(places, incident.began_at))


def _on_server(name: str, engine: str, server: _Server | None, kinds: Sequence[str]) -> OnServer:
    started = server.start_timestamp if server is not None else None
    return OnServer(
        server=name,
        engine=engine,
        state=server.state if server is not None else None,
        error_message=server.error_message if server is not None else None,
        version=server.version if server is not None else None,
        started_at=datetime.fromtimestamp(started / 1000, UTC) if started else None,
        stopped=sum(kind == IncidentKind.STOPPED for kind in kinds),
        sessions=len(kinds),
    )


def _story(incident: Incident) -> Story:
    """With the sessions of all tenants that are part of it; read anew, since what joined just now counts."""
    troubles = rows(_Trouble, "SELECT * FROM troubles_of_all()")
    by_id = {one.incident_id: one for one in troubles}
    mine = [one for one in troubles if one.session_id and _root(one, by_id).part_of == incident.id]
    return Story(
        incident,
        members=[
            Member(one.session_name or "", IncidentKind(one.kind), one.ended_at is not None, one.tenant_name)
            for one in mine
        ],
        ended_at=incident.ended_at,
    )
