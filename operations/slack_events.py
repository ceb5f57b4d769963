"""What Slack sends, as the row that is kept of it: its key, and the lane in which the daemon handles it in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from models import SlackEventKind
from operations.editions import about_of
from operations.slack_inbox import NewSlackEvent

Body = Mapping[str, Any]

_KEPT_OF_A_USER = (
    "id",
    "team_id",
    "deleted",
    "is_bot",
    "is_restricted",
    "is_ultra_restricted",
    "is_stranger",
)

_NAMESPACE = uuid5(NAMESPACE_URL, "switchboard:slack_events")


def incoming(body: Body) -> NewSlackEvent | None:
    """The row for an event, a command, a click or a form; None for what asks nothing of us, such as a closed form."""
    if "command" in body:
        return _row(body, SlackEventKind.COMMAND, f"command:{_told_by(body, 'trigger_id')}", lane="")
    if isinstance(body.get("event"), Mapping):
        return _row(body, SlackEventKind.EVENT, _event_key(body), lane=_lane(body))
    if body.get("trigger_id"):
        return _row(body, SlackEventKind.INTERACTION, f"interaction:{_told_by(body, 'trigger_id')}", lane="")
    return None


def team_of(body: Body) -> str:
    """The workspace that speaks; "" when Slack names none."""
    return str(body.get("team_id") or _id(body.get("team")) or "")


def _row(body: Body, kind: SlackEventKind, key: str, *, lane: str) -> NewSlackEvent:
    event = body.get("event") or body
    if event.get("type") == "user_change":
        body = {**body, "event": {**event, "user": _without_profile(event.get("user"))}}
    about, edition = about_of(team_of(body), _channel(event), event)
    return NewSlackEvent(
        # Out of the key: storing is repeated when the answer to a COMMIT was lost, and has to find the same row.
        id=event_id_of(key),
        key=key,
        kind=kind.value,
        slack_team_id=team_of(body),
        slack_channel_id=_channel(event),
        slack_user_id=str(event.get("user_id") or _id(event.get("user"))),
        lane=lane,
        # Slack's own proof of old that it is Slack, the same in all requests: it is good for nothing here.
        body=json.dumps({key: value for key, value in body.items() if key != "token"}).encode(),
        about=about,
        edition=edition,
    )


def _without_profile(user: object) -> Body | None:
    """Slack tells of each change of everybody's status, with names, addresses and numbers: nobody here needs them."""
    return {key: user[key] for key in _KEPT_OF_A_USER if key in user} if isinstance(user, Mapping) else None


def event_id_of(key: str) -> UUID:
    return uuid5(_NAMESPACE, key)


def _told_by(body: Body, name: str) -> str:
    """An id of Slack's, with the workspace that told it: one that lies takes no other's place."""
    return f"{team_of(body)}/{body.get(name) or _digest(body)}"


def _digest(body: Body) -> str:
    """For what Slack gave no id."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _event_key(body: Body) -> str:
    """Slack has delivered one message under several event ids: a message is known by its place and its edition."""
    event = body["event"]
    if event.get("type") != "message":
        return f"event:{_told_by(body, 'event_id')}"
    edition = (_inner(event).get("edited") or {}).get("ts") or event.get("deleted_ts") or ""
    return "message:" + "/".join(
        str(part)
        for part in (team_of(body), event.get("channel", ""), event.get("ts"), event.get("subtype") or "", edition)
    )


def _lane(body: Body) -> str:
    """The thread; for reactions and the like the message that they are about, and for a change of a person them."""
    event = body["event"]
    if event.get("type") == "user_change":
        return f"{team_of(body)}//{_id(event.get('user'))}"
    item = event.get("item")
    about = item if isinstance(item, Mapping) else _inner(event)
    thread = about.get("thread_ts") or event.get("deleted_ts") or about.get("ts") or ""
    return f"{team_of(body)}/{_channel(event)}/{thread}"


def _inner(event: Body) -> Body:
    """The message itself: for an edit or a deletion it stands inside."""
    inner = event.get("message") or event.get("previous_message")
    return inner if isinstance(inner, Mapping) else event


def _channel(event: Body) -> str:
    item = event.get("item")
    named = (
        event.get("channel_id") or event.get("channel") or (item.get("channel") if isinstance(item, Mapping) else "")
    )
    return _id(named)


def _id(value: object) -> str:
    """An id that Slack gives by itself or inside an object, as it likes."""
    return str((value.get("id") if isinstance(value, Mapping) else value) or "")
