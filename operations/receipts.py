"""How far an agent's message got, shown as a reaction on the Slack message that it came from."""

from __future__ import annotations

from datetime import timedelta

from database import database, notify
from models import Message, MessageStatus, PostKind, uuid7
from operations.posting import next_place, receipts_lane

# A message that leaves at once needs one reaction, not two: Slack allows about fifty a minute.
_QUEUED_SHOWN_AFTER = timedelta(seconds=2)


def receipt_of(message: Message) -> str:
    """`queued`, `sent`, `delivered`, `read` or `failed`."""
    if message.status == MessageStatus.DELIVERED and message.read_at is not None:
        return "read"
    return str(message.status.value)


def show_receipt(message: Message) -> None:
    """Have the relay show the present receipt; one row a message, so that states which were passed are never posted."""
    if message.slack_ts is None or message.slack_team_id is None or message.slack_channel_id is None:
        return
    receipt = receipt_of(message)
    delay = _QUEUED_SHOWN_AFTER if receipt == "queued" else timedelta(0)
    lane_id, seq = next_place(receipts_lane(message.slack_team_id, message.slack_channel_id))
    database.execute_sql(
        """
        INSERT INTO slack_posts (id, tenant_id, conversation_id, message_id, lane_id, seq, kind, slot,
            slack_team_id, slack_channel_id, payload, next_attempt_at)
        VALUES (%(id)s, %(tenant)s, %(conversation)s, %(message)s, %(lane)s, %(seq)s, %(kind)s, %(slot)s,
            %(team)s, %(channel)s, jsonb_build_object('ts', %(ts)s::text, 'receipt', %(receipt)s::text),
            clock_timestamp() + %(delay)s)
        ON CONFLICT (slot) WHERE slot IS NOT NULL DO UPDATE SET
            payload = slack_posts.payload || jsonb_build_object('receipt', %(receipt)s::text),
            posted_at = NULL, parked_at = NULL, next_attempt_at = clock_timestamp() + %(delay)s
        """,
        {
            "id": uuid7(),
            "tenant": message.tenant_id,
            "conversation": message.conversation_id,
            "message": message.id,
            "kind": PostKind.REACT.value,
            "slot": f"receipt:{message.id}",
            "team": message.slack_team_id,
            "channel": message.slack_channel_id,
            "ts": message.slack_ts,
            "receipt": receipt,
            "delay": delay,
            "lane": lane_id,
            "seq": seq,
        },
    )
    notify("posts")
