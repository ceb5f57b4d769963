"""The events of Slack about one reply: as it was written, edited, deleted."""

from __future__ import annotations

from typing import Any

from models import Conversation
from tests.operations.builders import ANA, World, slack_reply

TS = "1800000000.000001"


def written(conversation: Conversation, text: str, *, edited: str = "", ts: str = TS) -> dict[str, Any]:
    """The reply itself, as it stands inside the events about it."""
    message: dict[str, Any] = slack_reply(conversation, text, ts=ts)["event"]
    return message | ({"edited": {"user": ANA.user_id, "ts": edited}} if edited else {})


def original(conversation: Conversation, text: str = "It leaves today.", **more: Any) -> Any:
    return slack_reply(conversation, text, ts=TS, **more)


def edit(conversation: Conversation, text: str, at: str = "1800000010.000001", before: str = "It leaves today.") -> Any:
    """`message_changed`, as Slack sends it; `at` is the edit's own time, empty where nobody edited anything."""
    return slack_reply(
        conversation,
        "",
        subtype="message_changed",
        message=written(conversation, text, edited=at),
        previous_message=written(conversation, before),
        user=None,
        thread_ts=None,
    )


def deletion(conversation: Conversation, text: str = "It leaves today.") -> Any:
    return slack_reply(
        conversation,
        "",
        subtype="message_deleted",
        deleted_ts=TS,
        previous_message=written(conversation, text),
        user=None,
        thread_ts=None,
    )


def outbound(world: World) -> list[tuple[str, str]]:
    return [
        (body, status)
        for body, status in world.sql("SELECT body, status FROM messages WHERE direction = 'outbound' ORDER BY seq")
    ]
