"""Soft deletion: what a tenant owns goes with it and comes back with it, all under one `deletion_id`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import peewee

from database import database, notify, tenant_transaction
from models import (
    ChannelRoute,
    Contact,
    Conversation,
    Message,
    ReportSchedule,
    SlackIdentity,
    Template,
    Tenant,
    User,
    WahaSession,
    now_utc,
)
from models.base import Kept, OwnedByTenant
from operations import audit
from operations.conversations import is_active
from operations.deactivation import say_of_tenant, wake
from operations.errors import Conflict, NotFound
from operations.routes import claim_of
from operations.sql import lock
from operations.standing import all_tenants, routes_of
from operations.tenants import NAMES
from operations.wording import quoted
from slack.mrkdwn import escape

# In the order of their foreign keys, so that locks are always taken in the same order.
OWNED: tuple[type[OwnedByTenant], ...] = (
    User,
    SlackIdentity,
    WahaSession,
    Contact,
    Conversation,
    ChannelRoute,
    Message,
    ReportSchedule,
    Template,
)
# A message takes a fifth of a millisecond, on a busy machine half of one, most of it for the index of its words.
AT_ONCE = 1_000


def delete_tenant(
    tenant_id: UUID, *, deletion_id: UUID, actor: str, operators: Collection[str] = (), at_once: int = AT_ONCE
) -> int:
    """Hide a tenant and everything it owns, and say so where it reads its alerts; returns the number of rows.

    Rows that were deleted before keep their own deletion, so that a restore does not bring them back. `at_once` is how
    many rows a statement changes.

    Raises:
        NotFound: there is no such tenant, or it is deleted already.
    """
    with tenant_transaction(tenant_id):
        mark = {"deleted_at": now_utc(), "deletion_id": deletion_id}
        hidden = Tenant.update(mark).where(Tenant.id == tenant_id, Tenant.deleted_at.is_null()).execute()
        if not hidden:
            return _hidden_by(tenant_id, deletion_id)
        _say(tenant_id, deletion_id, operators)
        for model in OWNED:
            hidden += _write(model, mark, (model.tenant_id == tenant_id) & model.deleted_at.is_null(), at_once)
        audit.record_life(actor, "tenant.delete", Tenant.get_by_id(tenant_id), after={"rows": hidden})
        notify("sessions")  # its sessions are stopped on WAHA
    return int(hidden)


def _say(tenant_id: UUID, deletion_id: UUID, operators: Collection[str]) -> None:
    """Before its channels are hidden with it."""
    name = escape(Tenant.get_by_id(tenant_id).name)
    text = (
        f"🗑️ *{name}* was deleted: nothing is sent to its customers, what they write is not handled any more, and its "
        f"sessions are stopped. An operator undoes this with `tenant restore {quoted(name)}`."
    )
    say_of_tenant(tenant_id, text, operators, slot=f"deleted:{deletion_id}")


def _hidden_by(tenant_id: UUID, deletion_id: UUID) -> int:
    """How many rows this deletion hid, where its COMMIT was not heard of and it is repeated."""
    kinds: tuple[type[Kept], ...] = (Tenant, *OWNED)
    hidden = sum(model.select().where(_part_of(model, tenant_id, deletion_id)).count() for model in kinds)
    if not hidden:
        raise NotFound("This tenant does not exist or was deleted already.")
    return int(hidden)


def restore_tenant(tenant_id: UUID, *, deletion_id: UUID, actor: str, at_once: int = AT_ONCE) -> int:
    """Undo one deletion as a whole, and let go what waited since; returns the number of rows, `at_once` a statement.

    Raises:
        NotFound: this deletion is not there to undo.
        Conflict: a name that came free was taken meanwhile; nothing is restored.
    """
    with tenant_transaction(tenant_id):
        _refuse_taken_name(tenant_id, deletion_id)
        _refuse_taken_channels(tenant_id, deletion_id)
        kinds: tuple[type[Kept], ...] = (Tenant, *OWNED)
        shown = sum(_show(model, tenant_id, deletion_id, at_once) for model in kinds)
        if not shown:
            raise NotFound("There is no such deletion to undo.")
        audit.record_life(actor, "tenant.restore", Tenant.get_by_id(tenant_id), after={"rows": shown})
        _look_after_sessions_again(tenant_id)
        if is_active(tenant_id):
            wake(tenant_id)
    return shown


def _refuse_taken_name(tenant_id: UUID, deletion_id: UUID) -> None:
    lock(NAMES)
    tenant = Tenant.get_or_none(_part_of(Tenant, tenant_id, deletion_id))
    if tenant is not None and any(one.tenant_name.casefold() == tenant.name.casefold() for one in all_tenants()):
        raise Conflict(_taken(Tenant, tenant_id))


def _look_after_sessions_again(tenant_id: UUID) -> None:
    """They were stopped unheard: nobody is told that they stopped, and they are started at once."""
    WahaSession.update(announced_status=None, control_attempts=0, next_control_at=now_utc()).where(
        WahaSession.tenant_id == tenant_id, WahaSession.deleted_at.is_null()
    ).execute()
    notify("sessions")


def _refuse_taken_channels(tenant_id: UUID, deletion_id: UUID) -> None:
    """A channel that another tenant uses by now, for whatever purpose, would show both tenants' customers."""
    mine = ChannelRoute.select().where(ChannelRoute.tenant_id == tenant_id, ChannelRoute.deletion_id == deletion_id)
    for team_id, channel_id in sorted({(route.slack_team_id, route.slack_channel_id) for route in mine}):
        lock(claim_of(team_id, channel_id))
        if any(route.tenant_id != tenant_id for route in routes_of(team_id, channel_id)):
            raise Conflict(
                f"<#{channel_id}> shows another tenant now. Run `channel unlink` there first, then restore again."
            )


def _show(model: type[Kept], tenant_id: UUID, deletion_id: UUID, at_once: int) -> int:
    try:
        with database.atomic():
            mine = _part_of(model, tenant_id, deletion_id)
            return _write(model, {"deleted_at": None, "deletion_id": None}, mine, at_once)
    except peewee.IntegrityError as error:
        raise Conflict(_taken(model, tenant_id)) from error


def _write(model: type[Kept], changes: Mapping[str, Any], where: peewee.Expression, at_once: int) -> int:
    """Change rows in portions, since PostgreSQL ends a statement that takes long; returns how many there were."""
    written, after = 0, UUID(int=0)
    while True:
        rest = where & (model.id > after)
        last = model.select(model.id).where(rest).order_by(model.id).offset(at_once - 1).limit(1).scalar()
        portion = rest if last is None else rest & (model.id <= last)
        written += int(model.update(changes).where(portion).execute())
        if last is None:
            return written
        after = last


def _part_of(model: type[Kept], tenant_id: UUID, deletion_id: UUID) -> peewee.Expression:
    owner = model.tenant_id if issubclass(model, OwnedByTenant) else model.id
    return (owner == tenant_id) & (model.deletion_id == deletion_id)


def _taken(model: type[Kept], tenant_id: UUID) -> str:
    if model is Tenant:
        name = Tenant.get_by_id(tenant_id).name
        return (
            f"The name `{escape(name)}` is used by another tenant now. Rename that one first with "
            f"`tenant update --name OTHER --tenant {quoted(escape(name))}`, then restore again."
        )
    return f"Something in {model._meta.table_name} took the place of a deleted row meanwhile."  # noqa: SLF001
