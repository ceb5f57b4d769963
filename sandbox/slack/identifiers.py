"""Ids and timestamps in Slack's forms."""

from __future__ import annotations

import itertools
import string
import time


class Identifiers:
    """Ids are the same in every run and carry a name where there is one (`UANA0000001`), so that a log is readable."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._latest_microsecond = 0
        self._back_dated: set[int] = set()

    def new(self, prefix: str, hint: str = "") -> str:
        """`new("U", "ana")` -> `UANA0000001`."""
        letters = "".join(letter for letter in hint.upper() if letter in string.ascii_uppercase)[:6]
        return f"{prefix}{letters}{next(self._numbers):0{10 - len(letters)}d}"

    def ts(self, seconds_ago: float = 0.0) -> str:
        """A message's timestamp: seconds and microseconds, never given twice, and growing unless it is back-dated."""
        if seconds_ago:
            return _shown(self._earlier(time.time_ns() // 1000 - int(seconds_ago * 1_000_000)))
        self._latest_microsecond = max(time.time_ns() // 1000, self._latest_microsecond + 1)
        return _shown(self._latest_microsecond)

    def _earlier(self, microsecond: int) -> int:
        while microsecond in self._back_dated:
            microsecond += 1
        self._back_dated.add(microsecond)
        return microsecond


def _shown(microsecond: int) -> str:
    seconds, rest = divmod(microsecond, 1_000_000)
    return f"{seconds:010d}.{rest:06d}"
