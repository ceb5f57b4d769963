"""The one message of an incident in each place: posted once, then changed, and never two changes in a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from models import PostKind
from operations.posting import channel_lane, person_lane, queue_post
from operations.sql import changed, clean_json, first
from slack.blocks import Post

_PERSON = "person"

_NOT_BEGUN = "posted_at IS NULL AND parked_at IS NULL AND post_started_at IS NULL AND lease_token IS NULL"


@dataclass(frozen=True)
class _Row:
    id: UUID
    slack_ts: str | None
    parked_at: datetime | None


def in_channel(team_id: str, channel_id: str) -> str:
    """A place, as an incident keeps it."""
    return channel_lane(team_id, channel_id)


def to_person(team_id: str, user_id: str) -> str:
    return person_lane(team_id, user_id)


def put(message_id: UUID, place: str, post: Post, *, tenant_id: UUID | None) -> bool:
    """Bring the message to what it shall say; False while it is on its way, and has to be waited for."""
    slot = f"incident:{message_id}:{place}"
    there = first(_Row, "SELECT id, slack_ts, parked_at FROM slack_posts WHERE slot = %s", (slot,))
    payload = _payload(post) | ({"direct": True} if _is_person(place) else {})
    if there is None:
        kind = PostKind.DIRECT if _is_person(place) else PostKind.POST
        return _queue(place, kind, payload, place=place, tenant_id=tenant_id, slot=slot)
    if there.parked_at is not None:
        return True  # Slack will never take it, which was told by whom it concerns
    if there.slack_ts is None:
        return bool(
            changed(
                f"UPDATE slack_posts SET payload = %s WHERE id = %s AND {_NOT_BEGUN}",  # noqa: S608 - words of ours
                (Json(clean_json(payload)), there.id),
            )
        )
    return _change(slot, place, payload | {"ts": there.slack_ts}, tenant_id=tenant_id)


def _change(lane: str, place: str, payload: dict[str, Any], *, tenant_id: UUID | None) -> bool:
    """A change that has not begun is replaced: Slack shows the latest state, not each on the way to it."""
    replaced = changed(
        "UPDATE slack_posts SET payload = %s WHERE lane_id = (SELECT id FROM post_lanes WHERE name = %s) "  # noqa: S608 - words of ours
        f"AND kind = 'update' AND {_NOT_BEGUN}",
        (Json(clean_json(payload)), lane),
    )
    return bool(replaced) or _queue(lane, PostKind.UPDATE, payload, place=place, tenant_id=tenant_id)


def _queue(
    lane: str, kind: PostKind, payload: dict[str, Any], *, place: str, tenant_id: UUID | None, slot: str | None = None
) -> bool:
    team_id, _, place_id = place.partition(":")[2].partition("/")
    return queue_post(lane, kind, payload, team_id=team_id, channel_id=place_id, tenant_id=tenant_id, slot=slot)


def _is_person(place: str) -> bool:
    return place.startswith(f"{_PERSON}:")


def _payload(post: Post) -> dict[str, Any]:
    blocks = {"blocks": list(post.blocks)} if post.blocks else {}
    return {"text": post.text, "names_commands": True} | blocks
