"""What is made of Slack's answers by a check-up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from database import transaction
from operations.doctor import LinkedChannel, spoken
from operations.findings import Finding, bad, ok, warn
from operations.sql import first
from slack.app import EVENTS, SCOPES

_QUIET = timedelta(days=7)


def scopes(granted: Collection[str] | None) -> Finding:
    """`granted` is what Slack said with its answer; None where it said nothing."""
    if granted is None:
        fix = "compare OAuth & Permissions of the app with manifest.yaml"
        return warn("slack.scopes", "Slack did not say what the token may do.", fix)
    if missing := [scope for scope in SCOPES if scope not in granted]:
        return bad(
            "slack.scopes",
            f"The token lacks {', '.join(missing)}.",
            f"add {', '.join(missing)} under OAuth & Permissions, Bot Token Scopes; then Reinstall to Workspace there",
        )
    return ok("slack.scopes", f"The token has all {len(SCOPES)} scopes.")


@dataclass(frozen=True)
class _Heard:
    event: timedelta | None
    command: timedelta | None


def arrivals() -> Finding:
    """Whether events arrive. What the app subscribes to, Slack tells no token of ours."""
    with transaction():
        heard = first(
            _Heard,
            "SELECT clock_timestamp() - (SELECT max(created_at) FROM slack_events WHERE kind = 'event') AS event, "
            "clock_timestamp() - (SELECT max(created_at) FROM slack_events WHERE kind <> 'event') AS command",
        )
    event, command = (heard.event, heard.command) if heard is not None else (None, None)
    fix = f"compare Event Subscriptions of the app with manifest.yaml ({', '.join(EVENTS[:3])}, …), then reinstall it"
    if event is None and command is None:
        return warn(
            "slack.events", "Nothing of Slack has ever arrived.", "type a command in Slack; if it fails: " + fix
        )
    if event is None:
        return bad("slack.events", "Commands arrive, and never an event: replies in threads are not heard.", fix)
    said = f"The last event of Slack arrived {spoken(event)} ago."
    if event > _QUIET and command is not None and command < timedelta(hours=1):
        return warn("slack.events", said, fix)
    return ok(
        "slack.events", f"{said} To which the app subscribes, no token can ask: manifest.yaml says which it should."
    )


def channel(linked: LinkedChannel, name: str, *, is_member: bool, is_archived: bool, is_shared: bool) -> Finding | None:
    """None where nothing is the matter."""
    shown = f"#{name} {linked.shown}" if name else linked.shown
    check = f"slack.channel.{linked.slack_channel_id}"
    if is_archived:
        fix = "unarchive it, or link another: `channel link` there, and `channel unlink` for this one"
        return bad(check, f"{shown} is archived: nothing can be posted there.", fix)
    if not is_member:
        return bad(check, f"The bot is no member of {shown}.", f"in that channel type /invite and its name; {_ELSE}")
    if is_shared:
        fix = "link a channel of your own organisation if that is not meant"
        return warn(check, f"{shown} is shared with another organisation, whose people read it too.", fix)
    return None


_ELSE = "or link another channel: `channel link`"


def refused_channel(linked: LinkedChannel, reason: str) -> Finding:
    check = f"slack.channel.{linked.slack_channel_id}"
    if reason == "missing_scope":
        return bad(check, f"{linked.shown} may not be looked at: a scope is missing.", "mend `slack.scopes` first")
    said = (
        f"Slack knows no channel {linked.shown} for the bot ({reason}): it was deleted, or is private without the bot."
    )
    return bad(check, said, f"type /invite and the bot's name there, {_ELSE}")
