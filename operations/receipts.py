"""How far an agent's message got, shown as a reaction on the Slack message that it came from."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from database import database, notify
from models import Message, MessageStatus, PostKind, uuid7
from operations.posting import failures_lane, next_place, receipts_lane
from operations.sql import changed

# A message that leaves at once needs one reaction, not two: Slack allows about fifty a minute.
_QUEUED_SHOWN_AFTER = timedelta(seconds=2)

# Later states of one sending come later here. A failed message may begin anew.
_ORDER = ("queued", "sent", "delivered", "read", "failed")

# A state that was passed, or is to be shown already, changes nothing. A failure leaves the lane in which it would wait
# behind the receipts of others.
_SHOW = """
    INSERT INTO slack_posts (id, tenant_id, conversation_id, message_id, lane_id, seq, kind, slot,
        slack_team_id, slack_channel_id, payload, next_attempt_at)
    VALUES (%(id)s, %(tenant)s, %(conversation)s, %(message)s, %(lane)s, %(seq)s, %(kind)s, %(slot)s,
        %(team)s, %(channel)s, jsonb_build_object('ts', %(ts)s::text, 'receipt', %(receipt)s::text),
        clock_timestamp() + %(delay)s)
    ON CONFLICT (slot) WHERE slot IS NOT NULL DO UPDATE SET
        payload = slack_posts.payload || jsonb_build_object('receipt', %(receipt)s::text),
        lane_id = CASE WHEN %(receipt)s = 'failed' THEN %(lane)s ELSE slack_posts.lane_id END,
        seq = CASE WHEN %(receipt)s = 'failed' THEN %(seq)s ELSE slack_posts.seq END,
        posted_at = NULL, parked_at = NULL, next_attempt_at = clock_timestamp() + %(delay)s
    WHERE slack_posts.payload->>'receipt' = 'failed'
        OR array_position(%(order)s::text[], %(receipt)s)
            > array_position(%(order)s::text[], slack_posts.payload->>'receipt')
"""


def receipt_of(message: Message) -> str:
    """`queued`, `sent`, `delivered`, `read` or `failed`."""
    if message.status == MessageStatus.DELIVERED and message.read_at is not None:
        return "read"
    return str(message.status.value)


def show_receipt(message: Message) -> None:
    """Have the relay show the present receipt; one row a message, so that states which were passed are never posted."""
    place = _next_place(message)
    if place is not None:
        _show(message, *place)


def hand_over_receipt(message: Message, again: Message) -> None:
    """Show on the Slack message how far `again` got, which was queued instead of `message`; it may begin anew."""
    # The lane first, as whoever records what was shown does: else two wait for each other.
    place = _next_place(again)
    changed(
        'UPDATE slack_posts SET slot = %s, message_id = %s, payload = payload || \'{"receipt": "failed"}\' '
        "WHERE slot = %s AND tenant_id = %s",
        (f"receipt:{again.id}", again.id, f"receipt:{message.id}", message.tenant_id),
    )
    if place is not None:
        _show(again, *place)


def _next_place(message: Message) -> tuple[UUID, int] | None:
    """The lane and the number in it for the present receipt; None where the message stands nowhere in Slack."""
    if message.slack_ts is None or message.slack_team_id is None or message.slack_channel_id is None:
        return None
    lane = failures_lane if receipt_of(message) == "failed" else receipts_lane
    return next_place(lane(message.slack_team_id, message.slack_channel_id))


def _show(message: Message, lane_id: UUID, seq: int) -> None:
    receipt = receipt_of(message)
    delay = _QUEUED_SHOWN_AFTER if receipt == "queued" else timedelta(0)
    database.execute_sql(
        _SHOW,
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
            "order": list(_ORDER),
            "delay": delay,
            "lane": lane_id,
            "seq": seq,
        },
    )
    notify("posts")
