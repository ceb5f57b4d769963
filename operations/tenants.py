from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import peewee

from database import database, set_tenant
from models import ReportSchedule, Tenant, User, WahaSession
from models.requests import CreateTenant
from operations import audit
from operations.errors import Conflict, NotFound
from operations.standing import all_tenants
from slack.mrkdwn import escape


@dataclass(frozen=True)
class TenantFacts:
    """What `/wa tenant show` tells."""

    tenant: Tenant
    users: int
    sessions: int
    schedules: list[ReportSchedule]


def create(
    request: CreateTenant, *, tenant_id: UUID, schedule_id: UUID, cron: str, time_zone: str, actor: str
) -> Tenant:
    """A new tenant with the daily health report that every tenant begins with.

    Raises:
        Conflict: the name is taken.
    """
    if any(one.tenant_name.casefold() == request.name.casefold() for one in all_tenants()):
        raise _taken(request)
    set_tenant(tenant_id)
    try:
        with database.atomic():
            tenant = Tenant.create(id=tenant_id, **request.model_dump())
    except peewee.IntegrityError as error:
        raise _taken(request) from error
    ReportSchedule.create(id=schedule_id, tenant_id=tenant_id, name="health", cron=cron, time_zone=time_zone)
    audit.record(actor, "tenant.create", tenant, tenant_id=tenant_id, after={"name": request.name})
    return tenant


def _taken(request: CreateTenant) -> Conflict:
    return Conflict(
        f"There is a tenant called `{escape(request.name)}` already; choose another name, or see `tenant list`."
    )


def show(tenant_id: UUID) -> TenantFacts:
    """The tenant with its counts.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    set_tenant(tenant_id)
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    return TenantFacts(
        tenant=tenant,
        users=User.live().where(User.tenant_id == tenant_id).count(),
        sessions=WahaSession.live().where(WahaSession.tenant_id == tenant_id).count(),
        schedules=list(ReportSchedule.live().where(ReportSchedule.tenant_id == tenant_id)),
    )
