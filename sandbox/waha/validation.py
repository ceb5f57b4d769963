"""What WAHA's validator says to a request that creates or changes a session."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from sandbox.waha import errors
from sandbox.waha.environment import Json

EVENTS = (
    "session.status",
    "message",
    "message.reaction",
    "message.any",
    "message.ack",
    "message.ack.group",
    "message.waiting",
    "message.revoked",
    "message.edited",
    "state.change",
    "group.join",
    "group.leave",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.update",
    "group.v2.participants",
    "presence.update",
    "poll.vote",
    "poll.vote.failed",
    "chat.archive",
    "call.received",
    "call.accepted",
    "call.rejected",
    "label.upsert",
    "label.deleted",
    "label.chat.added",
    "label.chat.deleted",
    "event.response",
    "event.response.failed",
    "engine.event",
    "*",
)
_NAME_LENGTH = 54
_NAME_RULE = (
    "Session name can only contain alphanumeric characters, hyphens, and underscores (a-z, A-Z, 0-9, -, _) or be empty"
)


def check_session(body: Json, *, passes_over_unknown_events: bool) -> None:
    """Checks the body of a create or update.

    Args:
        body: The request.
        passes_over_unknown_events: Old servers refuse an event that they do not know; newer ones pass over it.

    Raises:
        Refusal: 400, with the list of everything that is wrong.
    """
    problems = _name(body.get("name")) + _boolean("start", body.get("start"))
    config = body.get("config")
    if isinstance(config, dict):
        problems += _metadata(config.get("metadata"))
        for index, webhook in enumerate(config.get("webhooks") or []):
            problems += _webhook(
                f"config.webhooks.{index}", webhook, passes_over_unknown_events=passes_over_unknown_events
            )
    if problems:
        raise errors.bad_request(problems)


def _name(name: Any) -> list[str]:
    if name is None:
        return []
    problems = []
    if not isinstance(name, str):
        problems.append("name must be a string")
    if not isinstance(name, str) or len(name) > _NAME_LENGTH:
        problems.append(f"name must be shorter than or equal to {_NAME_LENGTH} characters")
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]*", name):
        problems.append(_NAME_RULE)
    return problems


def _boolean(field: str, value: Any) -> list[str]:
    return [] if value is None or isinstance(value, bool) else [f"{field} must be a boolean value"]


def _metadata(metadata: Any) -> list[str]:
    if metadata is None:
        return []
    if isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()):
        return []
    return ["config.metadata accepts string key-value pairs only"]


def _webhook(path: str, webhook: Json, *, passes_over_unknown_events: bool) -> list[str]:
    problems = []
    url = webhook.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        problems.append(f"{path}.url must be a URL address")
    if not passes_over_unknown_events and any(event not in EVENTS for event in webhook.get("events") or []):
        problems.append(f"{path}.each value in events must be one of the following values: {', '.join(EVENTS)}")
    hmac = webhook.get("hmac")
    if isinstance(hmac, dict) and hmac.get("key") is not None and not isinstance(hmac["key"], str):
        problems.append(f"{path}.hmac.key must be a string")
    return problems
