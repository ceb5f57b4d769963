"""The seeded schedule of faults: the same seed, the same faults at the same seconds, however long the run is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

# Seconds between two faults, on average, and between two kills.
FAULT_EVERY = 2.5
KILL_EVERY = 9.0
SHORTEST, LONGEST = 1.0, 5.0

# Who is killed, and how often in comparison.
KILLS = {"bot": 4, "daemon a": 5, "daemon b": 5, "postgres stopped": 2, "postgres crashed": 2, "keeper": 1}
# Longer than any lease: whoever was frozen finds its work with somebody else. Only on demand, see docs/chaos.md, and
# alone: a process that is killed meanwhile has no outcome left that comes too late.
FREEZES = ("daemon a frozen", "daemon b frozen")
FREEZE_EVERY = 36.0
TROUBLES = (
    "postgres stalled",
    "slack latency",
    "slack slow to store",
    "slack 429",
    "slack 500",
    "slack hangs",
    "slack cut before",
    "slack cut after storing",
    "slack hangs after storing",
    "slack channel limited",
    "slack sockets cut",
    "slack reconnect asked",
    "slack pongs muted",
    "slack events doubled",
    "slack events doubled under new ids",
    "slack events swapped",
    "slack events late",
    "slack acknowledgements lost",
    "slack away",
    "waha latency",
    "waha slow to carry out",
    "waha slow to answer",
    "waha 500",
    "waha 503",
    "waha hangs",
    "waha hangs after carrying out",
    "waha cut before",
    "waha cut after carrying out",
    "waha webhooks doubled",
    "waha webhooks overtaken",
    "waha webhooks late",
    "waha messages told twice",
    "waha twins",
    "waha receipts repeated",
    "waha receipts backwards",
    "waha connections cut",
    "waha session reconnects",
    "waha away",
)


@dataclass(frozen=True)
class Fault:
    """`at` and `seconds` count from the start of the load; `draw` (0 to 1) decides whatever is left open."""

    at: float
    name: str
    seconds: float
    draw: float

    @property
    def is_kill(self) -> bool:
        return self.name in KILLS


def faults(seed: int) -> Iterator[Fault]:
    """All faults of a seed, in order, without end."""
    source = random.Random(f"faults of {seed}")
    next_kill, next_trouble = source.uniform(0, KILL_EVERY), source.uniform(0, FAULT_EVERY)
    unused: list[str] = []
    while True:
        if next_kill <= next_trouble:
            [name] = source.choices(list(KILLS), weights=list(KILLS.values()))
            yield Fault(next_kill, name, 0.0, source.random())
            next_kill += source.uniform(0.5, 1.5) * KILL_EVERY
            continue
        # Every trouble once before any comes again.
        unused = unused or source.sample(TROUBLES, k=len(TROUBLES))
        yield Fault(next_trouble, unused.pop(), source.uniform(SHORTEST, LONGEST), source.random())
        next_trouble += source.uniform(0.5, 1.5) * FAULT_EVERY


def freezes() -> Iterator[Fault]:
    """One daemon after the other, each when the last is over, without end."""
    for number in itertools.count():
        yield Fault(3.0 + number * FREEZE_EVERY, FREEZES[number % len(FREEZES)], 0.0, 0.0)
