"""Whether this daemon reaches Slack in a workspace, from what becomes of its posts there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from operations.outages import LASTS


@dataclass
class SlackHealth:
    """`failing_since` is when the first call failed after the last one that Slack answered; None while it answers.

    `failed_at` is when the newest call failed: what Slack took after it, from any daemon, proves that it is there.
    """

    failing_since: datetime | None = None
    failed_at: datetime | None = None
    reason: str = ""

    def answered(self) -> None:
        """Slack answered, be it with a refusal of what was asked."""
        self.failing_since = None
        self.failed_at = None
        self.reason = ""

    def failed(self, reason: str, at: datetime) -> None:
        """Slack was not reached, did not answer, or refuses all that we ask."""
        self.failing_since = self.failing_since or at
        self.failed_at = at
        self.reason = reason

    def away(self, now: datetime) -> str:
        """Why Slack counts as out of reach, "" while it does not."""
        if self.failing_since is None or now - self.failing_since < LASTS:
            return ""
        return f"Slack cannot be reached since {self.failing_since:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"
