"""What the app asked of Slack, and what it was told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack.refusal import Json


@dataclass
class Call:
    """One call of the Web API, of a response URL or of a file address; tokens are left out.

    `answer` is None when the connection was cut or the answer was not Slack's; `stored` tells whether it had an effect.
    """

    method: str
    arguments: Json
    answer: Json | None = None
    status: int | None = None
    stored: bool = False
    at: float = field(default_factory=time.time)

    @property
    def ok(self) -> bool:
        """Whether the app was told that it worked."""
        return bool(self.answer and self.answer.get("ok"))
