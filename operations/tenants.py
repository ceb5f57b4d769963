from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import peewee

from database import database, set_tenant
from models import Conversation, Message, ReportSchedule, Tenant, User, WahaSession, now_utc
from models.requests import CreateTenant, UpdateTenant
from operations import audit, workspaces
from operations.errors import Conflict, NotFound
from operations.sql import lock, rows, value
from operations.standing import Person, TenantLine, all_tenants, memberships
from operations.wording import quoted
from slack.mrkdwn import escape

# Taken by whoever gives a tenant a name: the index tells capitals apart, people do not.
NAMES = "names of tenants"


@dataclass(frozen=True)
class TenantFacts:
    """What `/wa tenant show` tells."""

    tenant: Tenant
    users: int
    sessions: int
    schedules: list[ReportSchedule]


@dataclass(frozen=True)
class Holdings:
    """How much belongs to a tenant."""

    users: int
    sessions: int
    conversations: int
    messages: int


@dataclass(frozen=True)
class DeletedTenant:
    """A tenant that can be restored, and what was deleted with it."""

    tenant_id: UUID
    tenant_name: str
    deletion_id: UUID
    deleted_at: datetime
    sessions: int
    users: int


def create(
    request: CreateTenant,
    *,
    tenant_id: UUID,
    schedule_id: UUID,
    cron: str,
    time_zone: str,
    actor: str,
    team_id: str = "",
) -> Tenant:
    """A new tenant with the daily health report that every tenant begins with; its home is the workspace `team_id`.

    Raises:
        Conflict: the name is taken.
    """
    refuse_taken_name(request.name)
    set_tenant(tenant_id)
    try:
        with database.atomic():
            home = workspaces.home_of_new_tenant(team_id)
            tenant = Tenant.create(id=tenant_id, slack_team_id=home, **request.model_dump())
    except peewee.IntegrityError as error:
        raise _taken(request.name) from error
    ReportSchedule.create(id=schedule_id, tenant_id=tenant_id, name="health", cron=cron, time_zone=time_zone)
    audit.record_life(actor, "tenant.create", tenant, after={"name": request.name})
    return tenant


def update(tenant_id: UUID, request: UpdateTenant, *, actor: str, is_operator: bool = False) -> tuple[Tenant, Tenant]:
    """Another name or description; returns the tenant before and after.

    Raises:
        Conflict: the name is another tenant's, whatever its capitals.
        NotFound: it was deleted meanwhile.
    """
    fresh = request.changes()
    if "name" in fresh:
        refuse_taken_name(request.name, except_for=tenant_id, is_told=is_operator)
    before = _tenant(tenant_id)
    different = {name: wanted for name, wanted in fresh.items() if getattr(before, name) != wanted}
    if not different:
        return before, before
    Tenant.update(different | {"updated_at": now_utc()}).where(Tenant.id == tenant_id).execute()
    audit.record(
        actor,
        "tenant.update",
        before,
        tenant_id=tenant_id,
        before={name: getattr(before, name) for name in different},
        after=different,
    )
    return before, _tenant(tenant_id)


def show(tenant_id: UUID) -> TenantFacts:
    """The tenant with its counts.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    return TenantFacts(
        tenant=_tenant(tenant_id),
        users=User.live().where(User.tenant_id == tenant_id).count(),
        sessions=WahaSession.live().where(WahaSession.tenant_id == tenant_id).count(),
        schedules=list(ReportSchedule.live().where(ReportSchedule.tenant_id == tenant_id)),
    )


def holdings(tenant_id: UUID) -> Holdings:
    set_tenant(tenant_id)
    users, sessions, conversations, messages = (
        model.live().where(model.tenant_id == tenant_id).count() for model in (User, WahaSession, Conversation, Message)
    )
    return Holdings(users, sessions, conversations, messages)


def named(name: str) -> TenantLine:
    """The tenant that an operator names, active or not.

    Raises:
        NotFound: there is none of that name.
    """
    found = all_tenants()
    wanted = name.strip().casefold()
    for one in found:
        if one.tenant_name.casefold() == wanted:
            return one
    near = difflib.get_close_matches(wanted, [one.tenant_name.casefold() for one in found], n=1)
    meant = [one.tenant_name for one in found if near and one.tenant_name.casefold() == near[0]]
    hint = f"Did you mean `{escape(meant[0])}`?" if meant else "See `tenant list`."
    raise NotFound(f"There is no tenant called `{escape(name)}`. {hint}")


def deleted() -> list[DeletedTenant]:
    """What can be restored, the newest deletion first."""
    return rows(DeletedTenant, "SELECT * FROM deleted_tenants()")


def deleted_named(name: str) -> DeletedTenant:
    """The newest deletion of a tenant of that name.

    Raises:
        NotFound: none was deleted.
    """
    wanted = name.strip().casefold()
    found = deleted()
    for one in found:
        if one.tenant_name.casefold() == wanted:
            return one
    if any(one.tenant_name.casefold() == wanted for one in all_tenants()):
        raise NotFound(f"`{escape(name)}` is not deleted; see `tenant show {quoted(escape(name))}`.")
    raise NotFound(f"No deleted tenant was called `{escape(name)}`. See `tenant list deleted`.")


def refuse_taken_name(name: str, *, except_for: UUID | None = None, is_told: bool = True) -> None:
    """Keep the name for the running transaction; only operators are told that there is such a tenant.

    Raises:
        Conflict: it is another tenant's, whatever its capitals.
    """
    lock(NAMES)
    wanted = name.casefold()
    if any(one.tenant_name.casefold() == wanted and one.tenant_id != except_for for one in all_tenants()):
        if is_told:
            raise _taken(name)
        raise Conflict("That name cannot be used here; choose another, or ask an operator.")


def choose(person: Person, name: str, *, choice_id: UUID, is_operator: bool) -> str:
    """Make a tenant the one that is meant where nothing else says it; returns its name as it is written.

    Raises:
        NotFound: it is none of the person's.
    """
    mine = [(one.tenant_id, one.tenant_name) for one in memberships(person) if one.is_active and not one.outside]
    choices = [(one.tenant_id, one.tenant_name) for one in all_tenants()] if is_operator else mine
    for tenant_id, tenant_name in choices:
        if tenant_name.casefold() == name.strip().casefold():
            value("SELECT choose_tenant(%s, %s, %s, %s)", (choice_id, person.team_id, person.user_id, tenant_id))
            return tenant_name
    known = ", ".join(f"`{escape(tenant_name)}`" for _, tenant_name in choices[:20])
    yours = f"Yours: {known}." if known else "You belong to none; ask an administrator of your tenant."
    raise NotFound(f"You have no tenant called `{escape(name)}`. {yours}")


def unchoose(person: Person) -> None:
    value("SELECT unchoose_tenant(%s, %s)", (person.team_id, person.user_id))


def chosen_by(person: Person, *, is_operator: bool) -> str | None:
    """The name of the tenant that the person chose, as long as it is one of theirs."""
    tenant_id = value("SELECT chosen_tenant(%s, %s)", (person.team_id, person.user_id))
    choices = all_tenants() if is_operator else memberships(person)
    return next((one.tenant_name for one in choices if one.tenant_id == tenant_id), None)


def _tenant(tenant_id: UUID) -> Tenant:
    set_tenant(tenant_id)
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    return tenant


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a tenant called `{escape(name)}` already; choose another name, or see `tenant list`.")
