"""Faults are switched on for a while: what every kind of them has in common."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Seconds = float | tuple[float, float]


@dataclass(eq=False, kw_only=True)
class Switch:
    """Strikes the next `times` (None: all) of what it is about, each with `probability`, until it is healed.

    Its dice are its own and start at `seed`, so that a run can be repeated whatever else is switched on. `hits` counts.
    `session` is the name of the session that it is about, and may hold `*`. Seconds are real ones whatever the pace;
    two of them are the ends of a range to draw from.
    """

    session: str = "*"
    seconds: Seconds = 0.0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    hits: int = field(default=0, init=False)
    healed: bool = field(default=False, init=False)
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    @property
    def is_over(self) -> bool:
        return self.healed or (self.times is not None and self.hits >= self.times)

    def heal(self) -> None:
        self.healed = True

    def strikes(self) -> bool:
        """Whether this one is struck; counted if so."""
        if self.is_over or self.dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def is_about(self, session: str) -> bool:
        return self.session == "*" or fnmatchcase(session, self.session)

    def draw_seconds(self) -> float:
        return self.dice.uniform(*self.seconds) if isinstance(self.seconds, tuple) else self.seconds
