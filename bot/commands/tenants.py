from __future__ import annotations

from bot.commands.command import Command, Option, Turn, request_of
from models.requests import CreateTenant
from operations import tenants
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.standing import all_tenants
from operations.wording import counted, quoted
from slack.mrkdwn import escape, foreign

_SHOWN = 40


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
    )
    name = escape(tenant.name)
    return Answer(
        f"Tenant *{name}* was created. Its first administrator comes next: "
        f"`user add @person TENANT_ADMIN --tenant {quoted(name)}`."
    )


def list_(_turn: Turn) -> Answer:
    found = all_tenants()
    if not found:
        return Answer("There is no tenant yet. Create one with `tenant create NAME`.")
    lines = [
        f"• *{escape(one.tenant_name)}*, {one.tenant_status}: {counted(one.sessions, 'session')}, "
        f"{counted(one.users, 'user')}"
        for one in found[:_SHOWN]
    ]
    left = f"\nand {len(found) - _SHOWN} more." if len(found) > _SHOWN else ""
    return Answer(
        f"*{counted(len(found), 'tenant')}*\n"
        + "\n".join(lines)
        + left
        + "\nMore about one: `tenant show --tenant NAME`."
    )


def show(turn: Turn) -> Answer:
    facts = tenants.show(turn.standing.tenant_id)
    schedules = ", ".join(f"`{one.cron}` ({one.time_zone})" for one in facts.schedules) or "none"
    description = f"\n{foreign(facts.tenant.description)}" if facts.tenant.description else ""
    return Answer(
        f"*{escape(facts.tenant.name)}*, {facts.tenant.status.value}{description}\n"
        f"{counted(facts.users, 'user')}, {counted(facts.sessions, 'session')}. Health reports: {schedules}.\n"
        "See `session list` and `channel list`."
    )


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
        summary="all organisations",
        example="tenant list",
        permission=Permission.TENANT_LIST,
        run=list_,
    ),
    Command(
        noun="tenant",
        verb="show",
        summary="one organisation and what belongs to it",
        example="tenant show",
        permission=Permission.TENANT_SHOW,
        run=show,
    ),
)
