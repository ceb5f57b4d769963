"""What WAHA posts: stored before it is answered, then handled in order, some events of a chat in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from database import notify, set_tenant, transaction
from operations import inbound
from operations.envelopes import opened_body, sealed_body
from operations.inbound import Heard
from operations.lanes import Inbox, Kept
from operations.outcomes import NotYet, Parked
from operations.posting import tell_person
from operations.sql import database_now, first, rows
from operations.store import insert_many
from slack.mrkdwn import foreign
from waha.events import MalformedEvent
from waha.webhooks import HISTORY, parse

# Of a chat, in one transaction: enough to share the price of a commit, and over before anybody waits for it.
AT_ONCE = 10
# What is told of a message that is not here yet waits this long for it; WAHA repeats what we did not take, later each
# time, and what comes after that is read from its history.
_WAITS_FOR = timedelta(minutes=1)


@dataclass(frozen=True)
class _Webhook(Kept):
    server: str
    session: str
    event_id: str
    event_name: str
    lane: str
    position: int


_INBOX = Inbox("webhook_events", _Webhook)
_MESSAGES = ("message", "message.any")


@dataclass(frozen=True)
class NewWebhook:
    """A webhook as it arrived. `lane` names what must be handled in order."""

    id: UUID
    server: str
    session: str
    event_id: str
    event_name: str
    lane: str
    body: bytes = field(repr=False)


def store(webhooks: Sequence[NewWebhook]) -> int:
    """Insert what is new, in one statement and one commit; what is known already changes nothing.

    Returns:
        How many were new.
    """
    with transaction():
        stored = insert_many("webhook_events", [_as_kept(webhook) for webhook in webhooks])
        if stored:
            notify("webhooks")
    return stored


def _as_kept(webhook: NewWebhook) -> NewWebhook:
    """What WAHA tells of an account may hold what opens it, a QR or a pairing code: it is kept encrypted.

    What it tells of messages is not, and what cannot be read is kept for a person to look at.
    """
    if not webhook.event_name or webhook.event_name.startswith("message"):
        return webhook
    return replace(webhook, body=sealed_body(webhook.body, table="webhook_events", row=webhook.id))


def due_lanes(limit: int, *, after: str = "", busy: Collection[str] = ()) -> list[str]:
    """Chats and sessions with something to do, those behind `after` first."""
    return _INBOX.due_lanes(limit, after=after, busy=busy)


def process_head(lane: str, *, house: inbound.House) -> bool:
    """Handle the first webhook of a lane; False when none is due, or another daemon is at it."""
    return bool(process(lane, house=house, most=1))


def process(lane: str, *, house: inbound.House, most: int = AT_ONCE) -> int:
    """Handle up to `most` webhooks of a lane, in one transaction as long as none fails; returns how many."""
    return _INBOX.work_off(
        lane,
        lambda claimed: _handle(claimed, house),
        most=most,
        when_lost=lambda _, reason: _say_parked(reason, house),
    )


def _say_parked(reason: str, house: inbound.House) -> None:
    """Tell the operators once a day; of a deleted session there is nothing to do, and WAHA goes on for 36 hours."""
    if reason == inbound.DELETED:
        return
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


def _handle(claimed: Sequence[_Webhook], house: inbound.House) -> UUID:
    heard = [_heard(row) for row in claimed]
    owner = _owner_of(claimed)
    if owner.is_deleted:
        return _of_deleted(claimed, owner)
    for one in heard:
        ours = one.event.envelope.metadata.get(inbound.SESSION_METADATA)
        if ours is not None and ours != str(owner.session_id):
            raise Parked("WAHA's session carries another row's id: it was not made by this installation.")
    set_tenant(owner.tenant_id)
    behind = _wait_for_other_lanes(claimed, owner)
    arrived = inbound.handle(heard, owner.session_id, house=house)
    about = [inbound.waits_for(claimed[0].session, message_id) for message_id in arrived]
    if about + behind and _INBOX.call_back(about + behind):
        notify("webhooks")
    return owner.tenant_id


def _of_deleted(claimed: Sequence[_Webhook], owner: _Owner) -> UUID:
    """That it stopped, and the like, is what was asked for.

    Raises:
        Parked: somebody wrote something.
    """
    if any(not row.event_name or row.event_name.startswith("message") for row in claimed):
        raise Parked(inbound.DELETED)
    return owner.tenant_id


@dataclass(frozen=True)
class _Waiting:
    lane: str
    position: int


def _wait_for_other_lanes(claimed: Sequence[_Webhook], owner: _Owner) -> list[str]:
    """A customer with two chat ids has two lanes and one thread: what came first under the other id goes first.

    Nobody waits in a circle, since all places are different.

    Returns:
        The other lanes, where messages wait that came after these.

    Raises:
        NotYet: a message with an earlier place waits there.
    """
    newest = max((row.position for row in claimed if row.event_name in _MESSAGES), default=None)
    if newest is None:
        return []
    elsewhere = rows(
        _Waiting,
        """
        SELECT first.lane, first.position FROM conversation_chats mine
        JOIN conversation_chats other ON other.conversation_id = mine.conversation_id AND other.id <> mine.id
        CROSS JOIN LATERAL (
            SELECT lane, position FROM webhook_events
            WHERE lane = %(session)s || '/' || other.chat_id AND processed_at IS NULL AND parked_at IS NULL
                AND event_name = ANY (%(messages)s)
            ORDER BY lane, position LIMIT 1
        ) first
        WHERE mine.tenant_id = %(tenant_id)s AND mine.session_id = %(session_id)s AND mine.chat_id = %(chat_id)s
        """,
        {
            "session": claimed[0].session,
            "messages": list(_MESSAGES),
            "tenant_id": owner.tenant_id,
            "session_id": owner.session_id,
            "chat_id": claimed[0].lane.removeprefix(f"{claimed[0].session}/"),
        },
    )
    if any(first.position < newest for first in elsewhere):
        raise NotYet("An earlier message of this customer came under their other id.")
    return [first.lane for first in elsewhere]


def _heard(row: _Webhook) -> Heard:
    try:
        event = parse(opened_body(row.body, table="webhook_events", row=row.id))
    except MalformedEvent as error:
        raise Parked(str(error)) from error
    is_history = row.event_id.startswith(HISTORY)
    return Heard(event, may_wait=row.age < _WAITS_FOR, is_history=is_history, row_id=row.id)


def _owner_of(claimed: Sequence[_Webhook]) -> _Owner:
    """Whose the webhooks of a lane are: one session's, whatever server posted them."""
    session, servers = claimed[0].session, {row.server for row in claimed}
    owner = first(_Owner, "SELECT * FROM session_of(%s)", (session,))
    if owner is None:
        raise Parked(f"No session is called {session} here.")
    if not owner.is_deleted and servers != {owner.server}:
        raise Parked(f"The session belongs to server {owner.server}, not to {', '.join(servers - {owner.server})}.")
    return owner
