"""How an entry of the audit reads: when, who, what to which, from what to what, from where."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from operations.audit_pages import Entry
from slack.mrkdwn import foreign, label, local_time

_LONGEST_VALUE = 60
_LONGEST_LINE = 900

# What was done, in words that the name of the row follows. What is not here is shown by its action alone.
WORDS = {
    "audit.export": "took the audit away as a file",
    "channel.link": "linked the channel",
    "channel.unlink": "unlinked the channel",
    "contact.erase": "erased a customer",
    "contact.export": "took a customer's data away as a file",
    "file.withhold": "withheld a file that somebody may not have any more",
    "incident.mute": "muted the messages about",
    "incident.unmute": "let speak again the messages about",
    "installation.check": "had the installation looked at",
    "invitation.accept": "accepted an invitation as",
    "invitation.decline": "declined an invitation as",
    "login.failure": "gave a wrong password",
    "login.link": "asked for a link to the password page",
    "login.locked": "was locked out after wrong passwords",
    "login.password_forgotten": "made forget the password of",
    "login.password_set": "set a password",
    "login.success": "logged in",
    "logout": "logged out",
    "message.cancel": "cancelled a message",
    "message.discard": "discarded a message",
    "message.edit": "changed the text of a message",
    "message.retry": "sent a message again",
    "message.send_again": "sent a message again that may have left",
    "message.send_now": "sent an old message after all",
    "message.send": "wrote a message",
    "message.take_back": "took a message back",
    "message.was_sent": "confirmed that a message left",
    "report.now": "asked for the health report",
    "report.pause": "paused the report",
    "report.remove": "removed the report",
    "report.resume": "let go on the report",
    "report.schedule": "scheduled the report",
    "retention.delete": "deleted what is kept no longer",
    "server.drain": "drained the WAHA server",
    "server.undrain": "lets new sessions onto the WAHA server",
    "session.add": "added the session",
    "session.adopt": "took over the session",
    "session.logout": "logged out the session",
    "session.pair": "asked for a code that links the phone of the session",
    "session.proxy": "set the proxy of the session",
    "session.limits": "changed the limits of the session",
    "session.qr": "asked for the QR code of the session",
    "session.remove": "removed the session",
    "session.repair": "put right the configuration of the session",
    "session.restart": "restarted the session",
    "session.want.running": "started the session",
    "session.want.stopped": "stopped the session",
    "tenant.bind": "bound to a workspace the tenant",
    "tenant.activate": "activated the tenant",
    "tenant.create": "created the tenant",
    "tenant.deactivate": "deactivated the tenant",
    "tenant.delete": "deleted the tenant",
    "tenant.restore": "restored the tenant",
    "tenant.settings": "changed settings of the tenant",
    "tenant.update": "changed the tenant",
    "user.activate": "let in again",
    "user.add": "gave a role to",
    "user.deactivate": "deactivated",
    "user.invite": "invited",
    "user.remove": "removed",
    "user.role": "changed the role of",
    "user.update": "changed",
    "user.withdraw": "withdrew an invitation",
    "workspace.add": "added a Slack workspace",
    "workspace.remove": "removed a Slack workspace",
}
_SAID_BY_WORDS = frozenset({"is_active"})
_PEOPLE = frozenset({"slack", "invited_by"})
_OUR_WORDS = frozenset({"purpose", "status", "state", "desired_state", "hold_reason"})
_STATES = {"inactive": "deactivated"}
_PERSON = re.compile("[A-Z0-9]{2,20}/[UW][A-Z0-9]{1,20}", re.ASCII)
_CHANNEL = re.compile("[CGD][A-Z0-9]{1,20}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_DOORS = {
    "button": "a button",
    "command": "a command",
    "form": "a form",
    "home": "their home in Slack",
    "job": "the daemon",
    "page": "the page",
    "reply": "a reply",
}


def line(entry: Entry) -> str:
    what = WORDS.get(entry.action, "")
    name = f"*{label(entry.subject_name)}*" if entry.subject_name else ""
    changes = _changes(entry)
    said = " ".join(part for part in (who(entry.actor), what, name, f"`{foreign(entry.action)}`") if part)
    told = f"{local_time(entry.created_at)} {said}{': ' if changes else ''}{changes}"
    return f"• {_cut(told, _LONGEST_LINE)}{_from(entry.source)}"


def who(actor: str) -> str:
    """`T1/U1` as a mention; what is no person, as `system: retention`, as it is."""
    team_id, _, user_id = actor.partition("/")
    is_person = team_id.isalnum() and user_id.isalnum()
    return f"<@{user_id}>" if is_person else f"_{label(actor)}_"


def _changes(entry: Entry) -> str:
    before, after = entry.before or {}, entry.after or {}
    keys = dict.fromkeys([*before, *after])
    # Settings are shown by the keys that they are typed by.
    name = label if entry.action == "tenant.settings" else _spoken
    return ", ".join(
        f"{name(key)} {_change(key, before, after)}"
        for key in keys
        if before.get(key) != after.get(key) and key not in _SAID_BY_WORDS
    )


def _change(key: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    if key not in before:
        return _shown(key, after[key])
    return f"{_shown(key, before[key])} → {_shown(key, after[key]) if key in after else '—'}"


def _shown(key: str, found: Any) -> str:
    if found is None or found in ("", []):
        return "—"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, list):
        return label(_cut(", ".join(map(str, found)), _LONGEST_VALUE))
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return _of_kind(key, text) or label(_cut(text, _LONGEST_VALUE))


def _of_kind(key: str, text: str) -> str:
    """A person, a channel, a time or a word of ours as people read it; "" for anything else."""
    if key in _PEOPLE and _PERSON.fullmatch(text):
        return who(text)
    if key == "channel" and _CHANNEL.fullmatch(text):
        return f"<#{text}>"
    if _TIME.fullmatch(text):
        return _local(text)
    return _spoken(_STATES.get(text, text)) if key in _OUR_WORDS else ""


def _local(text: str) -> str:
    try:
        return local_time(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return ""


def _spoken(word: str) -> str:
    return label(_cut(word.replace("_", " "), _LONGEST_VALUE))


def _from(source: str) -> str:
    door, _, place = source.partition(":")
    if door not in _DOORS:
        return f" · {label(source)}" if source else ""
    if door in {"page", "job"}:
        return f" · by {_DOORS[door]} ({label(place)})"
    channel_id = place.split("/")[1] if "/" in place else ""
    if not channel_id.isalnum():
        return f" · by {_DOORS[door]}"
    return f" · by {_DOORS[door]} in {'a direct message' if channel_id.startswith('D') else f'<#{channel_id}>'}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
