"""What the buttons under an incident's message stand for, and whoever clicks before the tenant that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from database import notify, set_tenant
from models import Incident, TenantStatus, WahaSession, now_utc
from operations import audit, slack_people
from operations.errors import NotAllowed, NotFound
from operations.permissions import Permission
from operations.sql import changed, value
from operations.standing import Person, Standing, kept_out, memberships

# The same for what is not there and for what is another tenant's: nobody learns which.
NOT_YOURS = (
    "Nothing was changed. This is not there any more, or you have no role in the tenant that it belongs to. "
    "See `session list`."
)
OVER = "Nothing was changed: it is over. See `session list` for what runs now."


@dataclass(frozen=True)
class Trouble:
    """An incident that is open, as whoever clicked may see it; `session` is there unless it is of several."""

    tenant_id: UUID
    incident: Incident
    session: WahaSession | None


def stand_before_incident(person: Person, incident_id: UUID, permission: Permission) -> Trouble:
    """The incident, and its tenant set, where the person may do this there.

    Raises:
        NotFound: it is not there, or of another tenant, or over.
        NotAllowed: the person's role does not include it, or the tenant is deactivated.
    """
    tenant_id = value("SELECT tenant_of_incident(%s)", (incident_id,))
    membership = next((one for one in memberships(person) if one.tenant_id == tenant_id), None)
    if membership is None:
        if (kept := slack_people.known(person)) is not None and kept.outside:
            raise NotAllowed(kept_out(kept.outside))
        raise NotFound(NOT_YOURS)
    if reason := membership.closed_because:
        raise NotAllowed(reason)
    Standing(
        person=person,
        tenant_id=membership.tenant_id,
        tenant_name=membership.tenant_name,
        tenant_status=TenantStatus(membership.tenant_status),
        role=membership.role_held,
        user_id=membership.user_id,
        is_operator=False,
    ).require(permission)
    set_tenant(membership.tenant_id)
    incident = Incident.get_by_id(incident_id)
    if _is_over(incident):
        raise NotFound(OVER)
    session = WahaSession.find(incident.session_id) if incident.session_id is not None else None
    return Trouble(membership.tenant_id, incident, session)


def _is_over(incident: Incident) -> bool:
    """Also what follows from it in the same session, or on its server, has to be over."""
    parts = "SELECT EXISTS (SELECT 1 FROM incidents WHERE part_of = %s AND tenant_id = %s AND ended_at IS NULL)"
    return incident.ended_at is not None and not value(parts, (incident.id, incident.tenant_id))


def mute(trouble: Trouble, *, muted_by: str, actor: str) -> bool:
    """Its message changes no more, until it is over or eight hours have passed; False when it was muted before."""
    is_new = changed(
        "UPDATE incidents SET muted_at = %s, muted_by = %s WHERE id = %s AND tenant_id = %s AND muted_at IS NULL",
        (now_utc(), muted_by, trouble.incident.id, trouble.tenant_id),
    )
    return _remember(trouble, "incident.mute", actor) if is_new else False


def unmute(trouble: Trouble, *, actor: str) -> bool:
    """Its message changes again; False when it was not muted."""
    is_new = changed(
        "UPDATE incidents SET muted_at = NULL, muted_by = NULL WHERE id = %s AND tenant_id = %s "
        "AND muted_at IS NOT NULL",
        (trouble.incident.id, trouble.tenant_id),
    )
    return _remember(trouble, "incident.unmute", actor) if is_new else False


def _remember(trouble: Trouble, action: str, actor: str) -> bool:
    audit.record(actor, action, trouble.session or trouble.incident, tenant_id=trouble.tenant_id)
    notify("incidents")
    return True
