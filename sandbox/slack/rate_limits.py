"""Slack's rate limits, for those who want to be held to them.

A method has its tier a minute in the workspace; `chat.postMessage` about one a second in each channel, with some burst,
and "several hundred" a minute in all. What is refused costs nothing.
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
    "apps.connections.open": 3, "chat.update": 3, "chat.delete": 3, "chat.postEphemeral": 4,
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
        """In how many seconds there is a token; 0 when there is one now."""
        self.tokens = min(self.capacity, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        # A token that is there but for rounding is there.
        return max(0.0, (1 - self.tokens) / self.per_second - 1e-9)

    def take(self) -> None:
        """Use a token up."""
        self.tokens -= 1


@dataclass
class RateLimits:
    """Off until `enforced`. `burst` is how many posts a channel takes at once; Slack does not say."""

    enforced: bool = False
    burst: int = 5
    posts_a_minute: int = 300
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def retry_after(self, method: str, arguments: Json) -> int | None:
        """The seconds of `Retry-After`, or None when the call may pass."""
        if not self.enforced:
            return None
        buckets, now = self._buckets_of(method, arguments), self.clock()
        wait = max((bucket.wait(now) for bucket in buckets), default=0.0)
        if wait:
            return math.ceil(wait)
        for bucket in buckets:
            bucket.take()
        return None

    def _buckets_of(self, method: str, arguments: Json) -> list[Bucket]:
        if method == POST:
            channel = self._bucket(f"{POST} {arguments.get('channel')}", float(self.burst), 1.0)
            return [channel, self._a_minute(POST, self.posts_a_minute)]
        return [self._a_minute(method, TIERS[TIER_OF[method]])] if method in TIER_OF else []

    def _a_minute(self, name: str, calls: int) -> Bucket:
        return self._bucket(name, float(calls), calls / 60)

    def _bucket(self, name: str, capacity: float, per_second: float) -> Bucket:
        return self._buckets.setdefault(name, Bucket(capacity, per_second, capacity, self.clock()))
