"""Learns how long each session is usually silent, some sessions at a time, each once a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg2.extras import Json

from database import tenant_transaction, transaction
from operations import rhythms
from operations.rhythms import Silence
from operations.sql import changed, database_now, rows
from settings.logs import get_logger

log = get_logger(__name__)

# Of a session with 100,000 messages in four weeks it takes a second.
_AT_ONCE: Final = 5


@dataclass(frozen=True)
class _Sample:
    """The silences of a session: how many short ones in which hour, and from when to when the longer ones."""

    tenant_id: UUID
    session_id: UUID
    age: timedelta
    short: dict[str, int]
    long: list[tuple[float, float]]

    def rhythm(self) -> dict[str, int]:
        long = [Silence(datetime.fromtimestamp(a, UTC), datetime.fromtimestamp(b, UTC)) for a, b in self.long]
        return rhythms.learn({int(hour): count for hour, count in self.short.items()}, long, age=self.age)


def learn_some(*, now: datetime | None = None) -> int:
    """Learn the rhythms that are a day old or missing, of a few sessions; how many that were."""
    with transaction():
        moment = now or database_now()
        samples = rows(_Sample, "SELECT * FROM rhythm_samples(%s, %s, %s)", (_AT_ONCE, rhythms.SHORTEST, moment))
    for sample in samples:
        with tenant_transaction(sample.tenant_id):
            changed(
                "UPDATE session_watches SET rhythm = coalesce(%s, rhythm), learned_at = %s "
                "WHERE session_id = %s AND tenant_id = %s",
                (_learn(sample), moment, sample.session_id, sample.tenant_id),
            )
    return len(samples)


def _learn(sample: _Sample) -> Json | None:
    try:
        return Json(sample.rhythm())
    except Exception:  # one session's strange times keep nobody else's from being learned, and are tried again tomorrow
        log.exception("rhythm of a session is not learned", session_id=sample.session_id)
        return None
