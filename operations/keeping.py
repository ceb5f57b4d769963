"""A WhatsApp message becomes a row with the next place of its conversation."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from psycopg2.extras import Json

from models import Conversation, Direction, Message, MessageStatus, WahaSession, uuid7
from operations.conversations import masked, number_of
from operations.outcomes import NotYet
from operations.sql import clean, clean_json, entity
from waha.messages import Message as WahaMessage

LONGEST_ID, _LONGEST_URL = 255, 500  # the columns'; a longer URL goes to the metadata
# WhatsApp's clock counts whole seconds, and what is written in one of them arrives in any order.
_IN_ORDER_WITHIN = timedelta(seconds=2)
# A time further ahead is none: it would make whatever is written until then late.
_CLOCKS_DIFFER = timedelta(minutes=1)

# The conversation's row stays locked until the commit, so that the order of places is the order of commits. A message
# that another lane keeps at this moment is waited for, and then nothing is written.
_KEEP = """
    WITH place AS (
        UPDATE conversations SET
            next_message_seq = next_message_seq + 1,
            newest_written_at = greatest(newest_written_at,
                CASE WHEN %(written_at)s::timestamptz < clock_timestamp() + %(clocks_differ)s
                    THEN %(written_at)s::timestamptz END),
            last_inbound_at = CASE WHEN %(is_inbound)s THEN clock_timestamp() ELSE last_inbound_at END
        WHERE id = %(conversation_id)s AND tenant_id = %(tenant_id)s
        RETURNING next_message_seq AS seq,
            %(may_be_late)s AND newest_written_at - %(written_at)s > %(tolerance)s AS is_late
    )
    INSERT INTO messages (id, tenant_id, session_id, conversation_id, seq, direction, from_msisdn, to_msisdn, chat_id,
        body, status, sent_at, delivered_at, waha_message_id, message_type, media_url, metadata)
    SELECT %(id)s, %(tenant_id)s, %(session_id)s, %(conversation_id)s, place.seq, %(direction)s, %(from_msisdn)s,
        %(to_msisdn)s, %(chat_id)s, %(body)s, %(status)s,
        CASE WHEN NOT %(is_inbound)s THEN clock_timestamp() END, CASE WHEN %(is_inbound)s THEN clock_timestamp() END,
        %(waha_message_id)s, %(message_type)s, %(media_url)s,
        %(metadata)s::jsonb || CASE WHEN place.is_late THEN '{"late": true}'::jsonb ELSE '{}' END
    FROM place
    ON CONFLICT (session_id, direction, waha_message_id) WHERE waha_message_id IS NOT NULL DO NOTHING
    RETURNING *
"""


def keep(
    told: WahaMessage, session: WahaSession, conversation: Conversation, *, name: str, may_be_late: bool
) -> Message:
    """The message's row. It is late where one that was written after it is in the conversation already.

    Raises:
        NotYet: another lane keeps it at this moment, under the chat's other name.
    """
    # What came in is here, so it is delivered; what left from the phone was sent by WhatsApp itself.
    direction, status = (
        (Direction.OUTBOUND, MessageStatus.SENT) if told.from_me else (Direction.INBOUND, MessageStatus.DELIVERED)
    )
    row = {
        "id": uuid7(),
        "tenant_id": session.tenant_id,
        "session_id": session.id,
        "conversation_id": conversation.id,
        "direction": direction.value,
        "is_inbound": not told.from_me,
        "status": status.value,
        "chat_id": told.chat_id,
        "body": clean(told.body),
        "waha_message_id": told.message_id[:LONGEST_ID],
        "message_type": told.message_type,
        "written_at": told.timestamp,
        "may_be_late": may_be_late,
        "tolerance": _IN_ORDER_WITHIN,
        "clocks_differ": _CLOCKS_DIFFER,
    }
    kept = entity(Message, _KEEP, row | _numbers(told, session) | _details(told, name))
    if kept is None:
        raise NotYet("Another event of this message was handled at the same moment.")
    return kept


def kept_message(
    session: WahaSession, message_id: str, direction: Direction = Direction.INBOUND, *, lock: bool = False
) -> Message | None:
    """The message of a WhatsApp id; with `lock` nobody else changes it until the end of the transaction."""
    return entity(
        Message,
        "SELECT * FROM messages WHERE tenant_id = %s AND session_id = %s AND direction = %s AND waha_message_id = %s "  # noqa: S608 - words of ours
        + ("FOR NO KEY UPDATE" if lock else ""),
        (session.tenant_id, session.id, direction.value, message_id[:LONGEST_ID]),
    )


def _numbers(told: WahaMessage, session: WahaSession) -> dict[str, str | None]:
    own = number_of(str(session.metadata.get("me_id", "")))
    other = _other_number(told)
    return {"from_msisdn": own, "to_msisdn": other} if told.from_me else {"from_msisdn": other, "to_msisdn": own}


def _other_number(told: WahaMessage) -> str | None:
    return number_of(told.sender or told.chat_id) or number_of(told.alternate_sender or "")


def _details(told: WahaMessage, name: str) -> dict[str, Any]:
    other = _other_number(told)
    metadata = {
        "sender": told.sender,
        "sender_name": name or (masked(other) if other else ""),
        "timestamp": told.timestamp.astimezone(UTC).isoformat() if told.timestamp else None,
        "source": told.source,
    }
    media_url = told.media.url if told.media is not None else None
    if media_url is not None and len(media_url) > _LONGEST_URL:
        metadata["media_url"], media_url = media_url, None
    return {"media_url": media_url, "metadata": Json(clean_json(metadata))}
