"""A person's home in Slack: what is so, in words, and buttons for what they may do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models import Incident, IncidentKind
from operations.home_facts import (
    MOST_SESSIONS,
    UNANSWERED_FOR,
    Facts,
    Number,
    SessionLine,
    TenantFacts,
    Thread,
    Trouble,
)
from operations.incident_buttons import buttons_of
from operations.permissions import Permission
from operations.wording import counted
from slack.blocks import Block, actions, button, context, divider, header, sections
from slack.mrkdwn import foreign, label, link, local_time

# Slack takes a hundred; the last one says as of when it is.
MOST_BLOCKS = 99
MOST_TENANTS = 6


@dataclass(frozen=True)
class HomeButton:
    """A button that asks for a command as if it were typed; its value is the tenant, which is checked at the click."""

    action_id: str
    label: str
    command: str
    permission: Permission


HOME_BUTTONS = (
    HomeButton("home.add", "Add session", "session add", Permission.SESSION_CONTROL),
    HomeButton("home.send", "Send a message", "send", Permission.MESSAGE_SEND),
    HomeButton("home.report", "Report now", "report now", Permission.REPORT_NOW),
    HomeButton("home.help", "Help", "help", Permission.ONESELF),
)
COMMAND_OF = {one.action_id: one.command for one in HOME_BUTTONS}

_HELP = next(one for one in HOME_BUTTONS if one.permission is Permission.ONESELF)
_MARK = {"working": "🟢", "starting": "🟡", "scan_qr": "🟠", "failed": "🔴", "stopped": "⚪"}
_WORDS = {
    "working": "works",
    "starting": "is starting",
    "scan_qr": "waits for its phone to be linked: `session qr {name}`",
    "failed": "failed; see `session show {name}`",
    "stopped": "is stopped",
}
_SERVER_WORDS = {
    "up": "🟢 answers",
    "down": "🔴 is away",
    "key_refused": "🔴 refuses our key",
    "unknown": "⚪ was not looked at yet",
}
_OF_SERVER = {"down": " · its server is away", "key_refused": " · its server refuses our key"}
_KINDS = {
    IncidentKind.FAILED: "failed",
    IncidentKind.STOPPED: "stopped, though it should run",
    IncidentKind.STUCK: "does not come up",
    IncidentKind.NEEDS_SCAN: "waits for its phone to be linked again",
    IncidentKind.SILENT: "says that it works, and is silent",
    IncidentKind.NUMBER: "has trouble with its number",
    IncidentKind.SEVERAL_SESSIONS: "Several sessions fail together",
    IncidentKind.SERVER_AWAY: "WAHA server `{server}` is away",
    IncidentKind.KEY_REFUSED: "WAHA server `{server}` refuses our key",
}

NOT_MET = "I do not know you yet. Type `whoami`; a moment later your sessions stand here, if you have a role."
NO_ROLE = (
    "You have no role in any tenant, so there is nothing to show. Ask an administrator of your team to run "
    "`user invite <@{user}> AGENT`; you are then asked by direct message."
)


def blocks(facts: Facts) -> list[Block]:
    """All that the person's home shows, at most `MOST_BLOCKS`, the same for the same facts."""
    return [block for block in _parts(facts) if block][:MOST_BLOCKS]


def _parts(facts: Facts) -> Iterator[Block]:
    if facts.kept_out or not facts.is_known:
        yield from sections(facts.kept_out or NOT_MET)
        return
    if facts.is_operator:
        yield from _installation(facts)
    for tenant in facts.tenants[:MOST_TENANTS]:
        yield from _tenant(tenant)
    if more := facts.tenants[MOST_TENANTS:]:
        yield from sections(f"And {counted(len(more), 'tenant')} more, with `tenant use NAME` the one that you mean.")
    if not facts.tenants:
        if not facts.is_operator:
            yield from sections(NO_ROLE.format(user=facts.person.user_id))
        yield actions(button(_HELP.label, _HELP.action_id))


def _installation(facts: Facts) -> Iterator[Block]:
    yield header("The installation")
    servers = [
        f"{_SERVER_WORDS.get(one.state, one.state)}: `{foreign(one.name)}`, {counted(one.sessions, 'session')}"
        for one in facts.servers
    ]
    yield from sections("\n".join(servers) or "No WAHA server was looked at yet. See that a daemon runs.")
    for trouble in facts.troubles:
        yield from sections(_trouble(trouble))
    yield context("More: `server list`, `doctor`, `tenant list`.")
    yield divider()


