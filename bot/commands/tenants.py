from __future__ import annotations

from bot.commands.command import Command, Option, Turn, request_of
from models import TenantStatus
from models.requests import CreateTenant, UpdateTenant
from operations import deactivation, tenants
from operations.errors import NoRole
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.standing import all_tenants, memberships
from operations.wording import counted, quoted
from slack.mrkdwn import escape, foreign, local_time

_SHOWN = 40
_DELETED = "deleted"
_NONE = "none"


def create(turn: Turn) -> Answer:
    asked, reports = turn.asked, turn.installation.reports
    request = request_of(turn.command, CreateTenant, name=asked.word(0), description=asked.option("description"))
    tenant = tenants.create(
        request,
        tenant_id=asked.new_id("tenant"),
        schedule_id=asked.new_id("schedule"),
        cron=reports.schedule,
        time_zone=reports.time_zone,
        actor=turn.actor,
        team_id=asked.person.team_id,
    )
    name = escape(tenant.name)
    return Answer(
        f"Tenant *{name}* was created. Its first administrator comes next: "
        f"`user add @person TENANT_ADMIN --tenant {quoted(name)}`."
    )


def list_(turn: Turn) -> Answer:
    if turn.asked.words:
        if turn.asked.word(0).lower() != _DELETED:
            raise turn.command.misused(f"`{escape(turn.asked.word(0))}` is nothing that could be listed.")
        return _list_deleted()
    found = all_tenants()
    if not found:
        return Answer("There is no tenant yet. Create one with `tenant create NAME`.")
    lines = [
        f"• *{escape(one.tenant_name)}*, {TenantStatus(one.tenant_status).word}: {counted(one.sessions, 'session')}, "
        f"{counted(one.users, 'user')}"
        for one in found[:_SHOWN]
    ]
    return Answer(
        f"*{counted(len(found), 'tenant')}*\n"
        + "\n".join(lines)
        + _left(len(found))
        + "\nMore about one: `tenant show NAME`."
    )


def _list_deleted() -> Answer:
    found = tenants.deleted()
    if not found:
        return Answer("No tenant is deleted.")
    lines = [
        f"• *{escape(one.tenant_name)}*, deleted {local_time(one.deleted_at)}, with {counted(one.sessions, 'session')} "
        f"and {counted(one.users, 'user')}"
        for one in found[:_SHOWN]
    ]
    return Answer(
        f"*{counted(len(found), 'deleted tenant')}*\n"
        + "\n".join(lines)
        + _left(len(found))
        + "\nBring one back with `tenant restore NAME`."
    )


def _left(found: int) -> str:
    return f"\nand {found - _SHOWN} more." if found > _SHOWN else ""


def show(turn: Turn) -> Answer:
    facts = tenants.show(turn.standing.tenant_id)
    name = escape(facts.tenant.name)
    schedules = ", ".join(f"`{one.cron}` ({one.time_zone})" for one in facts.schedules) or "none"
    description = f"\n{foreign(facts.tenant.description)}" if facts.tenant.description else ""
    return Answer(
        f"*{name}*, {facts.tenant.status.word}{description}\n"
        f"{counted(facts.users, 'user')}, {counted(facts.sessions, 'session')}. Health reports: {schedules}.\n"
        f"{_while_inactive(turn, facts.tenant.status)}"
        "See `session list`, `channel list` and `tenant settings`."
    )


def _while_inactive(turn: Turn, status: TenantStatus) -> str:
    if status is TenantStatus.ACTIVE:
        return ""
    waiting = deactivation.waiting(turn.standing.tenant_id)
    return (
        f"Nothing is sent and nothing is shown: {counted(waiting.to_send, 'message')} to customers and "
        f"{waiting.to_show} of theirs wait for `tenant activate {quoted(escape(turn.standing.tenant_name))}`.\n"
    )


def update(turn: Turn) -> Answer:
    asked = turn.asked
    given = {name: typed for name in ("name", "description") if (typed := asked.option(name)) is not None}
    if not given:
        raise turn.command.misused("Nothing to change was given.")
    before, after = tenants.update(
        turn.standing.tenant_id,
        request_of(turn.command, UpdateTenant, **given),
        actor=turn.actor,
        is_operator=turn.standing.is_operator,
    )
    if before is after:
        return Answer(f"*{escape(before.name)}* was so already; nothing was changed.")
    renamed = f" is called *{escape(after.name)}* now" if before.name != after.name else ""
    described = " has another description now" if before.description != after.description else ""
    return Answer(f"*{escape(before.name)}*{' and'.join(part for part in (renamed, described) if part)}.")


def use(turn: Turn) -> Answer:
    person, is_operator = turn.asked.person, turn.asked.person.key in turn.installation.operators
    if not is_operator and not memberships(person):
        raise NoRole("You have no role in any tenant here, so there is none to choose.")
    if not turn.asked.words:
        return _chosen(turn, is_operator=is_operator)
    if turn.asked.word(0).lower() == _NONE:
        tenants.unchoose(person)
        return Answer("No tenant is chosen any more: the channel says which is meant, or `--tenant NAME`.")
    name = tenants.choose(person, turn.asked.word(0), choice_id=turn.asked.new_id("choice"), is_operator=is_operator)
    return Answer(
        f"*{escape(name)}* is meant from now on where neither the channel nor `--tenant` says otherwise. "
        f"Take it back with `tenant use {_NONE}`."
    )


def _chosen(turn: Turn, *, is_operator: bool) -> Answer:
    name = tenants.chosen_by(turn.asked.person, is_operator=is_operator)
    if name is None:
        return Answer("You have chosen no tenant. Choose one with `tenant use NAME`.")
    return Answer(f"You have chosen *{escape(name)}*. Take it back with `tenant use {_NONE}`.")


COMMANDS = (
    Command(
        noun="tenant",
        verb="create",
        needs=("NAME",),
        options=(Option("description", "TEXT", '"Shoes, Berlin"'),),
        summary="add an organisation",
        example='tenant create "Acme Ltd" --description "Shoes, Berlin"',
        permission=Permission.TENANT_CREATE,
        run=create,
    ),
    Command(
        noun="tenant",
        verb="list",
        takes=(_DELETED,),
        summary="all organisations, or those that were deleted",
        example="tenant list",
        permission=Permission.TENANT_LIST,
        run=list_,
    ),
    Command(
        noun="tenant",
        verb="show",
        takes=("NAME",),
        names_tenant=True,
        summary="one organisation and what belongs to it",
        example="tenant show Acme",
        permission=Permission.TENANT_SHOW,
        run=show,
    ),
    Command(
        noun="tenant",
        verb="update",
        options=(Option("name", "NAME", '"Acme GmbH"'), Option("description", "TEXT", '"Shoes, Berlin"')),
        summary="another name or description",
        example='tenant update --name "Acme GmbH"',
        permission=Permission.TENANT_UPDATE,
        run=update,
    ),
    Command(
        noun="tenant",
        verb="use",
        takes=("NAME",),
        summary="choose the organisation that you mean where nothing else says it; `none` takes that back",
        example="tenant use Acme",
        permission=Permission.TENANT_USE,
        run=use,
    ),
)
