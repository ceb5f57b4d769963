"""What WAHA posts: stored before it is answered, then handled in order, one transaction an event."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from database import notify, set_tenant, transaction
from operations import inbound
from operations.lanes import Inbox, Kept
from operations.outcomes import Parked
from operations.posting import tell_person
from operations.sql import database_now, first
from operations.store import insert_many
from slack.mrkdwn import foreign
from waha.events import MalformedEvent
from waha.webhooks import parse

_INBOX = Inbox("webhook_events")


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


def store(webhooks: Sequence[NewWebhook]) -> int:
    """Insert what is new, in one statement and one commit; what is known already changes nothing.

    Returns:
        How many were new.
    """
    with transaction():
        stored = insert_many("webhook_events", webhooks)
        if stored:
            notify("webhooks")
    return stored


def due_lanes(limit: int, *, busy: Collection[str] = ()) -> list[str]:
    """Chats and sessions with something to do."""
    return _INBOX.due_lanes(limit, busy=busy)


def process_head(lane: str, *, house: inbound.House) -> bool:
    """Handle the first webhook of a lane; False when none is due, or another daemon is at it."""
    return _INBOX.process_head(
        lane, lambda row: _handle(row, house), when_lost=lambda _, reason: _say_parked(reason, house)
    )


def _say_parked(reason: str, house: inbound.House) -> None:
    """Tell the operators once a day: a session that was deleted may go on for 36 hours."""
    text = (
        f"Webhooks of WAHA arrived that could not be handled; they are kept. The first today: {foreign(reason)} "
        "The runbook says how to look at them."
    )
    for operator in house.operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=None, slot=f"parked:{database_now():%Y-%m-%d}:{operator}")


@dataclass(frozen=True)
class _Owner:
    tenant_id: UUID
    session_id: UUID
    server: str
    is_deleted: bool


@dataclass(frozen=True)
class _Source:
    server: str
    session: str


def _handle(row: Kept, house: inbound.House) -> UUID:
    try:
        event = parse(bytes(row.body))
    except MalformedEvent as error:
        raise Parked(str(error)) from error
    owner = _owner_of(row)
    ours = event.envelope.metadata.get(inbound.SESSION_METADATA)
    if ours is not None and ours != str(owner.session_id):
        raise Parked("WAHA's session carries another row's id: it was not made by this installation.")
    set_tenant(owner.tenant_id)
    inbound.handle(event, owner.session_id, house=house)
    return owner.tenant_id


def _owner_of(row: Kept) -> _Owner:
    source = first(_Source, "SELECT server, session FROM webhook_events WHERE id = %s", (row.id,))
    owner = first(_Owner, "SELECT * FROM session_of(%s)", (source.session,)) if source is not None else None
    if source is None or owner is None:
        raise Parked(f"No session is called {source.session if source is not None else ''} here.")
    if owner.is_deleted:
        raise Parked("The session was deleted.")
    if owner.server != source.server:
        raise Parked(f"The session belongs to server {owner.server}, not to {source.server}.")
    return owner
