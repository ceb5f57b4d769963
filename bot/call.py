from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Self
from uuid import UUID

from bot.incoming import Body
from operations.slack_inbox import NewSlackEvent
from operations.standing import Person

# Slack takes answers at a response_url for 30 minutes; the last one is left for the way.
RESPONSE_URL_LIVES = timedelta(minutes=29)


@dataclass(frozen=True)
class Call:
    """A command or click, and how its person is reached.

    `typed` is None for clicks; after `respond_until`, on the clock of `time.monotonic`, the response_url is dead.
    """

    event_id: UUID
    person: Person
    channel_id: str
    response_url: str
    typed: str | None
    respond_until: float

    @property
    def is_late(self) -> bool:
        """Whether who asked has stopped waiting."""
        return time.monotonic() >= self.respond_until

    @classmethod
    def of(cls, row: NewSlackEvent, body: Body, age: timedelta = timedelta(0)) -> Self:
        return cls(
            event_id=row.id,
            person=Person(row.slack_team_id, row.slack_user_id),
            channel_id=row.slack_channel_id,
            response_url=str(body.get("response_url") or ""),
            typed=str(body.get("text") or "") if "command" in body else None,
            respond_until=time.monotonic() + (RESPONSE_URL_LIVES - age).total_seconds(),
        )
