from __future__ import annotations

from bot.commands.command import Command, Turn
from operations import audit, reports
from operations.errors import NotFound
from operations.permissions import Permission
from operations.slack_inbox import Answer
from slack.mrkdwn import escape


def now(turn: Turn) -> Answer:
    route = reports.post_now(turn.standing.tenant_id, event_id=turn.asked.event_id)
    if route is None:
        raise NotFound(
            f"*{escape(turn.standing.tenant_name)}* has no channel to post a report in. "
            "Run `channel link --for reports` in one."
        )
    after = {"channel": route.slack_channel_id}
    audit.record(turn.actor, "report.now", route, tenant_id=turn.standing.tenant_id, after=after)
    return Answer(
        f"The health report of *{escape(turn.standing.tenant_name)}* is on its way to <#{route.slack_channel_id}>."
    )


COMMANDS = (
    Command(
        noun="report",
        verb="now",
        summary="post the health report at once",
        example="report now",
        permission=Permission.REPORT_NOW,
        run=now,
    ),
)
