"""What keeps the phone number of a session from being restricted: how it is, and what it may."""

from __future__ import annotations

from bot.commands.command import Command, Option, Turn
from models import HealthLevel, SessionStatus
from models.session_limits import SessionLimits
from operations import number_health, sending_limits
from operations.number_health import Health
from operations.number_verdict import (
    FEWEST_CHATS,
    FEWEST_SENT,
    SLOW_FROM_QUOTA,
    SLOW_FROM_UNANSWERED,
    Figures,
    percent,
)
from operations.permissions import Permission
from operations.sending_limits import Limits
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.mrkdwn import escape, foreign, local_time

_SHOWN = 40
_LEVELS = {
    HealthLevel.UNKNOWN: "⚪ nothing known yet",
    HealthLevel.GOOD: "🟢 good",
    HealthLevel.WATCH: "🟡 to be watched",
    HealthLevel.SLOW: "🟠 sends slower",
    HealthLevel.STOPPED: "🔴 may begin no new chats",
}
_GRAVEST_FIRST = list(reversed(HealthLevel))


def health(turn: Turn) -> Answer:
    numbers = turn.installation.numbers
    if turn.asked.words:
        return Answer(_one(number_health.show(turn.standing.tenant_id, turn.asked.word(0), numbers)))
    found = number_health.list_all(turn.standing.tenant_id)
    if not found:
        return Answer(f"*{escape(turn.standing.tenant_name)}* has no session yet. Add one: `session add NAME`.")
    found.sort(key=lambda one: (_GRAVEST_FIRST.index(one[1]), one[0].name))
    lines = [
        f"• `{foreign(session.name)}` {_LEVELS[level]}{_why(reasons)}" for session, level, reasons in found[:_SHOWN]
    ]
    left = [f"and {len(found) - _SHOWN} more."] if len(found) > _SHOWN else []
    title = f"*Numbers of {escape(turn.standing.tenant_name)}*, as last measured"
    return Answer("\n".join([title, *lines, *left, "More about one: `session health NAME`."]))


def _why(reasons: list[str]) -> str:
    return f": {reasons[0]}" if reasons else ""


def _one(found: Health) -> str:
    name, verdict = foreign(found.session.name), found.verdict
    figures = [f"• {line}" for line in _figures(found.figures)]
    why = [f"*Why:* {' '.join(verdict.reasons)}"] if verdict.reasons else []
    slower = (
        [f"Pauses between its messages are {verdict.slow_factor:g} times as long as usual."]
        if verdict.slow_factor > 1
        else []
    )
    stands_still = (
        [f"It is {found.session.status.value.replace('_', ' ')}, so nothing leaves: see `session show {name}`."]
        if found.session.status is not SessionStatus.WORKING
        else []
    )
    todo = f"*What to do:* {number_health.WHAT_TO_DO[verdict.level]} What it may: `session limits {name}`."
    title = f"*Number of* `{name}`: {_LEVELS[verdict.level]}"
    return "\n".join([title, *figures, *why, *slower, *stands_still, todo])


def _figures(figures: Figures) -> list[str]:
    lines = [
        f"New chats today: {figures.new_contacts} of {figures.most_new_contacts} that it may begin",
        _silent(figures),
    ]
    lines.append(_not_taken(figures))
    quota = figures.capping
    if quota is not None and quota.total is not None:
        ends = f", until {local_time(quota.cycle_ends_at)}" if quota.cycle_ends_at else ""
        lines.append(
            f"WhatsApp's own quota of new chats: {quota.used} of {quota.total} used{ends} "
            f"(slower from {percent(SLOW_FROM_QUOTA)})"
        )
    return lines


def _silent(figures: Figures) -> str:
    share = figures.unanswered_share
    if share is None:
        return f"Never answered: too few to say, {figures.begun} of at least {FEWEST_CHATS} chats begun this week"
    return (
        f"Never answered: {percent(share)} of {figures.begun} people written to first this week "
        f"(slower above {percent(SLOW_FROM_UNANSWERED)})"
    )


def _not_taken(figures: Figures) -> str:
    share, before = figures.failure_share, figures.failure_share_before
    if share is None:
        return f"Not taken by WhatsApp: too few to say, {figures.sent} of at least {FEWEST_SENT} messages in a day"
    than = f", {percent(before)} in the week before" if before is not None else ""
    return (
        f"Not taken by WhatsApp: {percent(share)} of {counted(figures.sent, 'message')} of the last day{than} "
        "(slower from twice as much)"
    )


def limits(turn: Turn) -> Answer:
    tenant_id, name = turn.standing.tenant_id, turn.asked.word(0)
    if not turn.asked.options.keys() & _OPTIONS:
        return Answer(_limits(turn, sending_limits.show(tenant_id, name)))
    found, is_new = sending_limits.put(
        tenant_id,
        name,
        new_contacts=turn.asked.option("new-contacts"),
        quiet=turn.asked.option("quiet"),
        human=turn.asked.option("human"),
        canary=turn.asked.option("canary"),
        actor=turn.actor,
    )
    begin = "Changed, and it counts at once." if is_new else "Nothing was changed; it was so already."
    return Answer(f"{begin}\n{_limits(turn, found)}")


def _limits(turn: Turn, found: Limits) -> str:
    name, limits = foreign(found.session.name), found.limits
    numbers = turn.installation.numbers
    a_day = limits.new_contacts_per_day
    is_human = numbers.human_like if limits.human_like is None else limits.human_like
    canary = f"every {limits.canary_minutes} minutes" if limits.canary_minutes else "off"
    lines = [
        f"*Limits of* `{name}`",
        f"• New contacts a day: {numbers.new_contacts_per_day if a_day is None else a_day}{_default(a_day)}",
        f"• Quiet hours: {_hours(limits, found.time_zone)}",
        f"• Reads, types and pauses as a person would: {'yes' if is_human else 'no'}{_default(limits.human_like)}",
        f"• Writes to itself to see whether it hears: {canary}",
        f"Set one with `session limits {name} --quiet 22:00-07:00`, for example. How it is: `session health {name}`.",
    ]
    return "\n".join(lines)


def _default(own: object) -> str:
    return " (the default)" if own is None else ""


def _hours(limits: SessionLimits, time_zone: str) -> str:
    if limits.quiet_from is None or limits.quiet_to is None:
        return "none"
    return f"{limits.quiet_from:%H:%M} to {limits.quiet_to:%H:%M}, {escape(time_zone)}"


_OPTIONS = {"new-contacts", "quiet", "human", "canary"}

COMMANDS = (
    Command(
        noun="session",
        verb="health",
        takes=("NAME",),
        summary="how close its phone number is to being restricted, and what to do",
        example="session health sales-berlin",
        permission=Permission.SESSION_SHOW,
        run=health,
    ),
    Command(
        noun="session",
        verb="limits",
        needs=("NAME",),
        options=(
            Option("new-contacts", "N", "30"),
            Option("quiet", "FROM-TO", "22:00-07:00"),
            Option("human", "on|off|default", "on"),
            Option("canary", "MINUTES", "30"),
        ),
        labels={
            "new-contacts": "New contacts a day",
            "quiet": "Quiet hours",
            "human": "Type and pause like a person",
            "canary": "Minutes between messages to itself",
        },
        summary="how much and when it may send; without options, what is set",
        example="session limits sales-berlin --quiet 22:00-07:00",
        permission=Permission.SESSION_CONTROL,
        run=limits,
    ),
)
