"""How both inboxes are worked off: in order inside a lane, lanes in parallel, one transaction a row.

A row that fails is tried again later and blocks its lane until then; after some tries it is parked, with its error, and
stops none behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from database import transaction
from operations.outcomes import LOOK_AGAIN_AFTER, NotYet, Parked, is_the_rows_fault, reason_of
from operations.sql import changed, database_now, first, rows, try_lock
from settings.logs import get_logger

log = get_logger(__name__)

MOST_ATTEMPTS = 5
_RETRY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class Kept:
    """The first open row of a lane. `body` is what arrived, as bytes."""

    id: UUID
    body: memoryview
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class _Lane:
    lane: str


class Inbox:
    """The lanes of one table.

    Args:
        table: with the columns that both inboxes share.
        kind: a condition on its rows, for a table that holds others too.
    """

    def __init__(self, table: str, kind: str = "true") -> None:
        self._table = table
        self._open = f"{kind} AND processed_at IS NULL AND parked_at IS NULL"

    def due_lanes(self, limit: int, *, busy: Collection[str] = ()) -> list[str]:
        """Lanes whose first row is due, the one that waited longest first; `busy` ones are being worked on here."""
        found = rows(
            _Lane,
            f"""
            SELECT lane FROM {self._table} due
            WHERE {self._open} AND next_attempt_at <= clock_timestamp() AND lane <> ALL (%s)
                AND NOT EXISTS (
                    SELECT 1 FROM {self._table} earlier
                    WHERE {self._open} AND earlier.lane = due.lane AND earlier.position < due.position
                )
            ORDER BY position LIMIT %s
            """,  # noqa: S608 - names of ours
            (list(busy), limit),
        )
        return [row.lane for row in found]

    def process_head(
        self,
        lane: str,
        handle: Callable[[Kept], UUID | None],
        *,
        when_lost: Callable[[Kept, str], None] | None = None,
    ) -> bool:
        """Handle the first row of a lane; False when none is due, or another daemon is at it.

        `handle` returns the tenant that the row was about. `when_lost` tells whoever must know that it failed for good,
        and why, once it is parked.

        Raises:
            DatabaseUnavailable: nothing is wrong with the row.
        """
        head: Kept | None = None
        try:
            with transaction():
                head = self._claim(lane)
                if head is None:
                    return False
                self._done(head, handle(head))
        except Exception as error:
            if head is None or not is_the_rows_fault(error):
                raise
            self._settle(head, error, when_lost)
        return True

    def _claim(self, lane: str) -> Kept | None:
        # The lock is the lane's: a lock on the row would let a second daemon take the one behind it.
        if not try_lock(f"{self._table}:{lane}"):
            return None
        return first(
            Kept,
            f"""
            SELECT id, body, attempts, created_at FROM (
                SELECT * FROM {self._table} WHERE lane = %s AND {self._open} ORDER BY position LIMIT 1
                FOR NO KEY UPDATE  -- whoever settles an earlier failure of this row waits, and finds it done
            ) head WHERE next_attempt_at <= clock_timestamp()
            """,  # noqa: S608 - names of ours
            (lane,),
        )

    def _done(self, row: Kept, tenant_id: UUID | None) -> None:
        self._write(row, "processed_at = clock_timestamp(), tenant_id = %s, error = NULL", tenant_id)

    def _settle(self, row: Kept, error: Exception, when_lost: Callable[[Kept, str], None] | None) -> None:
        if isinstance(error, NotYet):
            with transaction():
                self._write(row, "error = %s, next_attempt_at = clock_timestamp() + %s", str(error), LOOK_AGAIN_AFTER)
        elif isinstance(error, Parked):
            self._park(row, str(error), when_lost)
        elif row.attempts + 1 >= MOST_ATTEMPTS:
            self._park(row, reason_of(error), when_lost)
        else:
            with transaction():
                again = database_now() + _RETRY_AFTER * 2**row.attempts
                self._write(row, "attempts = attempts + 1, error = %s, next_attempt_at = %s", reason_of(error), again)
            log.warning("event not handled, trying again", table=self._table, event_id=row.id, exc_info=error)

    def _park(self, row: Kept, reason: str, when_lost: Callable[[Kept, str], None] | None) -> None:
        with transaction():
            parked = self._write(row, "attempts = attempts + 1, parked_at = clock_timestamp(), error = %s", reason)
        if parked and when_lost is not None:
            with transaction():
                when_lost(row, reason)
        log.error("event parked", table=self._table, event_id=row.id, reason=reason)

    def _write(self, row: Kept, assignments: str, *parameters: object) -> bool:
        """Only while the row is open: another daemon may have handled it meanwhile."""
        return bool(
            changed(
                f"UPDATE {self._table} SET {assignments} WHERE id = %s AND {self._open}",  # noqa: S608 - names of ours
                (*parameters, row.id),
            )
        )
