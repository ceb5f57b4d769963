"""What happened to a session, as people read it."""

from __future__ import annotations

from datetime import timedelta

from bot.commands.audit_lines import WORDS, who
from bot.commands.command import Command, Turn
from models import IncidentKind
from operations import session_history, sessions
from operations.permissions import Permission
from operations.session_history import Event, Uptime, uptime_of
from operations.slack_inbox import Answer
from operations.sql import database_now
from slack.blocks import actions, sections
from slack.mrkdwn import foreign, local_time

_SEEN = {
    "WORKING": "🟢 works",
    "STARTING": "🟡 starts",
    "SCAN_QR_CODE": "🟠 shows a code to be scanned",
    "PASSKEY_REQUIRED": "🟠 waits for a passkey",
    "PASSKEY_CONFIRMATION_REQUIRED": "🟠 waits for its passkey to be confirmed",
    "FAILED": "🔴 failed",
    "STOPPED": "⚪ stopped",
}
_SOURCES = {"webhook": "WAHA said so", "poll": "seen when WAHA was asked"}
_TROUBLES = {
    IncidentKind.FAILED: "it failed",
    IncidentKind.STOPPED: "it stopped though it should run",
    IncidentKind.STUCK: "it hangs",
    IncidentKind.NEEDS_SCAN: "its phone is linked no more",
    IncidentKind.SILENT: "it is silent",
    IncidentKind.NUMBER: "its number is in danger",
}
_PERIODS = (("the last 24 hours", timedelta(days=1)), ("the last 7 days", timedelta(days=7)))


def history(turn: Turn) -> Answer:
    session, now = sessions.named(turn.standing.tenant_id, turn.asked.word(0)), database_now()
    page = session_history.page(session, turn.asked.cursor, now=now)
    is_turned = bool(turn.asked.cursor)
    name = foreign(session.name)
    if not page.events:
        return Answer(f"Nothing is known of session `{name}` yet. See `session show {name}`.", replaces=is_turned)
    totals = [] if is_turned else [_total(what, uptime_of(session, now - ago, now)) for what, ago in _PERIODS]
    lines = [f"*Session `{name}`*, newest first", *totals, *(f"• {_line(event)}" for event in page.events)]
    text = "\n".join([*lines, f"What to do about it: `session show {name}`."])
    buttons = [actions(turn.page_button("Older", page.older))] if page.older else []
    return Answer(text, [*sections(text), *buttons], replaces=is_turned)


def _line(event: Event) -> str:
    at = local_time(event.at)
    match event.kind:
        case "seen":
            return f"{at} {_SEEN.get(event.what, f'WAHA says `{foreign(event.what)}`')} _({_SOURCES[event.who]})_"
        case "began":
            cause = f" Likely: {foreign(event.who)}" if event.who else ""
            return f"{at} ❗ trouble began: {_trouble(event.what)}.{cause}"
        case "ended":
            return f"{at} ✔️ trouble ended: {_trouble(event.what)}."
    return f"{at} {who(event.who)} {WORDS.get(event.what, foreign(event.what))}"


def _trouble(kind: str) -> str:
    return _TROUBLES.get(IncidentKind(kind), kind.replace("_", " "))


def _total(what: str, found: Uptime) -> str:
    known = found.worked + found.down + found.server_away
    if not known:
        return f"In {what}: nothing was observed."
    away = f", {_length(found.server_away)} with its server away" if found.server_away else ""
    return f"In {what}: {_length(found.worked)} working, {_length(found.down)} not{away} ({found.worked / known:.1%})."


def _length(time: timedelta) -> str:
    """`2 d 3 h`, `3 h 5 min`, `5 min` or `12 s`."""
    seconds = int(time.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


COMMANDS = (
    Command(
        noun="session",
        verb="history",
        needs=("NAME",),
        summary="what happened to it: changes, troubles, and who asked for what",
        example="session history sales-berlin",
        permission=Permission.SESSION_SHOW,
        pages=True,
        run=history,
    ),
)
