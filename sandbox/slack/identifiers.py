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

    def new(self, prefix: str, hint: str = "") -> str:
        """`new("U", "ana")` -> `UANA0000001`."""
        letters = "".join(letter for letter in hint.upper() if letter in string.ascii_uppercase)[:6]
        return f"{prefix}{letters}{next(self._numbers):0{10 - len(letters)}d}"

    def ts(self) -> str:
        """A message's timestamp: seconds and microseconds, never given twice and always growing."""
        self._latest_microsecond = max(time.time_ns() // 1000, self._latest_microsecond + 1)
        seconds, microseconds = divmod(self._latest_microsecond, 1_000_000)
        return f"{seconds}.{microseconds:06d}"
