"""What the processes' logs tell: unknown outcomes, and those that were looked up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_BECAME_UNKNOWN = "outcome unknown, looked up when the lease ends"
_LOOKED_UP = "unknown outcome looked up"
_NOT_KNOWABLE = "whether a message was sent is not known"


@dataclass
class Told:
    """`unknown` counts messages and posts whose outcome was in doubt, after a crash too; `looked_up` the look-ups."""

    unknown: int = 0
    looked_up: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def read(logs: Iterable[Path]) -> Told:
    told = Told()
    doubted: set[str] = set()
    for log in logs:
        for line in log.read_text(errors="replace").splitlines():
            entry = _parsed(line)
            event = str(entry.get("event", ""))
            if event in {_BECAME_UNKNOWN, _LOOKED_UP, _NOT_KNOWABLE}:
                doubted.add(str(entry.get("message_id") or entry.get("post_id")))
                told.looked_up += event == _LOOKED_UP
            if entry.get("level") in {"error", "critical"}:
                told.errors[event] += 1
            elif not entry and "Traceback (most recent" in line:
                told.errors["a traceback outside the log"] += 1
    told.unknown = len(doubted)
    return told


def _parsed(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
