"""The queue of outgoing messages: lease, send, record. `docs/states.md` draws it, `daemon.sender` makes the calls.

A daemon claims the *conversation*; claiming message rows would let a second daemon overtake the first. Leases run by
PostgreSQL's clock, and every record is fenced: it counts only while the lease's token is still on the row.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, tenant_transaction, transaction
from models import Message
from operations import deciding, restrictions
from operations.buttons import Act
from operations.delivery import say_failed
from operations.hold_reasons import ASIDE, STALE, UNKNOWN
from operations.receipts import show_receipt
from operations.saying import excerpt_of, say_in_thread
from operations.sql import changed, rows, value
from slack.mrkdwn import foreign

# In flight at once for one WhatsApp account, in different conversations.
PER_SESSION = 4
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=10)
_FIRST_HOLD = timedelta(seconds=5)
_LONGEST_HOLD = timedelta(seconds=30)
_RANDOM = random.Random()  # noqa: S311 - spreads load, keeps no secret

_LEASED = "session_id = %s AND tenant_id = %s AND send_lease_token = %s"
_HEAD_IS_DUE = (
    "(SELECT next_attempt_at FROM messages WHERE conversation_id = c.id AND status = 'queued' "
    "AND direction = 'outbound' AND parked_at IS NULL ORDER BY seq LIMIT 1)"
)


@dataclass(frozen=True)
class Leased:
    """A message that is ours to send until the lease ends. `send_started_at`: an earlier try was interrupted.

    `age` counts from when a person last wanted it sent, or from when it might leave, if that was later: the time that
    its thread was told, or its turn among new contacts. `is_confirmed`: it is not asked whether it is still wanted.
    `id_confirmed`: WAHA has told of it by itself, so it has left. A new contact never wrote to us. `known_as` is the
    chat id that WhatsApp answered for the chat at `checked_at`, if it was asked; None then: it knows no such number.
    """

    message_id: UUID
    tenant_id: UUID
    session_id: UUID
    conversation_id: UUID
    lease_token: UUID
    lease_expires_at: datetime
    external_session_id: str
    server: str
    engine: str
    ids_refused: bool
    chat_id: str
    body: str
    waha_message_id: str
    attempts: int
    send_started_at: datetime | None
    created_at: datetime
    age: timedelta
    is_confirmed: bool
    id_confirmed: bool
    is_new_contact: bool
    is_human_like: bool
    slow_factor: float
    limits: dict[str, Any]
    time_zone: str
    last_inbound_at: datetime | None
    known_as: str | None
    checked_at: datetime | None
    hold_reason: str | None


def lease(
    limit: int,
    lease: timedelta,
    *,
    servers: Collection[str] | None = None,
    margin: timedelta = timedelta(0),
    manners: timedelta = timedelta(0),
    is_human_like: bool = False,
) -> list[Leased]:
    """The heads of up to `limit` conversations, each with its WhatsApp id chosen and committed before the call.

    Only of sessions on these WAHA `servers`, which the daemon knows; without it on all. `margin` is what a lease
    outlasts its call by: in that time it takes no place of its session. A session that types before it sends has its
    messages for longer by `manners`; all do with `is_human_like`, but for those that were told otherwise.
    """
    with transaction():
        names = None if servers is None else list(servers)
        asked = (limit, PER_SESSION, lease, names, margin, manners, is_human_like)
        return rows(Leased, "SELECT * FROM lease_messages(%s, %s, %s, %s, %s, %s, %s)", asked)


def begin(leased: Leased, needed: timedelta, *, chat_id: str | None = None) -> bool:
    """Mark the call as begun; False when less than `needed` is left of the lease, and it must not be made.

    `needed` is the call itself and what may go by before it is made. `chat_id` is where it goes, if that is another
    than it was written to.
    """
    with tenant_transaction(leased.tenant_id):
        return bool(
            changed(
                "UPDATE messages SET send_started_at = clock_timestamp(), chat_id = %s "
                "WHERE id = %s AND tenant_id = %s AND lease_token = %s AND status = 'queued' AND parked_at IS NULL "
                "AND lease_expires_at > clock_timestamp() + %s",
                (chat_id or leased.chat_id, leased.message_id, leased.tenant_id, leased.lease_token, needed),
            )
        )


def record_sent(leased: Leased, *, waha_message_id: str | None, is_pending: bool = False) -> bool:
    """WAHA took the message; False when the lease was no longer ours.

    `waha_message_id` is as WAHA answered: another than ours means that this session's ids cannot be trusted. With
    `is_pending` WAHA has it and WhatsApp not yet; that counts as sent, and `operations.unacknowledged` looks after it.
    """
    with tenant_transaction(leased.tenant_id):
        mine = _close(
            leased,
            "status = 'sent', sent_at = clock_timestamp(), error_message = NULL, hold_reason = NULL, "
            "id_confirmed = %s, awaits_ack_since = CASE WHEN %s THEN clock_timestamp() END",
            (waha_message_id is not None, is_pending),
        )
        if waha_message_id is not None and waha_message_id != leased.waha_message_id:
            _distrust_ids(leased, waha_message_id, mine=mine)
        if mine:
            show_receipt(Message.get_by_id(leased.message_id))
        return mine


def record_not_sent(leased: Leased, error: str, *, give_up_after: timedelta, blocks_for: timedelta) -> bool:
    """The message did not leave; it is tried again, later each time, until it is `give_up_after` old.

    After `blocks_for` of failures it is set aside for a person, so that the later ones of its chat go on.
    """
    with tenant_transaction(leased.tenant_id):
        if _is_too_old(leased, give_up_after):
            return _fail(leased, _given_up(give_up_after, error))
        if _blocks_longer_than(leased, blocks_for):
            return _set_aside(leased, error)
        return _close(
            leased,
            "attempts = attempts + 1, error_message = %s, send_started_at = NULL, "
            "blocks_since = coalesce(blocks_since, clock_timestamp()), next_attempt_at = clock_timestamp() + %s",
            (error, pause_after(leased.attempts)),
            waits=True,
        )


def record_held(leased: Leased, reason: str, *, pause: timedelta, give_up_after: timedelta) -> bool:
    """The session cannot send now: its whole queue waits, and no attempt is counted, until the message is too old.

    Where it was to be looked up it stays to be looked up; what may have left is not called failed.
    """
    with tenant_transaction(leased.tenant_id):
        may_have_left = leased.send_started_at is not None
        if _is_too_old(leased, give_up_after):
            return _park_unknown(leased) if may_have_left else _fail(leased, _given_up(give_up_after, reason))
        mine = _close(
            leased,
            "hold_reason = %s, send_started_at = CASE WHEN %s THEN send_started_at END",
            (reason, may_have_left),
            waits=True,
        )
        _pause_session(leased, pause)
        return mine


def record_restricted(leased: Leased, *, until: datetime | None, give_up_after: timedelta) -> bool:
    """The account may start no new chats, until then if that is known: this message waits, and all to new contacts.

    Where WhatsApp refuses even though the customer wrote before, this conversation alone waits with them.
    """
    with tenant_transaction(leased.tenant_id):
        if _is_too_old(leased, give_up_after):
            return _fail(leased, _given_up(give_up_after, restrictions.REFUSED))
        mine = _close(leased, "send_started_at = NULL, error_message = %s", (restrictions.REFUSED,), waits=True)
        ends = restrictions.restrict(leased.tenant_id, leased.session_id, until=until)
        if mine and not leased.is_new_contact:
            changed(
                "UPDATE messages SET next_attempt_at = %s WHERE id = %s AND tenant_id = %s",
                (ends, leased.message_id, leased.tenant_id),
            )
        if mine:
            restrictions.hold(leased.tenant_id, leased.conversation_id, until=ends)
        return mine


def put_off(leased: Leased, *, until: datetime | None = None, reason: str | None = None) -> bool:
    """Give back, in the running transaction, what is as it should be and may not leave before then.

    Without a time it may as soon as its session does; a time is a promise, from which its age counts.
    """
    return _close(
        leased,
        "next_attempt_at = coalesce(%s, next_attempt_at), hold_reason = coalesce(%s, hold_reason), "
        "promised_for = coalesce(%s, promised_for)",
        (until, reason, until),
        waits=True,
    )


def record_postponed(
    leased: Leased, reason: str, *, pause: timedelta, blocks_for: timedelta, pauses_session: bool = False
) -> bool:
    """The look-up of an unknown outcome failed: look again later, and send nothing meanwhile.

    After `blocks_for` of failures a person is asked what became of it, so that the later ones of its chat go on.
    """
    with tenant_transaction(leased.tenant_id):
        if _blocks_longer_than(leased, blocks_for):
            return _park_unknown(leased)
        mine = _close(
            leased,
            "hold_reason = %s, blocks_since = coalesce(blocks_since, clock_timestamp()), "
            "next_attempt_at = clock_timestamp() + %s",
            (reason, pause),
            waits=True,
        )
        if pauses_session:
            _pause_session(leased, pause)
        return mine


def record_refused(leased: Leased, reason: str) -> bool:
    """WAHA will never take this message; the thread is told why."""
    with tenant_transaction(leased.tenant_id):
        return _fail(leased, reason)


def record_unknowable(leased: Leased) -> bool:
    """Whether the message was sent can only be seen on the phone: a person decides, nothing is sent again by itself."""
    with tenant_transaction(leased.tenant_id):
        return _park_unknown(leased)


def ask_what_became(message: Message) -> None:
    text = (
        f"❓ It is not known whether “{excerpt_of(message)}” was sent: the connection broke while it was on its way. "
        "Look on the phone, then say here what became of it."
    )
    say_in_thread(message, text, Act.WAS_SENT, Act.SEND_AGAIN)


def record_stale(leased: Leased) -> bool:
    """The message waited so long that the customer may wonder: a person decides whether it is still wanted."""
    with tenant_transaction(leased.tenant_id):
        minutes = round(leased.age.total_seconds() / 60)
        parked = _close(
            leased,
            "parked_at = clock_timestamp(), hold_reason = %s, error_message = %s",
            (STALE, f"It waited {minutes} minutes and was not sent unasked."),
        )
        if parked:
            message: Message = Message.get_by_id(leased.message_id)
            text = f"⏸ Not sent: “{excerpt_of(message)}” waited {minutes} minutes. Is it still wanted?"
            say_in_thread(message, text, Act.SEND_NOW, Act.DISCARD)
        return parked


def _is_too_old(leased: Leased, give_up_after: timedelta) -> bool:
    return leased.age > give_up_after


def _blocks_longer_than(leased: Leased, blocks_for: timedelta) -> bool:
    return bool(
        value(
            "SELECT blocks_since < clock_timestamp() - %s FROM messages WHERE id = %s AND tenant_id = %s",
            (blocks_for, leased.message_id, leased.tenant_id),
        )
    )


def _pause_session(leased: Leased, pause: timedelta) -> None:
    """A longer pause that somebody asked for goes on."""
    changed(
        "UPDATE waha_sessions SET hold_until = greatest(hold_until, clock_timestamp() + %s) "
        "WHERE id = %s AND tenant_id = %s",
        (pause, leased.session_id, leased.tenant_id),
    )


def _park_unknown(leased: Leased) -> bool:
    parked = _close(leased, "parked_at = clock_timestamp(), hold_reason = %s", (UNKNOWN,))
    if parked:
        ask_what_became(Message.get_by_id(leased.message_id))
    return parked


def _given_up(give_up_after: timedelta, reason: str) -> str:
    return f"Given up after {give_up_after.total_seconds() / 3600:g} hours. {reason}"


def _set_aside(leased: Leased, error: str) -> bool:
    # Nothing of it left, so that a later try is not preceded by a look-up.
    aside = _close(
        leased,
        "attempts = attempts + 1, error_message = %s, parked_at = clock_timestamp(), hold_reason = %s, "
        "send_started_at = NULL",
        (error, ASIDE),
    )
    if aside:
        message: Message = Message.get_by_id(leased.message_id)
        text = f"⏸ Not sent, and set aside so that later messages go on: “{excerpt_of(message)}”. {foreign(error)}"
        say_in_thread(message, text, Act.RETRY, Act.EDIT, Act.DISCARD)
    return aside


def pause_after(attempts: int, source: random.Random = _RANDOM) -> timedelta:
    """2 s, 4 s, 8 s … up to 10 minutes, each with up to a quarter of jitter so that retries do not march in step."""
    return _jittered(min(_FIRST_PAUSE * 2 ** min(attempts, 20), _LONGEST_PAUSE), source)


def hold_for(age: timedelta) -> timedelta:
    """How long the queue of a session waits that cannot send now: longer the longer it has, up to half a minute."""
    return _jittered(min(max(age / 10, _FIRST_HOLD), _LONGEST_HOLD), _RANDOM)


def _jittered(pause: timedelta, source: random.Random) -> timedelta:
    return pause * source.uniform(0.75, 1.0)


def _fail(leased: Leased, reason: str) -> bool:
    failed = _close(leased, "status = 'failed', attempts = attempts + 1, error_message = %s", (reason,))
    if failed:
        message = Message.get_by_id(leased.message_id)
        say_failed(message)
        show_receipt(message)
    return failed


def _close(leased: Leased, assignments: str, parameters: tuple[object, ...], *, waits: bool = False) -> bool:
    """Write an outcome where the lease is still ours, and free the conversation by the same token.

    A message that `waits` stays the head of its conversation; else the next one is.
    """
    lease = (leased.session_id, leased.tenant_id, leased.lease_token)
    # The conversation first: whoever queues or takes a message locks it first too, and nobody waits in a circle. And in
    # a statement of its own: only one that begins when it is locked sees what was queued until then.
    value(f"SELECT id FROM conversations WHERE {_LEASED} FOR NO KEY UPDATE", lease)  # noqa: S608 - words of ours
    mine = changed(
        f"UPDATE messages SET {assignments}, lease_token = NULL, lease_expires_at = NULL, "  # noqa: S608 - words of ours
        "updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s AND lease_token = %s AND status = 'queued'",
        (*parameters, leased.message_id, leased.tenant_id, leased.lease_token),
    )
    if mine and (waits or leased.send_started_at is not None):
        deciding.drop_taken_back(leased.tenant_id, leased.message_id)
    # It is freed also where a webhook told the outcome before us: the next message need not wait for the lease's end.
    changed(
        "UPDATE conversations c SET send_lease_token = NULL, send_lease_expires_at = NULL, "  # noqa: S608 - words of ours
        f"sends_from = {'sends_from' if waits else _HEAD_IS_DUE} WHERE {_LEASED}",
        lease,
    )
    notify("messages")
    return bool(mine)


def _distrust_ids(leased: Leased, waha_message_id: str, *, mine: bool) -> None:
    changed(
        "UPDATE waha_sessions SET ids_refused_at = clock_timestamp() "
        "WHERE id = %s AND tenant_id = %s AND ids_refused_at IS NULL",
        (leased.session_id, leased.tenant_id),
    )
    if not mine:
        return
    changed(
        "UPDATE messages SET waha_message_id = %s WHERE id = %s AND tenant_id = %s "
        "AND NOT EXISTS (SELECT 1 FROM messages taken WHERE taken.session_id = %s AND taken.direction = 'outbound' "
        "AND taken.waha_message_id = %s)",
        (waha_message_id[:255], leased.message_id, leased.tenant_id, leased.session_id, waha_message_id[:255]),
    )
