"""What WAHA posts: stored before it is answered, then handled in order, one transaction an event."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from database import notify, set_tenant, transaction
from operations import inbound
from operations.outcomes import LOOK_AGAIN_AFTER, NOT_THE_EVENTS_FAULT, NotYet, Parked, reason_of
from operations.sql import changed, database_now, first, rows
from operations.store import insert_many
from waha.events import MalformedEvent
from waha.webhooks import parse

# A poisoned event stops none behind it: after these tries it waits for a person, with its error.
MOST_ATTEMPTS = 5
_RETRY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class NewWebhook:
    """A webhook as it arrived. `lane` names what must be handled in order."""

    id: UUID
    server: str
    session: str
    event_id: str
    event_name: str
    lane: str
    body: bytes


@dataclass(frozen=True)
class _Stored:
    id: UUID
    server: str
    session: str
    event_name: str
    body: memoryview
    attempts: int


def store(webhooks: Sequence[NewWebhook]) -> int:
    """Insert what is new, in one statement and one commit; what is known already changes nothing.

    Returns:
        How many were new.
    """
    with transaction():
        stored = insert_many("webhook_events", webhooks, conflict="server, session, event_id, event_name")
        if stored:
            notify("webhooks")
    return stored


def due_lanes(limit: int, *, busy: Collection[str] = ()) -> list[str]:
    """Lanes whose first event is due, the one that waited longest first; `busy` ones are being worked on here."""
    found = rows(
        _Lane,
        """
        SELECT lane FROM webhook_events due
        WHERE processed_at IS NULL AND parked_at IS NULL AND next_attempt_at <= clock_timestamp() AND lane <> ALL (%s)
            AND NOT EXISTS (
                SELECT 1 FROM webhook_events earlier WHERE earlier.lane = due.lane AND earlier.position < due.position
                    AND earlier.processed_at IS NULL AND earlier.parked_at IS NULL
            )
        ORDER BY position LIMIT %s
        """,
        (list(busy), limit),
    )
    return [row.lane for row in found]


@dataclass(frozen=True)
class _Lane:
    lane: str


def process_head(lane: str, *, house: inbound.House) -> bool:
    """Handle the first event of a lane; False when there is none that is due, or another daemon is at it.

    An event that fails is tried again later and blocks its lane until then; one that cannot be handled is parked.

    Raises:
        DatabaseUnavailable: nothing is wrong with the event.
    """
    head: _Stored | None = None
    try:
        with transaction():
            head = _claim(lane)
            if head is None:
                return False
            tenant_id = _handle(head, house)
            changed(
                "UPDATE webhook_events SET processed_at = clock_timestamp(), tenant_id = %s, error = NULL "
                "WHERE id = %s",
                (tenant_id, head.id),
            )
    except (Parked, MalformedEvent) as reason:
        _park(head, str(reason))
    except NotYet as reason:
        _wait(head, reason)
    except NOT_THE_EVENTS_FAULT:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one event, those behind it go on
        _try_later(head, error)
    return True


def _claim(lane: str) -> _Stored | None:
    # The lock is the lane's: a lock on the row would let a second daemon take the event behind it.
    locked = first(_Locked, "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS locked", (lane,))
    if locked is None or not locked.locked:
        return None
    return first(
        _Stored,
        """
        SELECT id, server, session, event_name, body, attempts FROM (
            SELECT * FROM webhook_events WHERE lane = %s AND processed_at IS NULL AND parked_at IS NULL
            ORDER BY position LIMIT 1
        ) head WHERE next_attempt_at <= clock_timestamp()
        """,
        (lane,),
    )


@dataclass(frozen=True)
class _Locked:
    locked: bool


@dataclass(frozen=True)
class _Owner:
    tenant_id: UUID
    session_id: UUID
    server: str
    is_deleted: bool


def _handle(stored: _Stored, house: inbound.House) -> UUID | None:
    event = parse(bytes(stored.body))
    owner = first(_Owner, "SELECT * FROM session_of(%s)", (stored.session,))
    if owner is None:
        raise Parked(f"No session is called {stored.session} here.")
    if owner.is_deleted:
        raise Parked("The session was deleted.")
    if owner.server != stored.server:
        raise Parked(f"The session belongs to server {owner.server}, not to {stored.server}.")
    ours = event.envelope.metadata.get(inbound.SESSION_METADATA)
    if ours is not None and ours != str(owner.session_id):
        raise Parked("WAHA's session carries another row's id: it was not made by this installation.")
    set_tenant(owner.tenant_id)
    inbound.handle(event, owner.session_id, house=house)
    return owner.tenant_id


def _park(stored: _Stored | None, reason: str) -> None:
    if stored is None:
        return
    with transaction():
        changed(
            "UPDATE webhook_events SET parked_at = clock_timestamp(), attempts = attempts + 1, error = %s "
            "WHERE id = %s AND processed_at IS NULL",
            (reason, stored.id),
        )


def _wait(stored: _Stored | None, reason: Exception) -> None:
    if stored is None:
        raise reason
    with transaction():
        changed(
            "UPDATE webhook_events SET error = %s, next_attempt_at = clock_timestamp() + %s "
            "WHERE id = %s AND processed_at IS NULL",
            (str(reason), LOOK_AGAIN_AFTER, stored.id),
        )


def _try_later(stored: _Stored | None, error: Exception) -> None:
    if stored is None:
        raise error
    with transaction():
        last = stored.attempts + 1 >= MOST_ATTEMPTS
        changed(
            "UPDATE webhook_events SET attempts = attempts + 1, error = %s, next_attempt_at = %s, "
            "parked_at = CASE WHEN %s THEN clock_timestamp() END WHERE id = %s AND processed_at IS NULL",
            (
                reason_of(error),
                database_now() + _RETRY_AFTER * 2**stored.attempts,
                last,
                stored.id,
            ),
        )
