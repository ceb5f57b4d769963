"""How a tenant is stopped for a while or for good, and brought back; operators name it by a word."""

from __future__ import annotations

from bot.commands.command import Command, Turn
from models import TenantStatus
from operations import deactivation, deletion, tenants
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.wording import counted, quoted
from slack.mrkdwn import escape


def activate(turn: Turn) -> Answer:
    line = tenants.named(turn.asked.word(0))
    tenant, woken = deactivation.activate(
        line.tenant_id, event_id=turn.asked.event_id, operators=turn.installation.operators, actor=turn.actor
    )
    return Answer(f"*{escape(tenant.name)}* is active again.{deactivation.describe(woken)}")


def deactivate(turn: Turn) -> Answer:
    line = tenants.named(turn.asked.word(0))
    tenant = deactivation.deactivate(
        line.tenant_id, event_id=turn.asked.event_id, operators=turn.installation.operators, actor=turn.actor
    )
    name = escape(tenant.name)
    return Answer(
        f"*{name}* is deactivated: nothing is sent and nothing is shown. What customers write is kept, and posted when "
        f"it is active again: `tenant activate {quoted(name)}`."
    )


def _before_deactivating(turn: Turn) -> str:
    line = tenants.named(turn.asked.word(0))
    if line.tenant_status != TenantStatus.ACTIVE:
        return ""  # `deactivate` says so
    waiting = deactivation.waiting(line.tenant_id)
    return (
        f"Deactivate *{escape(line.tenant_name)}*? From then on nothing is sent to its customers "
        f"({counted(waiting.to_send, 'message')} waiting now), nothing that they write is shown in Slack, and no "
        "report is posted. What they write is kept, its sessions stay linked, and its people can still look after it. "
        f"`tenant activate {quoted(escape(line.tenant_name))}` undoes it."
    )


def delete(turn: Turn) -> Answer:
    line = tenants.named(turn.asked.word(0))
    deletion.delete_tenant(
        line.tenant_id,
        deletion_id=turn.asked.new_id("deletion"),
        actor=turn.actor,
        operators=turn.installation.operators,
    )
    name = escape(line.tenant_name)
    return Answer(
        f"*{name}* was deleted, and its sessions are being stopped; their phones stay linked. "
        f"`tenant restore {quoted(name)}` brings it back at any time."
    )


def _before_deleting(turn: Turn) -> str:
    line = tenants.named(turn.asked.word(0))
    held = tenants.holdings(line.tenant_id)
    return (
        f"Delete *{escape(line.tenant_name)}*? With it go {counted(held.users, 'user')}, "
        f"{counted(held.sessions, 'session')}, {counted(held.conversations, 'conversation')} and "
        f"{counted(held.messages, 'message')}. Its sessions are stopped on WAHA and not logged out. What its customers "
        "write from then on is not handled. What stands in Slack stays there. "
        f"`tenant restore {quoted(escape(line.tenant_name))}` brings everything back at any time; what its settings "
        "let grow too old is deleted for good all the same."
    )


def restore(turn: Turn) -> Answer:
    found = tenants.deleted_named(turn.asked.word(0))
    deletion.restore_tenant(found.tenant_id, deletion_id=found.deletion_id, actor=turn.actor)
    name = escape(found.tenant_name)
    silent = ""
    if tenants.named(found.tenant_name).tenant_status != TenantStatus.ACTIVE:
        silent = f" It is still deactivated: `tenant activate {quoted(name)}`."
    return Answer(
        f"*{name}* is back, with {counted(found.users, 'user')} and "
        f"{counted(found.sessions, 'session')}; those that should run are started again. What was missed meanwhile is "
        f"read from WhatsApp's history as far as that goes back.{silent}"
    )


COMMANDS = (
    Command(
        noun="tenant",
        verb="activate",
        needs=("NAME",),
        summary="send and show again, beginning with what waited",
        example="tenant activate Acme",
        permission=Permission.TENANT_ACTIVATE,
        run=activate,
    ),
    Command(
        noun="tenant",
        verb="deactivate",
        needs=("NAME",),
        summary="send and show nothing for a while, and keep what customers write",
        example="tenant deactivate Acme",
        permission=Permission.TENANT_ACTIVATE,
        confirm=_before_deactivating,
        run=deactivate,
    ),
    Command(
        noun="tenant",
        verb="delete",
        needs=("NAME",),
        summary="take away an organisation with all that belongs to it",
        example="tenant delete Acme",
        permission=Permission.TENANT_DELETE,
        confirm=_before_deleting,
        run=delete,
    ),
    Command(
        noun="tenant",
        verb="restore",
        needs=("NAME",),
        summary="bring back an organisation that was deleted",
        example="tenant restore Acme",
        permission=Permission.TENANT_DELETE,
        run=restore,
    ),
)
