"""The inner `event` of what the Events API sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json


def posted(message: Json) -> Json:
    """A new message; the events of a channel add `channel` and `channel_type`."""
    return {**message, "event_ts": message["ts"]}


def changed(message: Json, before: Json, event_ts: str) -> Json:
    """An edit, an unfurl, or a root that became a tombstone: only `edited` tells the first apart."""
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": message,
        "previous_message": before,
        "hidden": True,
        "ts": event_ts,
        "event_ts": event_ts,
    }


def deleted(before: Json, channel: str, event_ts: str) -> Json:
    """A message that is gone."""
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": before,
        "deleted_ts": before["ts"],
        "channel": channel,
        "hidden": True,
        "ts": event_ts,
        "event_ts": event_ts,
    }


def reaction(kind: str, message: Message, name: str, by: str, event_ts: str) -> Json:
    """`reaction_added` or `reaction_removed`; the name carries no colons."""
    return {
        "type": kind,
        "user": by,
        "reaction": name,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "item_user": message.user,
        "event_ts": event_ts,
    }


def joined(user: str, channel: str, team: str, inviter: str | None, event_ts: str) -> Json:
    """Somebody came into a channel; for the app itself this means that it was invited."""
    event = {"type": "member_joined_channel", "user": user, "channel": channel, "channel_type": "C", "team": team}
    return {**event, **({"inviter": inviter} if inviter else {}), "event_ts": event_ts}


def left(user: str, channel: str, team: str, event_ts: str) -> Json:
    """Somebody went out of a channel."""
    event = {"type": "member_left_channel", "user": user, "channel": channel, "channel_type": "C", "team": team}
    return {**event, "event_ts": event_ts}


def person_changed(person: Json, event_ts: str) -> Json:
    """Anything about a person is different: a name, a picture, or that they are a guest or deactivated now."""
    return {"type": "user_change", "user": person, "cache_ts": int(float(event_ts)), "event_ts": event_ts}


def home_opened(user: str, channel: str, view: Json | None, event_ts: str) -> Json:
    """A person looked at the app's Home tab."""
    event: Json = {"type": "app_home_opened", "user": user, "channel": channel, "tab": "home", "event_ts": event_ts}
    return {**event, "view": view} if view else event