def _tenant(tenant: TenantFacts) -> Iterator[Block]:
    yield header(tenant.name)
    if tenant.closed_because:
        yield from sections(tenant.closed_because)
        return
    if not tenant.is_active:
        yield from sections("This tenant is deactivated: nothing is sent, and what customers write is kept.")
    yield from sections(_session_lines(tenant.sessions))
    for trouble in tenant.troubles:
        yield from sections(_trouble(trouble))
        if Permission.SESSION_CONTROL in tenant.may:
            yield buttons_of(trouble.incident, IncidentKind(trouble.incident.kind)) or {}
    if Permission.MESSAGE_SHOW in tenant.may:
        yield from sections(_waiting(tenant))
    if tenant.numbers:
        yield from sections("\n".join(map(_number, tenant.numbers)))
    value, offered = str(tenant.tenant_id), [one for one in HOME_BUTTONS if one.permission in tenant.may]
    yield actions(*(button(one.label, one.action_id, value=value) for one in offered))


def _session_lines(lines: tuple[SessionLine, ...]) -> str:
    if not lines:
        return "No session yet. *Add session* makes one, and its phone is linked by a code that comes to you alone."
    many, working = lines[0].many, lines[0].working
    heading = f"*{counted(many, 'session')}*, {working} {'works' if working == 1 else 'work'}"
    more = [f"… and {many - len(lines)} more: `session list`"] if many > MOST_SESSIONS else []
    return "\n".join([heading, *map(_session, lines), *more])


def _session(line: SessionLine) -> str:
    name = foreign(line.name)
    words = _WORDS[line.status].format(name=name)
    since = f", since {local_time(line.since)}" if line.since is not None else ""
    server = _OF_SERVER.get(line.server_state, "")
    wanted = " (as somebody here wants it)" if line.status == "stopped" and not line.is_wanted else ""
    return f"{_MARK[line.status]} `{name}` {words}{wanted}{since}{server}"


def _trouble(trouble: Trouble) -> str:
    incident: Incident = trouble.incident
    kind = _KINDS[IncidentKind(incident.kind)].format(server=foreign(incident.server or ""))
    what = f"Session `{foreign(trouble.session)}` {kind}" if trouble.session else kind
    cause = f" {foreign(incident.cause)}" if incident.cause else ""
    muted = " 🔕 muted" if incident.muted_at is not None else ""
    return f"⚠️ *{what}* since {local_time(incident.began_at)}.{muted}{cause}"


def _waiting(tenant: TenantFacts) -> str:
    lines = [_unanswered(tenant.threads)]
    if tenant.failed:
        mine = f", {tenant.failed_mine} of them yours" if tenant.failed_mine else ""
        lines.append(f"✉️ {counted(tenant.failed, 'message')} did not reach a customer{mine}: `message failed`")
    return "\n".join(lines)


def _unanswered(threads: tuple[Thread, ...]) -> str:
    hours = int(UNANSWERED_FOR.total_seconds() // 3600)
    if not threads:
        return f"💬 Nobody waits for an answer for more than {hours} hours."
    many, mine, oldest = threads[0].many, threads[0].mine, min(one.since for one in threads)
    yours = f", {mine} of them yours" if mine else ""
    heading = (
        f"💬 *{counted(many, 'conversation')}* {'waits' if many == 1 else 'wait'} for an answer for more than {hours} "
        f"hours{yours}, the oldest since {local_time(oldest)}"
    )
    return "\n".join([heading, *map(_thread, threads)])


def _thread(thread: Thread) -> str:
    whose = "yours, " if thread.is_mine else ""
    since = f"{whose}through `{foreign(thread.session)}`, since {local_time(thread.since)}"
    if not thread.slack_channel_id or not thread.slack_thread_ts:
        return f"• {since}; it has no channel yet: `channel link`"
    address = f"https://slack.com/archives/{thread.slack_channel_id}/p{thread.slack_thread_ts.replace('.', '')}"
    return f"• {link(address, 'open')} in <#{thread.slack_channel_id}>, {since}"


def _number(number: Number) -> str:
    reason = f": {foreign(number.reason)}" if number.reason else ""
    return f"📶 Number of `{foreign(number.session)}`: {label(number.level)}{reason} `session health`"
