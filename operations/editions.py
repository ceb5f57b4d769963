"""A Slack message in all its editions: as it was written, as it was changed, and its end. The newest one counts.

Slack promises no order: an edit may arrive before what it edits, and each of them again under another event id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from operations.sql import rows, value
from operations.standing import Person

Event = Mapping[str, Any]

DELETED: Final = "deleted"
"""The edition behind all others: it sorts after every ts."""

INTERNAL: Final = "//"
# In italics, in a quotation or list, behind an invisible mark, in full width: what looks so is meant so.
_IS_INTERNAL = re.compile(r"(?:[\s*_~`\u2022\u25e6\u25aa\u200b-\u200f\u2060\ufeff-]|&gt;|\d+\.\s)*[/\uff0f]{2}")
# A plain message, one with files, one that is also sent to the channel, and `/me`.
_WRITTEN_BY_PEOPLE = (None, "file_share", "thread_broadcast", "me_message")
# Slack repeats an event for a day at most, so nothing as old as this is still on its way.
_ON_ITS_WAY_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Reply:
    """What a person wrote in a thread, in one edition: empty as first written, then the ts of each edit, `DELETED`.

    `was_internal`: the edition before this one, which Slack sends along, was talk among colleagues.
    """

    writer: Person
    team_id: str
    channel_id: str
    thread_ts: str
    ts: str
    edition: str
    text: str
    has_files: bool
    was_internal: bool

    @property
    def is_internal(self) -> bool:
        return bool(_IS_INTERNAL.match(self.text))

    @property
    def is_deleted(self) -> bool:
        return self.edition == DELETED

    @property
    def about(self) -> str:
        return _about(self.team_id, self.channel_id, self.ts)

    def is_old(self, at: datetime) -> bool:
        """Whether the edition before this one must have arrived by then."""
        return at.timestamp() - float(self.ts) > _ON_ITS_WAY_FOR.total_seconds()


def reply_of(payload: Mapping[str, Any]) -> Reply | None:
    """The reply that an event of Slack's Events API is about; None for everything else."""
    event = _mapping(payload.get("event"))
    edition = edition_of(event)
    if event.get("type") != "message" or edition is None or not event.get("channel"):
        return None
    said, before = _said(event), _mapping(event.get("previous_message"))
    if not _is_reply(said):
        return None
    team_id = str(payload.get("team_id") or "")
    own_team_id = said.get("user_team") or said.get("source_team") or said.get("team") or team_id
    return Reply(
        writer=Person(str(own_team_id), str(said["user"])),
        team_id=team_id,
        channel_id=str(event["channel"]),
        thread_ts=str(said["thread_ts"]),
        ts=str(said["ts"]),
        edition=edition,
        text=str(said.get("text") or ""),
        has_files=bool(said.get("files")),
        was_internal=bool(_IS_INTERNAL.match(str(before.get("text") or ""))),
    )


def completed(payload: dict[str, Any]) -> dict[str, Any]:
    """An event with the message that it is about; Slack need not repeat what was deleted."""
    event = payload.get("event") or {}
    if event.get("subtype") != "message_deleted" or event.get("previous_message"):
        return payload
    about = _about(str(payload.get("team_id") or ""), str(event.get("channel")), str(event.get("deleted_ts")))
    body = value("SELECT body FROM slack_events WHERE about = %s AND edition <> %s LIMIT 1", (about, DELETED))
    if body is None:
        return payload
    return payload | {"event": {**event, "previous_message": _said(json.loads(bytes(body))["event"])}}


def edition_of(event: Event) -> str | None:
    """Which edition of a message an event tells; None where it tells none, as when Slack adds a preview to a link."""
    match event.get("subtype"):
        case "message_deleted":
            return DELETED
        case "message_changed":
            return _edited(_said(event)) or None
    return _edited(event)


def about_of(team_id: str, channel_id: str, event: Event) -> tuple[str, str]:
    """The message that an event is about, and which edition it tells; both empty where it tells none."""
    edition = edition_of(event) if event.get("type") == "message" else None
    ts = _said(event).get("ts") or event.get("deleted_ts")
    return (_about(team_id, channel_id, str(ts)), edition) if edition is not None and ts else ("", "")


@dataclass(frozen=True)
class _Handled:
    edition: str


def handled(reply: Reply) -> list[str]:
    """The editions of this message with which the inbox is done."""
    found = rows(
        _Handled,
        "SELECT edition FROM slack_events WHERE about = %s AND (processed_at IS NOT NULL OR parked_at IS NOT NULL)",
        (reply.about,),
    )
    return [one.edition for one in found]


def _about(team_id: str, channel_id: str, ts: str) -> str:
    return f"{team_id}/{channel_id}/{ts}"


def _said(event: Event) -> Event:
    """The message itself: of an edit or a deletion it stands inside."""
    if event.get("subtype") in ("message_changed", "message_deleted"):
        return _mapping(event.get("message") or event.get("previous_message"))
    return event


def _edited(message: Event) -> str:
    return str(_mapping(message.get("edited")).get("ts") or "")


def _mapping(found: Any) -> Event:
    return found if isinstance(found, Mapping) else {}


def _is_reply(message: Event) -> bool:
    return (
        message.get("subtype") in _WRITTEN_BY_PEOPLE
        and bool(message.get("user"))
        and not message.get("bot_id")
        and bool(message.get("thread_ts"))
        and message.get("thread_ts") != message.get("ts")
    )
