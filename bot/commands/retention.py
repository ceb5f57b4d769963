from __future__ import annotations

from bot.commands.command import Command, Turn
from operations import retention
from operations.permissions import Permission
from operations.retention import Plan
from operations.slack_inbox import Answer
from slack.mrkdwn import escape, local_time


def show(turn: Turn) -> Answer:
    """A dry run: nothing is deleted by it."""
    plan = retention.plan(turn.standing.tenant_id)
    name = escape(turn.standing.tenant_name)
    days, entry_days = plan.keeping.keep_messages_days, plan.keeping.keep_audit_days
    if days is None and entry_days is None:
        return Answer(f"*{name}* keeps everything: no time after which something is deleted is set. {_HOW}")
    lines = [
        f"*What would be deleted of {name} now* (nothing was)",
        f"• Messages: {_messages(plan)}",
        f"• Audit: {f'{plan.entries:,} entries older than {entry_days} days' if entry_days else 'none, it is kept'}",
        f"The next run begins {local_time(plan.runs_at)}, and each day then. What it deletes is told in `audit`.",
        "Contacts and conversations stay, and what stands in Slack: the workspace has a setting of its own for that.",
        _HOW,
    ]
    return Answer("\n".join(lines))


_HOW = "See `tenant settings`: `keep_messages_days` and `keep_audit_days`."


def _messages(plan: Plan) -> str:
    if plan.keeping.keep_messages_days is None:
        return "none, they are kept"
    oldest = f", the oldest of {local_time(plan.oldest_message)}" if plan.oldest_message is not None else ""
    stay = f"; {plan.unsettled:,} more are not settled yet and stay" if plan.unsettled else ""
    return f"{plan.messages:,} older than {plan.keeping.keep_messages_days} days, with their texts{oldest}{stay}"


COMMANDS = (
    Command(
        noun="tenant",
        verb="retention",
        summary="what would be deleted now because of its age",
        example="tenant retention",
        permission=Permission.TENANT_SETTINGS,
        run=show,
    ),
)
