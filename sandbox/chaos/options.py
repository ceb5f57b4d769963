"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# What makes a run of 10,000 each way count; a smaller one needs its share.
FULL_SIZE = 10_000
KILLS_OF_FULL_SIZE = 50
UNKNOWN_OF_FULL_SIZE = 200


@dataclass(frozen=True)
class Options:
    """`messages` each way. `paced`: Slack's limits are enforced, and ours are on. `minutes` is the longest offer.

    `freezes`: instead of all other faults daemons stand still for longer than a lease, and go on where they were.
    """

    directory: Path
    messages: int = 200
    seed: int = 1
    minutes: float = 10.0
    paced: bool = False
    sabotage: str = ""
    conversations: int = 200
    freezes: bool = False

    @property
    def kills_needed(self) -> int:
        return 0 if self.freezes else min(KILLS_OF_FULL_SIZE, KILLS_OF_FULL_SIZE * self.messages // FULL_SIZE)

    @property
    def unknown_needed(self) -> int:
        return min(UNKNOWN_OF_FULL_SIZE, UNKNOWN_OF_FULL_SIZE * self.messages // FULL_SIZE)
