"""Messages in the order of their timestamps, found by place without reading all of them."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.slack.messages import Message


def _ts(message: Message) -> str:
    # All of them have ten digits, a point and six digits: their order is that of the text.
    return message.ts


class Timeline:
    """A channel or a thread, oldest first. Most messages come last; one that is back-dated finds its place."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def add(self, message: Message) -> None:
        """Put a message where its timestamp says."""
        if self._messages and message.ts < self._messages[-1].ts:
            bisect.insort(self._messages, message, key=_ts)
        else:
            self._messages.append(message)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def after(self, ts: str) -> Iterator[Message]:
        """Those later than `ts`, oldest first."""
        for position in range(bisect.bisect_right(self._messages, ts, key=_ts), len(self._messages)):
            yield self._messages[position]

    def before(self, ts: str) -> Iterator[Message]:
        """Those earlier than `ts`, newest first."""
        for position in range(bisect.bisect_left(self._messages, ts, key=_ts) - 1, -1, -1):
            yield self._messages[position]
