"""How both inboxes are worked off: in order inside a lane, lanes in parallel, some rows in one transaction.

A row that fails is tried again later and blocks its lane until then; after some tries it is parked, with its error, and
stops none behind it. One that is about something which is not here yet waits in a lane of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from database import transaction
from operations.outcomes import LOOK_AGAIN_AFTER, Early, NotYet, Parked, is_the_rows_fault, reason_of, took_too_long
from operations.sql import changed, database_now, rows, value
from settings.logs import get_logger

log = get_logger(__name__)

MOST_ATTEMPTS = 5
_RETRY_AFTER = timedelta(seconds=2)
# What is about something unknown is looked at again after as long as it has waited, within these.
_EARLY_AGAIN_AT_LEAST, _EARLY_AGAIN_AT_MOST = timedelta(seconds=1), timedelta(seconds=10)

_COMPUTED = {
    "age": "clock_timestamp() - created_at AS age",
    "is_due": "next_attempt_at <= clock_timestamp() AS is_due",
}


@dataclass(frozen=True)
class Kept:
    """An open row. `body` is what arrived, as bytes; `age` is how long ago it was stored."""

    id: UUID
    body: memoryview
    attempts: int
    created_at: datetime
    age: timedelta
    is_due: bool


Row = TypeVar("Row", bound=Kept)


@dataclass(frozen=True)
class _Lane:
    lane: str


class Inbox(Generic[Row]):
    """The lanes of one table.

    Args:
        table: with the columns that both inboxes share.
        row: what is read of a row; its fields are the table's columns.
        kind: a condition on its rows, for a table that holds others too.
    """

    def __init__(self, table: str, row: type[Row], kind: str = "true") -> None:
        self._table = table
        self._row = row
        columns = [_COMPUTED.get(field.name, field.name) for field in fields(row)]
        self._columns = ", ".join(columns)
        self._open = f"{kind} AND processed_at IS NULL AND parked_at IS NULL"

    def due_lanes(self, limit: int, *, after: str = "", busy: Collection[str] = ()) -> list[str]:
        """Up to `limit` lanes whose first row is due, in turn: those behind `after` first; `busy` ones are left out.

        It steps from lane to lane through the index: what a lane holds behind its first row is not looked at.
        """
        found = self._due_behind(after, limit, busy)
        if after and len(found) < limit:
            found += [lane for lane in self._due_behind("", limit - len(found), busy) if lane not in found]
        return found

    def _due_behind(self, after: str, limit: int, busy: Collection[str]) -> list[str]:
        head = f"SELECT lane, next_attempt_at FROM {self._table} WHERE {self._open} AND lane >"  # noqa: S608 - names of ours
        found = rows(
            _Lane,
            f"""
            WITH RECURSIVE heads AS (
                ({head} %s ORDER BY lane, position LIMIT 1)
                UNION ALL
                SELECT following.* FROM heads CROSS JOIN LATERAL (
                    {head} heads.lane ORDER BY lane, position LIMIT 1
                ) following
            )
            SELECT lane FROM heads WHERE next_attempt_at <= clock_timestamp() AND lane <> ALL (%s) LIMIT %s
            """,  # noqa: S608 - names of ours
            (after, list(busy), limit),
        )
        return [row.lane for row in found]

    def work_off(
        self,
        lane: str,
        handle: Callable[[Sequence[Row]], UUID | None],
        *,
        most: int = 1,
        when_lost: Callable[[Row, str], None] | None = None,
    ) -> int:
        """Handle up to `most` rows of a lane in one transaction; 0 when none is due, or another daemon is at it.

        `handle` returns the tenant that the rows were about. Where it fails each row is handled by itself, so that one
        takes nothing back of another. `when_lost` tells whoever must know that a row failed for good, and why.

        Raises:
            DatabaseUnavailable: nothing is wrong with the row.
        """
        claimed: list[Row] = []
        try:
            with transaction():
                claimed = self._claim(lane, most)
                if claimed:
                    self._done(claimed, handle(claimed))
        except Exception as error:
            if not claimed or not is_the_rows_fault(error):
                raise
            if len(claimed) > 1:
                return self._one_by_one(lane, len(claimed), handle, when_lost)
            self._settle_surely(claimed[0], error, when_lost)
        return len(claimed)

    def process_head(
        self,
        lane: str,
        handle: Callable[[Row], UUID | None],
        *,
        when_lost: Callable[[Row, str], None] | None = None,
    ) -> bool:
        """Handle the first row of a lane, as `work_off` does; False when there is none."""
        return bool(self.work_off(lane, lambda claimed: handle(claimed[0]), when_lost=when_lost))

    def call_back(self, about: Collection[str]) -> bool:
        """What waits in these lanes is due: what it waits for is here with the end of the running transaction.

        What failed keeps its pause. What somebody is at is left to them: they may wait for what this one has locked.
        """
        return bool(
            changed(
                f"""
                UPDATE {self._table} SET next_attempt_at = clock_timestamp() WHERE id IN (
                    SELECT id FROM {self._table} WHERE lane = ANY (%s) AND {self._open} AND attempts = 0
                        AND next_attempt_at > clock_timestamp() FOR NO KEY UPDATE SKIP LOCKED
                )
                """,  # noqa: S608 - names of ours
                (list(about),),
            )
        )

    def _one_by_one(
        self,
        lane: str,
        count: int,
        handle: Callable[[Sequence[Row]], UUID | None],
        when_lost: Callable[[Row, str], None] | None,
    ) -> int:
        handled = 0
        while handled < count and self.work_off(lane, handle, when_lost=when_lost):
            handled += 1
        return handled

    def _claim(self, lane: str, most: int) -> list[Row]:
        """The first rows of a lane, as far as they are due.

        The lock is the lane's: a lock on the row would let a second daemon take the one behind it. Rows are locked too:
        whoever settles an earlier failure of one waits, and what another daemon has done meanwhile is seen as done.
        """
        found = rows(
            self._row,
            f"""
            SELECT {self._columns} FROM {self._table}
            WHERE (SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 2))) AND lane = %s AND {self._open}
            ORDER BY position LIMIT %s FOR NO KEY UPDATE
            """,  # noqa: S608 - names of ours
            (f"{self._table}:{lane}", lane, most),
        )
        due = next((number for number, row in enumerate(found) if not row.is_due), len(found))
        return found[:due]

    def _done(self, handled: Sequence[Row], tenant_id: UUID | None) -> None:
        changed(
            f"UPDATE {self._table} SET processed_at = clock_timestamp(), tenant_id = %s, error = NULL "  # noqa: S608 - names of ours
            f"WHERE id = ANY (%s) AND {self._open}",
            (tenant_id, [row.id for row in handled]),
        )

    def _settle_surely(self, row: Row, error: Exception, when_lost: Callable[[Row, str], None] | None) -> None:
        try:
            self._settle(row, error, when_lost)
        except Exception as another:
            if not is_the_rows_fault(another):
                raise
            # What the row says of its end cannot be written: a failure as any other, which counts.
            self._settle(row, another, None)

    def _settle(self, row: Row, error: Exception, when_lost: Callable[[Row, str], None] | None) -> None:
        if isinstance(error, NotYet):
            with transaction():
                self._write(row, "error = %s, next_attempt_at = clock_timestamp() + %s", str(error), LOOK_AGAIN_AFTER)
        elif isinstance(error, Early):
            self._step_aside(row, error)
        elif isinstance(error, Parked):
            self._park(row, str(error), when_lost)
        elif row.attempts + 1 >= MOST_ATTEMPTS and not (took_too_long(error) and self._is_stuck()):
            self._park(row, reason_of(error), when_lost)
        else:
            with transaction():
                again = database_now() + _RETRY_AFTER * 2 ** min(row.attempts, MOST_ATTEMPTS)
                self._write(row, "attempts = attempts + 1, error = %s, next_attempt_at = %s", reason_of(error), again)
            log.warning("event not handled, trying again", table=self._table, event_id=row.id, exc_info=error)

    def _is_stuck(self) -> bool:
        """Whether nothing was handled lately: then PostgreSQL is slow, and no single row is to blame."""
        with transaction():
            return not value(
                f"SELECT EXISTS (SELECT 1 FROM {self._table} "  # noqa: S608 - names of ours
                "WHERE processed_at > clock_timestamp() - interval '1 minute' "
                "AND created_at > clock_timestamp() - interval '1 hour')"
            )

    def _step_aside(self, row: Row, early: Early) -> None:
        with transaction():
            pause = "least(greatest(clock_timestamp() - created_at, %s), %s)"
            self._write(
                row,
                f"lane = %s, error = %s, next_attempt_at = clock_timestamp() + {pause}",
                early.about,
                str(early),
                _EARLY_AGAIN_AT_LEAST,
                _EARLY_AGAIN_AT_MOST,
            )

    def _park(self, row: Row, reason: str, when_lost: Callable[[Row, str], None] | None) -> None:
        with transaction():
            parked = self._write(row, "attempts = attempts + 1, parked_at = clock_timestamp(), error = %s", reason)
        if parked and when_lost is not None:
            with transaction():
                when_lost(row, reason)
        log.error("event parked", table=self._table, event_id=row.id, reason=reason)

    def _write(self, row: Row, assignments: str, *parameters: object) -> bool:
        """Only while the row is open: another daemon may have handled it meanwhile."""
        return bool(
            changed(
                f"UPDATE {self._table} SET {assignments} WHERE id = %s AND {self._open}",  # noqa: S608 - names of ours
                (*parameters, row.id),
            )
        )
