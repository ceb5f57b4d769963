"""What is done about sessions that are not as people want them: claimed before a call, counted after it, and noted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from database import tenant_transaction, transaction
from models import IncidentKind, WahaSession
from operations import incidents
from operations.observing import Wanted
from operations.posting import tell_person
from operations.sql import changed, database_now, rows, value
from slack.mrkdwn import foreign

# By ourselves, of one session, from midnight to midnight in UTC. More would not help, and looks odd to WhatsApp.
RESTARTS_A_DAY = 3


@dataclass(frozen=True)
class Creation:
    """What a session is created on WAHA with: see `daemon.servers.session_config`."""

    session_id: UUID
    config: dict[str, Any]


def creation_of(tenant_id: UUID, session_id: UUID) -> Creation | None:
    """None where the session is gone."""
    with tenant_transaction(tenant_id):
        session = WahaSession.find(session_id)
        return Creation(session.id, session.config) if session is not None else None


@dataclass(frozen=True)
class _Claimed:
    session_id: UUID


def claim(server: str, sessions: Sequence[UUID], *, lease: timedelta, now: datetime | None = None) -> set[UUID]:
    """The sessions about which this daemon may make a call; nobody else begins one before `lease` is over."""
    with transaction():
        found = rows(_Claimed, "SELECT * FROM claim_controls(%s, %s, %s, %s)", (server, list(sessions), lease, now))
    return {one.session_id for one in found}


def tried(
    session: Wanted, *, pause: timedelta, error: str | None = None, counts: bool = True, now: datetime | None = None
) -> None:
    """A call about a session has ended; the next comes after `pause`, or at once where people want something else.

    `counts` is false for a call of which WAHA said that it could not see to it now, or whose outcome is not known.
    """
    with tenant_transaction(session.tenant_id):
        changed(
            "UPDATE waha_sessions SET control_attempts = control_attempts + %(counts)s, "
            "error_message = CASE WHEN %(counts)s = 0 THEN error_message ELSE %(error)s END, next_control_at = "
            "coalesce(%(now)s, clock_timestamp()) + CASE WHEN %(gone)s OR desired_state = %(desired)s "
            "THEN %(pause)s ELSE interval '0' END WHERE id = %(id)s AND tenant_id = %(tenant)s",
            {
                "counts": int(counts),
                "error": error,
                "gone": session.is_deleted,
                "desired": session.desired_state,
                "now": now,
                "pause": pause,
                "id": session.session_id,
                "tenant": session.tenant_id,
            },
        )


def restarted(session: Wanted, kind: IncidentKind, *, is_answered: bool = True, now: datetime | None = None) -> None:
    """Count a restart that WAHA carried out, or may have, and note it where people read of the trouble if they do."""
    with tenant_transaction(session.tenant_id):
        at = now or database_now()
        counted = value(
            "UPDATE waha_sessions SET restarts = CASE WHEN restarts_on = %(day)s THEN restarts + 1 ELSE 1 END, "
            "restarts_on = %(day)s WHERE id = %(id)s AND tenant_id = %(tenant)s RETURNING restarts",
            {"day": at.astimezone(UTC).date(), "id": session.session_id, "tenant": session.tenant_id},
        )
        unheard = "" if is_answered else " WAHA did not answer."
        what = f"Restarted by itself, {counted} of {RESTARTS_A_DAY} today.{unheard}"
        incidents.note(session.tenant_id, session.session_id, kind, what, at=at)


def started_again(session: Wanted, *, now: datetime | None = None) -> None:
    """Note that a session was started which somebody else had stopped, where people read of that."""
    with tenant_transaction(session.tenant_id):
        at = now or database_now()
        incidents.note(session.tenant_id, session.session_id, IncidentKind.STOPPED, "Started again.", at=at)


def give_up(session: Wanted, kind: IncidentKind, *, now: datetime | None = None) -> bool:
    """Say once a day that no restart of ours is left, and what a person can do.

    False when that was said, and while nobody is told of the trouble yet.
    """
    with tenant_transaction(session.tenant_id):
        at = now or database_now()
        name = value(
            "UPDATE waha_sessions s SET gave_up_on = %(day)s WHERE s.id = %(id)s AND s.tenant_id = %(tenant)s "
            "AND s.gave_up_on IS DISTINCT FROM %(day)s AND EXISTS (SELECT 1 FROM incidents i WHERE i.session_id = s.id "
            "AND i.tenant_id = s.tenant_id AND i.kind = %(kind)s AND i.ended_at IS NULL) RETURNING s.name",
            {
                "day": at.astimezone(UTC).date(),
                "id": session.session_id,
                "tenant": session.tenant_id,
                "kind": kind.value,
            },
        )
        if name is None:
            return False
        what = (
            f"{RESTARTS_A_DAY} restarts today did not help, and no more are made before midnight UTC. Look at the "
            f"phone: is WhatsApp open there, and this device still linked? Then `session restart {foreign(name)}`."
        )
        return incidents.note(session.tenant_id, session.session_id, kind, what, at=at)


def begin_stuck(session: Wanted, cause: str, *, now: datetime | None = None) -> None:
    """A state that should be a short one lasts too long; said from when that state began."""
    with tenant_transaction(session.tenant_id):
        since = (now or database_now()) - (session.status_for or timedelta(0))
        incidents.begin(session.tenant_id, session.session_id, IncidentKind.STUCK, at=since, cause=cause)


def end_stuck(session: Wanted, *, now: datetime | None = None) -> None:
    """It is in another state, which either is good or is told by itself."""
    with tenant_transaction(session.tenant_id):
        incidents.end(session.tenant_id, session.session_id, IncidentKind.STUCK, at=now or database_now())


def settle(server: str, sessions: Sequence[UUID]) -> int:
    """These are what people want: the next trouble begins with a first try again."""
    with transaction():
        return int(value("SELECT settle_sessions(%s, %s)", (server, list(sessions))))


@dataclass(frozen=True)
class Elsewhere:
    """A session that a server runs which is not its own."""

    tenant_id: UUID
    session_id: UUID
    external_session_id: str
    name: str
    server: str


def elsewhere(server: str, marks: Mapping[str, str], *, operators: Collection[str]) -> list[Elsewhere]:
    """Of the sessions that a server runs without having to, those of ours; operators are told of each once.

    They come with the mark that each carries, by their names on WAHA: the mark of ours is the id of its row.

    Nothing is stopped: which of the two is the right one, only a person knows.
    """
    with transaction():
        named = rows(Elsewhere, "SELECT * FROM sessions_elsewhere(%s, %s)", (server, sorted(marks)))
        found = [one for one in named if marks[one.external_session_id] == str(one.session_id)]
        for one in found:
            text = (
                f"🔴 WAHA server `{foreign(server)}` runs session `{foreign(one.name)}`, which belongs to server "
                f"`{foreign(one.server)}`. An account on two servers loses messages. Stop it on `{foreign(server)}` "
                f"in WAHA's dashboard, where it is called `{foreign(one.external_session_id)}`."
            )
            _tell(operators, text, slot=f"elsewhere:{one.session_id}:{server}")
    return found


def run_by_another(server: str, name: str, worker: str, *, operators: Collection[str]) -> None:
    """Tell operators once that a session of ours belongs to another WAHA with the same database, and is not started."""
    own, other = foreign(server), foreign(worker)
    text = (
        f"🟠 WAHA session `{foreign(name)}` belongs to server `{own}`, but WAHA says that its process `{other}` runs "
        f"it. It is not started on `{own}`, since an account on two servers loses messages. If `{other}` is gone, or "
        f"is the former WAHA_WORKER_ID of `{own}`, restart the session in the dashboard of `{own}`; else stop it there."
    )
    with transaction():
        _tell(operators, text, slot=f"another:{name}:{worker}")


def _tell(operators: Collection[str], text: str, *, slot: str) -> None:
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=None, slot=f"{slot}:{operator}")
