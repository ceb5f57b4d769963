"""Whatever must appear in Slack becomes a row in a lane; what is in one lane is posted in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from psycopg2.extras import Json

from database import database, notify
from models import Conversation, PostKind, uuid7
from operations.sql import changed, clean_json, value
from slack.blocks import Block

Blocks: TypeAlias = Sequence[Block] | None

# A place and a post in one statement: this runs for every message. The lane's row stays locked until the commit, so the
# order of the numbers is the order of the commits.
_QUEUE = """
    WITH place AS (
        INSERT INTO post_lanes (id, name, next_seq) VALUES (%(new_lane)s, %(lane)s, 2)
        ON CONFLICT (name) DO UPDATE SET next_seq = post_lanes.next_seq + 1 RETURNING id, next_seq - 1 AS seq
    )
    INSERT INTO slack_posts (id, tenant_id, conversation_id, message_id, lane_id, seq, kind, slot, slack_team_id,
        slack_channel_id, thread_ts, payload)
    SELECT %(id)s, %(tenant_id)s, %(conversation_id)s, %(message_id)s, place.id, place.seq, %(kind)s, %(slot)s,
        %(slack_team_id)s, %(slack_channel_id)s, %(thread_ts)s, %(payload)s FROM place
    ON CONFLICT (slot) WHERE slot IS NOT NULL DO NOTHING
"""


def channel_lane(team_id: str, channel_id: str) -> str:
    return f"channel:{team_id}/{channel_id}"


def conversation_lane(conversation_id: UUID) -> str:
    return f"conversation:{conversation_id}"


def person_lane(team_id: str, user_id: str) -> str:
    return f"person:{team_id}/{user_id}"


def home_lane(team_id: str, user_id: str) -> str:
    """A person's home waits behind nothing that is said to them."""
    return f"home:{team_id}/{user_id}"


def receipts_lane(team_id: str, channel_id: str) -> str:
    """Receipts wait behind each other, never behind or before what people write."""
    return f"receipts:{team_id}/{channel_id}"


def failures_lane(team_id: str, channel_id: str) -> str:
    """That a message failed does not wait behind what became of others."""
    return f"failures:{team_id}/{channel_id}"


def updates_lane(conversation_id: UUID) -> str:
    """What is changed afterwards holds up nothing that is still to be said."""
    return f"updates:{conversation_id}"


def queue_post(
    lane: str,
    kind: PostKind,
    payload: dict[str, Any],
    *,
    team_id: str,
    channel_id: str,
    tenant_id: UUID | None,
    post_id: UUID | None = None,
    conversation_id: UUID | None = None,
    message_id: UUID | None = None,
    thread_ts: str | None = None,
    slot: str | None = None,
) -> bool:
    """Add a post at the end of its lane, in the running transaction; False when its slot was taken before.

    `payload` is what the relay posts, in the shape of its kind (see `daemon.posts`). `channel_id` is a person's id for
    `PostKind.DIRECT`. A `slot` may exist once, whoever tries: a report of a schedule and minute, say.
    """
    row = {
        "id": post_id or uuid7(),
        "tenant_id": tenant_id,
        "conversation_id": conversation_id,
        "message_id": message_id,
        "kind": kind.value,
        "slot": slot,
        "slack_team_id": team_id,
        "slack_channel_id": channel_id,
        "thread_ts": thread_ts,
        "payload": Json(clean_json(payload)),
    }
    queued = changed(_QUEUE, row | {"new_lane": uuid7(), "lane": lane})
    if queued:
        notify("posts")
    return bool(queued)


def queue_in_thread(
    conversation: Conversation,
    text: str,
    *,
    blocks: Blocks = None,
    message_id: UUID | None = None,
    is_root: bool = False,
    post_id: UUID | None = None,
    slot: str | None = None,
) -> bool:
    """A post in the conversation's thread, after all that was queued for it before; the root begins the thread.

    `text` says everything that the blocks say: a notification and a screen reader have nothing else, and it stands
    alone where Slack does not take the blocks. False when the slot was taken before.
    """
    team_id, channel_id = _place_of(conversation)
    return queue_post(
        conversation_lane(conversation.id),
        PostKind.POST,
        _said(text, blocks) | ({"root": True} if is_root else {}),
        team_id=team_id,
        channel_id=channel_id,
        tenant_id=conversation.tenant_id,
        post_id=post_id,
        conversation_id=conversation.id,
        message_id=message_id,
        slot=slot,
    )


