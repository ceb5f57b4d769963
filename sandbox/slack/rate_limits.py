"""Slack's rate limits, for those who want to be held to them.

A method has its tier a minute; `chat.postMessage` about one a second in each channel, with some burst.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.refusal import Json

TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
TIER_OF = {
    "chat.update": 3, "chat.delete": 3, "chat.postEphemeral": 4,
    "conversations.history": 3, "conversations.replies": 3, "conversations.info": 3, "conversations.join": 3,
    "conversations.open": 3, "conversations.list": 2, "conversations.members": 4,
    "files.completeUploadExternal": 4, "files.getUploadURLExternal": 4, "files.info": 4,
    "reactions.add": 3, "reactions.remove": 2,
    "users.info": 4, "users.list": 2,
    "views.open": 4, "views.publish": 4, "views.push": 4, "views.update": 4,
}  # fmt: skip
POST = "chat.postMessage"


@dataclass
class Bucket:
    """Tokens that come back with time."""

    capacity: float
    per_second: float
    tokens: float
    filled_at: float

    def wait(self, now: float) -> float:
        """Take a token, or say in how many seconds there is one."""
        self.tokens = min(self.capacity, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.per_second
        self.tokens -= 1
        return 0.0


@dataclass
class RateLimits:
    """Off until `enforced`. `burst` is how many posts a channel takes at once; Slack does not say."""

    enforced: bool = False
    burst: int = 5
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def retry_after(self, method: str, arguments: Json) -> int | None:
        """The seconds of `Retry-After`, or None when the call may pass."""
        if not self.enforced:
            return None
        wait = self._bucket(method, arguments).wait(self.clock()) if method == POST or method in TIER_OF else 0.0
        return math.ceil(wait) if wait else None

    def _bucket(self, method: str, arguments: Json) -> Bucket:
        if method == POST:
            name, capacity, per_second = f"{POST} {arguments.get('channel')}", float(self.burst), 1.0
        else:
            a_minute = float(TIERS[TIER_OF[method]])
            name, capacity, per_second = method, a_minute, a_minute / 60
        return self._buckets.setdefault(name, Bucket(capacity, per_second, capacity, self.clock()))
