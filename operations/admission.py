"""Whether a message may leave now, by what keeps its number from being restricted.

Quiet hours, new contacts of a day, messages that nobody answered, and the pause after the last one to somebody new.
What waits for one of them is said once in its thread, with when it leaves. Replies wait for quiet hours at most.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from database import tenant_transaction
from models import Message, WahaSession
from models.session_limits import SessionLimits
from operations import sending
from operations import sending_pace as pace
from operations.buttons import Act
from operations.hold_reasons import DAY_IS_FULL, QUIET_HOURS, UNANSWERED
from operations.saying import excerpt_of, say_in_thread
from operations.sending import Leased
from operations.sql import changed, database_now, first, lock, value
from operations.wording import counted
from settings import NumberSettings
from slack.mrkdwn import foreign, local_time

_FACTS: Final = """
SELECT c.begun_at, s.paced_until,
    (
        SELECT count(*) FROM conversations begun
        WHERE begun.tenant_id = %(tenant)s AND begun.session_id = s.id AND begun.begun_at >= %(today)s
    ) AS new_contacts,
    recent.messages, recent.newest
FROM conversations c
JOIN waha_sessions s ON s.id = c.session_id AND s.tenant_id = c.tenant_id
CROSS JOIN LATERAL (
    SELECT count(*) AS messages, max(m.sent_at) AS newest FROM messages m
    WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.direction = 'outbound'
        AND m.sent_at > %(hour_ago)s
) recent
WHERE c.id = %(conversation)s AND c.tenant_id = %(tenant)s
"""


@dataclass(frozen=True)
class _Facts:
    """Of a conversation with somebody who never wrote; `messages` were sent within an hour, the last at `newest`."""

    begun_at: datetime | None
    paced_until: datetime | None
    new_contacts: int
    messages: int
    newest: datetime | None


@dataclass(frozen=True)
class _Wait:
    reason: str
    until: datetime
    said: str


def is_free(leased: Leased) -> bool:
    """Whether nothing can keep it back: a reply, of a session without quiet hours. So it is with most."""
    return not leased.is_new_contact and not leased.limits.get("quiet_from")


def admit(
    leased: Leased, numbers: NumberSettings, *, now: datetime | None = None, chance: random.Random = pace.CHANCE
) -> bool:
    """Whether it may leave now; else it is given back, and its thread told if it waits for more than its turn.

    A first message counts from now on as one to a new contact, and the next to another one waits for a while.
    """
    if is_free(leased):
        return True
    limits = SessionLimits.of(leased.limits)
    with tenant_transaction(leased.tenant_id):
        moment = now or database_now()
        if (wait := _quiet(leased, limits, moment)) is not None:
            return _hold(leased, wait)
        return not leased.is_new_contact or _admit_to_new_contact(leased, limits, numbers, moment, chance)


def _quiet(leased: Leased, limits: SessionLimits, now: datetime) -> _Wait | None:
    quiet = pace.quiet_since_until(now, ZoneInfo(leased.time_zone), limits.quiet_from, limits.quiet_to)
    if quiet is None:
        return None
    since, until = quiet
    if leased.is_new_contact:
        return _Wait(QUIET_HOURS, until, "who has not written to you waits for their end in any case")
    is_awake = leased.last_inbound_at is not None and now - leased.last_inbound_at <= pace.ANSWERED_AT_ONCE
    if is_awake or _was_wanted_since(leased, since):
        return None
    minutes = round(pace.ANSWERED_AT_ONCE.total_seconds() / 60)
    return _Wait(QUIET_HOURS, until, f"a customer who wrote in the last {minutes} minutes is answered at once")


def _was_wanted_since(leased: Leased, since: datetime) -> bool:
    """A person who says “send now” at night means now."""
    return bool(
        value(
            "SELECT confirmed_at >= %s FROM messages WHERE id = %s AND tenant_id = %s",
            (since, leased.message_id, leased.tenant_id),
        )
    )


def _admit_to_new_contact(
    leased: Leased, limits: SessionLimits, numbers: NumberSettings, now: datetime, chance: random.Random
) -> bool:
    # Two at once, of two daemons perhaps, would both be the last of the day.
    lock(f"new contacts:{leased.session_id}")
    zone = ZoneInfo(leased.time_zone)
    today, tomorrow = pace.day_of(now, zone)
    asked = {"tenant": leased.tenant_id, "conversation": leased.conversation_id, "today": today}
    facts = first(_Facts, _FACTS, asked | {"hour_ago": now - pace.AN_HOUR})
    if facts is None or (facts.paced_until is not None and facts.paced_until > now):
        sending.put_off(leased)
        return False
    most = numbers.new_contacts_per_day if limits.new_contacts_per_day is None else limits.new_contacts_per_day
    if facts.begun_at is None and facts.new_contacts >= most:
        until = pace.morning_of(tomorrow, zone, limits.quiet_from, limits.quiet_to)
        return _hold(leased, _Wait(DAY_IS_FULL, until, counted(most, "new contact")))
    if facts.messages >= pace.MOST_UNANSWERED and facts.newest is not None:
        until = pace.next_free(facts.newest + pace.AN_HOUR, zone, limits.quiet_from, limits.quiet_to)
        return _hold(leased, _Wait(UNANSWERED, until, counted(facts.messages, "message")))
    _take_turn(leased, now, chance)
    return True


def _take_turn(leased: Leased, now: datetime, chance: random.Random) -> None:
    changed(
        "UPDATE conversations SET begun_at = coalesce(begun_at, %s) WHERE id = %s AND tenant_id = %s",
        (now, leased.conversation_id, leased.tenant_id),
    )
    if leased.is_human_like:
        changed(
            "UPDATE waha_sessions SET paced_until = %s WHERE id = %s AND tenant_id = %s",
            (now + pace.pause_before_next_contact(leased.slow_factor, chance), leased.session_id, leased.tenant_id),
        )


def _hold(leased: Leased, wait: _Wait) -> bool:
    """False: it may not leave. What waits for another day than it was told is told again."""
    if _has_written_since(leased):
        # Nothing would look at it again before its time: it comes back at once, with what is known now.
        sending.put_off(leased)
        return False
    mine = sending.put_off(leased, until=wait.until, reason=wait.reason)
    if mine and (wait.reason != leased.hold_reason or wait.reason == DAY_IS_FULL):
        message = Message.get_by_id(leased.message_id)
        session = foreign(WahaSession.get_by_id(leased.session_id).name)
        why = _WORDS[wait.reason].format(session=session, until=local_time(wait.until), said=wait.said)
        say_in_thread(message, f"⏸ Not sent yet: “{excerpt_of(message)}”. {why}", Act.DISCARD)
    return False


def _has_written_since(leased: Leased) -> bool:
    """Locks the conversation: whoever writes after this finds the message waiting, and makes it due."""
    return bool(
        value(
            "SELECT last_inbound_at IS DISTINCT FROM %s FROM conversations WHERE id = %s AND tenant_id = %s "
            "FOR NO KEY UPDATE",
            (leased.last_inbound_at, leased.conversation_id, leased.tenant_id),
        )
    )


_WORDS: Final = {
    QUIET_HOURS: "These are the quiet hours of session `{session}`. It leaves by itself at {until}; {said}. Other "
    "hours: `session limits {session}`.",
    DAY_IS_FULL: "Session `{session}` has begun chats with {said} today, as many as it may. It leaves by itself in "
    "the morning, after {until}, or as soon as the customer writes. Replies to people who wrote first leave as always. "
    "What is allowed: `session limits {session}`.",
    UNANSWERED: "This person has had {said} within an hour and never wrote; more would look like spam to WhatsApp. It "
    "leaves by itself after {until}, or as soon as they write.",
}
