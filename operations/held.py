"""Messages that came while nobody could be shown them: kept, and posted in order as soon as somebody can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from models import Conversation, Message, now_utc
from operations.posting import queue_in_thread
from operations.relayed import relay_inbound
from operations.sql import changed
from operations.wording import counted

NO_CHANNEL: Final = "no channel"
DEACTIVATED: Final = "its tenant is deactivated"
_RECOVERED_LATE: Final = "older than a day when it was recovered"
_TOO_OLD: Final = "older than a day when it could be shown"
_WAITING: Final = [NO_CHANNEL, DEACTIVATED]

SHOWN_FOR: Final = timedelta(hours=24)
"""What waited longer is old news: it is counted, not poured into the channel."""


@dataclass(frozen=True)
class Shown:
    """What became of what was held: `recent` messages are posted now, `older` ones are only counted."""

    recent: int = 0
    older: int = 0


def hold(message: Message, reason: str) -> None:
    """Keep it for `post_held`, because of `NO_CHANNEL` or `DEACTIVATED`."""
    changed(
        "UPDATE messages SET hold_reason = %s WHERE id = %s AND tenant_id = %s",
        (reason, message.id, message.tenant_id),
    )


def keep_back(message: Message) -> None:
    """Old news that was recovered is kept and not shown; a divider has counted it."""
    changed(
        "UPDATE messages SET hold_reason = %s WHERE id = %s AND tenant_id = %s",
        (_RECOVERED_LATE, message.id, message.tenant_id),
    )


def post_held(conversation: Conversation) -> Shown:
    """Queue what a conversation holds for its thread, under a divider."""
    held = list(
        Message.live()
        .where(
            Message.tenant_id == conversation.tenant_id,
            Message.conversation_id == conversation.id,
            Message.hold_reason.in_(_WAITING),
        )
        .order_by(Message.seq)
    )
    since = now_utc() - SHOWN_FOR
    recent = [message for message in held if message.created_at >= since]
    older = len(held) - len(recent)
    if recent or older:
        queue_in_thread(conversation, _divider(held, len(recent), older))
    for message in recent:
        relay_inbound(conversation, message)
    _let_go(conversation, older_than=since)
    return Shown(len(recent), older)


def _divider(held: Sequence[Message], recent: int, older: int) -> str:
    left_out = f" {older} older than a day are kept and not shown." if older else ""
    if any(message.hold_reason == DEACTIVATED for message in held):
        return f"— {counted(recent, 'message')} arrived while this tenant was deactivated.{left_out} —"
    return f"— {recent} messages arrived before this channel was linked.{left_out} —"


def _let_go(conversation: Conversation, *, older_than: object) -> None:
    changed(
        "UPDATE messages SET hold_reason = CASE WHEN created_at < %s THEN %s END "
        "WHERE conversation_id = %s AND tenant_id = %s AND hold_reason = ANY (%s)",
        (older_than, _TOO_OLD, conversation.id, conversation.tenant_id, _WAITING),
    )


def take_over(older: Conversation, younger: Conversation) -> None:
    """Put what the younger of two joined conversations holds, and has yet to send, behind what the older has."""
    changed(
        """
        WITH place AS (
            SELECT id, row_number() OVER (ORDER BY seq) AS behind FROM messages
            WHERE conversation_id = %(younger)s AND tenant_id = %(tenant)s
                AND (hold_reason = ANY (%(held)s) OR direction = 'outbound' AND status = 'queued')
        ),
        counted AS (
            UPDATE conversations SET
                next_message_seq = next_message_seq + (SELECT count(*) FROM place),
                last_inbound_at = greatest(last_inbound_at, (
                    SELECT last_inbound_at FROM conversations WHERE id = %(younger)s AND tenant_id = %(tenant)s
                )),
                newest_written_at = greatest(newest_written_at, (
                    SELECT newest_written_at FROM conversations WHERE id = %(younger)s AND tenant_id = %(tenant)s
                ))
            WHERE id = %(older)s AND tenant_id = %(tenant)s
            RETURNING next_message_seq - (SELECT count(*) FROM place) AS before
        )
        UPDATE messages SET conversation_id = %(older)s, seq = counted.before + place.behind
        FROM place, counted WHERE messages.id = place.id
        """,
        {"younger": younger.id, "older": older.id, "tenant": older.tenant_id, "held": _WAITING},
    )
