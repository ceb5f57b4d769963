"""Sessions that are on a WAHA server already and become a tenant's: their phone stays linked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import peewee

from database import database, notify, set_tenant, tenant_transaction
from models import ActionKind, DesiredState, SessionStatus, WahaSession, now_utc
from models.requests import CreateWahaSession
from operations import audit
from operations.actions import LeasedAction, close, tell_asker
from operations.errors import Conflict
from operations.posting import tell_person
from operations.sessions import order
from operations.sql import changed, rows
from operations.standing import Person
from slack.mrkdwn import escape, foreign

# Nothing is started, stopped or created under a name before WAHA has said that it has it.
_UNTOUCHED = timedelta(days=3650)


def ask_adoption(
    request: CreateWahaSession, waha_name: str, *, session_id: UUID, action_id: UUID, asker: Person, actor: str
) -> WahaSession:
    """A row for a session of WAHA's, which the daemon takes over when it has found it there.

    Raises:
        Conflict: a session of ours has that name on WAHA or had it once, or the tenant has one that is called so.
    """
    set_tenant(request.tenant_id)
    try:
        with database.atomic():
            session = WahaSession.create(
                id=session_id,
                external_session_id=waha_name,
                next_control_at=now_utc() + _UNTOUCHED,
                **request.model_dump(),
            )
    except peewee.IntegrityError as error:
        raise Conflict(_taken(error, request.name, waha_name)) from error
    order(session, ActionKind.ADOPT, action_id=action_id, asker=asker)
    after = {"name": request.name, "waha_name": waha_name, "server": request.server}
    audit.record(actor, "session.adopt", session, tenant_id=request.tenant_id, after=after)
    return session


def adopted(action: LeasedAction, text: str, *, status: SessionStatus, me_id: str | None, trusts_ids: bool) -> bool:
    """It is this tenant's from now on, wanted as it was found."""
    desired = DesiredState.STOPPED if status is SessionStatus.STOPPED else DesiredState.RUNNING
    with tenant_transaction(action.tenant_id):
        if not close(action, "done_at = clock_timestamp(), error = NULL", ()):
            return False
        changed(
            "UPDATE waha_sessions SET desired_state = %(desired)s, next_control_at = clock_timestamp(), "
            "ids_refused_at = CASE WHEN %(trusts)s THEN NULL ELSE clock_timestamp() END, "
            "metadata = metadata || jsonb_strip_nulls(jsonb_build_object('me_id', %(me)s::text)), "
            "updated_at = clock_timestamp() WHERE id = %(session)s AND tenant_id = %(tenant)s",
            {
                "desired": desired.value,
                "trusts": trusts_ids,
                "me": me_id,
                "session": action.session_id,
                "tenant": action.tenant_id,
            },
        )
        notify("sessions")
        tell_asker(action, text)
        return True


@dataclass(frozen=True)
class _Asker:
    slack_team_id: str
    slack_user_id: str


def give_up(session: WahaSession) -> bool:
    """Take a session over no more, where that has not come about yet; its names are free again, and the asker is told.

    False where nothing of the kind is under way.
    """
    name = foreign(session.name)
    text = (
        f"Session `{name}` was removed before it was taken over; on WAHA server `{foreign(session.server)}` it stays "
        "as it is. To take it over after all: `session adopt WAHA_NAME`."
    )
    # The order first, as whoever carries it out does: so neither waits for the other.
    askers = rows(
        _Asker,
        "UPDATE waha_actions SET parked_at = clock_timestamp(), error = %s, lease_token = NULL, "
        "lease_expires_at = NULL WHERE tenant_id = %s AND session_id = %s AND kind = 'adopt' AND done_at IS NULL "
        "AND parked_at IS NULL RETURNING slack_team_id, slack_user_id",
        (text, session.tenant_id, session.id),
    )
    for asker in askers:
        tell_person(asker.slack_team_id, asker.slack_user_id, text, tenant_id=session.tenant_id)
    if askers:
        _free_names(session.tenant_id, session.id)
    return bool(askers)


def not_adopted(action: LeasedAction, text: str) -> bool:
    """WAHA has no such session: the row goes, and both names are free again."""
    with tenant_transaction(action.tenant_id):
        if not close(action, "parked_at = clock_timestamp(), error = %s", (text,)):
            return False
        _free_names(action.tenant_id, action.session_id)
        tell_asker(action, text)
        return True


def _free_names(tenant_id: UUID, session_id: UUID) -> None:
    changed(
        "UPDATE waha_sessions SET deleted_at = clock_timestamp(), desired_state = 'stopped', status = 'stopped', "
        "external_session_id = %s WHERE id = %s AND tenant_id = %s",
        (f"never-adopted-{session_id.hex}", session_id, tenant_id),
    )


def _taken(error: peewee.IntegrityError, name: str, waha_name: str) -> str:
    if "external_session_id" in str(error):
        return (
            f"WAHA's session `{escape(waha_name)}` is or was a session of this installation, and no name is used "
            "twice: where several WAHA servers have one of that name, only one of them can be taken over. If it was "
            "removed here, add a new one: `session add NAME`."
        )
    return f"This tenant has a session called `{escape(name)}` already; choose another name with `--as NAME`."
