"""What the server was asked and what it posted, for tests and for the curious."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.waha.environment import Json


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Received:
    """One request. `status` is None while it is not answered, and for ever if the caller was cut off."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    status: int | None = None
    at: datetime = field(default_factory=_now)

    def as_json(self) -> Json:
        return {
            "at": self.at.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "body": self.body.decode(errors="replace"),
            "status": self.status,
        }


@dataclass
class Posted:
    """One attempt to post a webhook. `status` is None while it is under way and when nobody answered."""

    url: str
    headers: dict[str, str]
    body: bytes
    attempt: int
    status: int | None = None
    error: str | None = None
    at: datetime = field(default_factory=_now)

    @property
    def event(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed

    def as_json(self) -> Json:
        return {
            "at": self.at.isoformat(),
            "url": self.url,
            "attempt": self.attempt,
            "status": self.status,
            "error": self.error,
            "event": self.event,
        }


class Journal:
    """The newest entries of each kind, oldest first."""

    def __init__(self, size: int) -> None:
        self.requests: deque[Received] = deque(maxlen=size)
        self.webhooks: deque[Posted] = deque(maxlen=size)

    def requests_to(self, path: str) -> list[Received]:
        return [entry for entry in self.requests if entry.path == path]

    def events(self, name: str | None = None) -> list[Json]:
        """Bodies of the posts, retries included; only those of one event name if it is given."""
        bodies = [entry.event for entry in self.webhooks]
        return [body for body in bodies if name is None or body["event"] == name]

    def as_json(self) -> dict[str, list[Any]]:
        return {
            "requests": [entry.as_json() for entry in self.requests],
            "webhooks": [entry.as_json() for entry in self.webhooks],
        }