def queue_update(conversation: Conversation, ts: str, text: str, *, blocks: Blocks = None) -> None:
    """Replace what stands at `ts` in the conversation's channel, blocks included: without new ones they go."""
    _queue_change(conversation, PostKind.UPDATE, {"ts": ts, **_said(text, blocks)})


def queue_delete(conversation: Conversation, ts: str) -> None:
    """Take away what stands at `ts` in the conversation's channel."""
    _queue_change(conversation, PostKind.DELETE, {"ts": ts})


def _queue_change(conversation: Conversation, kind: PostKind, payload: dict[str, Any]) -> None:
    team_id, channel_id = _place_of(conversation)
    queue_post(
        updates_lane(conversation.id),
        kind,
        payload,
        team_id=team_id,
        channel_id=channel_id,
        tenant_id=conversation.tenant_id,
        conversation_id=conversation.id,
    )


def tell(
    team_id: str, channel_id: str, text: str, *, tenant_id: UUID | None, slot: str | None = None, blocks: Blocks = None
) -> bool:
    """A plain message in a channel."""
    return queue_post(
        channel_lane(team_id, channel_id),
        PostKind.POST,
        _said(text, blocks) | {"names_commands": True},
        team_id=team_id,
        channel_id=channel_id,
        tenant_id=tenant_id,
        slot=slot,
    )


def tell_privately(
    team_id: str,
    channel_id: str,
    user_id: str,
    text: str,
    *,
    tenant_id: UUID | None,
    thread_ts: str | None = None,
    slot: str | None = None,
    blocks: Blocks = None,
) -> bool:
    """Something that only one person in a channel sees; at most once, since Slack keeps no trace of it."""
    return queue_post(
        person_lane(team_id, user_id),
        PostKind.EPHEMERAL,
        _said(text, blocks) | {"user": user_id, "names_commands": True},
        team_id=team_id,
        channel_id=channel_id,
        tenant_id=tenant_id,
        thread_ts=thread_ts,
        slot=slot,
    )


def tell_person(
    team_id: str, user_id: str, text: str, *, tenant_id: UUID | None, slot: str | None = None, blocks: Blocks = None
) -> bool:
    """A direct message."""
    return queue_post(
        person_lane(team_id, user_id),
        PostKind.DIRECT,
        _said(text, blocks) | {"names_commands": True},
        team_id=team_id,
        channel_id=user_id,
        tenant_id=tenant_id,
        slot=slot,
    )


def _said(text: str, blocks: Blocks) -> dict[str, Any]:
    return {"text": text} if not blocks else {"text": text, "blocks": list(blocks)}


def _place_of(conversation: Conversation) -> tuple[str, str]:
    if conversation.slack_team_id is None or conversation.slack_channel_id is None:
        raise ValueError("The conversation has no channel.")
    return conversation.slack_team_id, conversation.slack_channel_id


def next_place(lane: str) -> tuple[UUID, int]:
    """The lane's id and its next number; the lane is made when it is new.

    The row stays locked until the commit, so that the order of the numbers is the order of the commits.
    """
    row = database.execute_sql(
        "INSERT INTO post_lanes (id, name, next_seq) VALUES (%s, %s, 2) "
        "ON CONFLICT (name) DO UPDATE SET next_seq = post_lanes.next_seq + 1 RETURNING id, next_seq - 1",
        (uuid7(), lane),
    ).fetchone()
    return row[0], row[1]


def waiting_in(team_id: str, channel_id: str, *, since_before: datetime) -> bool:
    """Whether a post in the channel began before that time and its outcome is not recorded."""
    return bool(
        value(
            "SELECT EXISTS (SELECT 1 FROM slack_posts WHERE slack_team_id = %s AND slack_channel_id = %s "
            "AND post_started_at <= %s AND posted_at IS NULL AND parked_at IS NULL AND kind = 'post')",
            (team_id, channel_id, since_before),
        )
    )
