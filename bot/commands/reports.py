from __future__ import annotations

from bot.commands.command import Command, Option, Turn
from operations import audit, report_schedules, reports
from operations.errors import NotFound
from operations.permissions import Permission
from operations.report_schedules import Planned, Wish
from operations.routes import channel_for
from operations.schedule_words import understood
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.mrkdwn import escape


def schedule(turn: Turn) -> Answer:
    asked = turn.asked
    wish = Wish(asked.word(0), asked.option("name"), asked.option("zone"), asked.option("unanswered"))
    planned, is_new = report_schedules.schedule(
        turn.standing.tenant_id, wish, schedule_id=asked.new_id("schedule"), actor=turn.actor
    )
    done = "is scheduled" if is_new else "is changed"
    return Answer(
        f"The report `{planned.schedule.name}` {done}: {_when(planned)}.\n{_next(planned)}\n{_place(turn)}\n"
        f"{_besides(turn, planned) if is_new else ''}Take it back with `report remove {planned.schedule.name}`."
    )


def _besides(turn: Turn, planned: Planned) -> str:
    mine = report_schedules.list_all(turn.standing.tenant_id)
    others = [f"`{one.schedule.name}`" for one in mine if one.schedule.name != planned.schedule.name]
    if not others:
        return ""
    return f"It comes besides {', '.join(others)}; `--name` with one of them changes that instead. "


def list_(turn: Turn) -> Answer:
    found = report_schedules.list_all(turn.standing.tenant_id)
    if not found:
        return Answer('No report is scheduled. Schedule one: `report schedule "every weekday 09:00"`.')
    lines = [
        f"• `{one.schedule.name}`: {_when(one)}, {f'next {one.local_times[0]}' if one.local_times else 'paused'}"
        for one in found
    ]
    return Answer(
        f"*{counted(len(found), 'scheduled report')} of {escape(turn.standing.tenant_name)}*\n"
        + "\n".join(lines)
        + f"\n{_place(turn)}\nMore about one: `report show NAME`."
    )


def show(turn: Turn) -> Answer:
    planned = report_schedules.named(turn.standing.tenant_id, turn.asked.word(0))
    one = planned.schedule
    step = f"Go on with `report resume {one.name}`." if one.is_paused else f"Stop it with `report pause {one.name}`."
    return Answer(
        f"*Report `{one.name}`*: {_when(planned)} (`{one.cron}`).\n{_next(planned)}\n"
        f"It names conversations that nobody answered for {counted(one.unanswered_hours, 'hour')}.\n{_place(turn)}\n"
        f"{step}"
    )


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


def pause(turn: Turn) -> Answer:
    found, is_new = report_schedules.pause(turn.standing.tenant_id, turn.asked.word(0), actor=turn.actor)
    said = "is paused" if is_new else "was paused already; nothing was changed"
    return Answer(f"The report `{found.name}` {said}. Go on with `report resume {found.name}`.")


def resume(turn: Turn) -> Answer:
    planned, is_new = report_schedules.resume(turn.standing.tenant_id, turn.asked.word(0), actor=turn.actor)
    said = "goes on" if is_new else "was not paused; nothing was changed"
    return Answer(f"The report `{planned.schedule.name}` {said}. {_next(planned)}\n{_place(turn)}")


def about_removing(turn: Turn) -> str:
    planned = report_schedules.named(turn.standing.tenant_id, turn.asked.word(0))
    return (
        f"Remove the report `{planned.schedule.name}`, {_when(planned)}? It is not posted any more; what was posted "
        "stays."
    )


def remove(turn: Turn) -> Answer:
    found = report_schedules.remove(turn.standing.tenant_id, turn.asked.word(0), actor=turn.actor)
    return Answer(f"The report `{found.name}` is removed. See `report list` for what is left.")


def _when(planned: Planned) -> str:
    # Fields of cron hold asterisks, which would end anything bold.
    return f"`{escape(planned.said)}` ({planned.schedule.time_zone})"


def _next(planned: Planned) -> str:
    if not planned.local_times:
        return "It is paused."
    return f"Next: {', '.join(planned.local_times)} ({planned.schedule.time_zone})."


def _place(turn: Turn) -> str:
    route = channel_for(turn.standing.tenant_id, *reports.PLACES)
    if route is None:
        return "It has no channel to appear in yet: run `channel link --for reports` in one."
    return f"Reports appear in <#{route.slack_channel_id}>."


COMMANDS = (
    Command(
        noun="report",
        verb="schedule",
        needs=("WHEN",),
        options=(
            Option("name", "NAME", "daily"),
            Option("unanswered", "HOURS", "4"),
            Option("zone", "ZONE", "Europe/Berlin"),
        ),
        summary="post the health report at set times; the same name again changes them",
        example='report schedule "every monday 08:00"',
        runs_on=True,
        labels={"unanswered": "Hours without an answer", "zone": "Time zone"},
        checks={
            "when": understood,
            "name": report_schedules.name_of,
            "unanswered": report_schedules.hours_of,
            "zone": report_schedules.zone_of,
        },
        permission=Permission.REPORT_SCHEDULE,
        run=schedule,
    ),
    Command(
        noun="report",
        verb="list",
        summary="when the health reports are posted",
        example="report list",
        permission=Permission.REPORT_SHOW,
        run=list_,
    ),
    Command(
        noun="report",
        verb="show",
        needs=("NAME",),
        summary="one scheduled report and its next times",
        example="report show health",
        permission=Permission.REPORT_SHOW,
        run=show,
    ),
    Command(
        noun="report",
        verb="now",
        summary="post the health report at once",
        example="report now",
        permission=Permission.REPORT_NOW,
        run=now,
    ),
    Command(
        noun="report",
        verb="pause",
        needs=("NAME",),
        summary="stop posting a scheduled report for a while",
        example="report pause health",
        permission=Permission.REPORT_SCHEDULE,
        run=pause,
    ),
    Command(
        noun="report",
        verb="resume",
        needs=("NAME",),
        summary="go on with a report that was paused",
        example="report resume health",
        permission=Permission.REPORT_SCHEDULE,
        run=resume,
    ),
    Command(
        noun="report",
        verb="remove",
        needs=("NAME",),
        summary="take a scheduled report away",
        example="report remove health",
        permission=Permission.REPORT_SCHEDULE,
        confirm=about_removing,
        run=remove,
    ),
)
