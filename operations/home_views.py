"""Who looks at their home in Slack, and when it is published anew: when it shows something else, and not more often."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import notify, transaction
from models import PostKind, uuid7
from operations import home, home_facts
from operations.home_facts import Waiting
from operations.posting import home_lane, queue_post
from operations.sql import changed, clean_json, rows
from operations.standing import Person
from slack.blocks import Block, context
from slack.mrkdwn import local_time

# Who has not opened it for so long sees it anew at the next opening.
LOOKED_AT_FOR = timedelta(hours=24)
NOT_BEFORE = timedelta(seconds=30)
WITHOUT_NEWS = timedelta(minutes=5)


@dataclass(frozen=True)
class View:
    """A home that is to be looked at, and what it shows by now."""

    id: UUID
    team_id: str
    user_id: str
    fingerprint: str


def handle(payload: Mapping[str, Any], *, stored_at: datetime) -> UUID | None:
    """Take over an `app_home_opened` of Slack's Events API, in a running transaction.

    Where Slack shows nothing of ours, or did not take what was published last, it is published whatever it showed
    before: the fingerprint is of what was to be shown.
    """
    event = payload.get("event") or {}
    if event.get("tab") != "home" or not event.get("user"):
        return None
    team_id, user_id = str(payload.get("team_id") or ""), str(event["user"])
    changed(
        "INSERT INTO home_views (id, slack_team_id, slack_user_id, opened_at) "
        "VALUES (%(id)s, %(team)s, %(user)s, %(at)s) "
        "ON CONFLICT (slack_team_id, slack_user_id) DO UPDATE SET "
        "opened_at = greatest(home_views.opened_at, excluded.opened_at), checked_at = NULL, "
        "fingerprint = CASE WHEN %(is_shown)s AND NOT coalesce((SELECT p.parked_at IS NOT NULL FROM slack_posts p "
        "JOIN post_lanes l ON l.id = p.lane_id WHERE l.name = %(lane)s ORDER BY p.seq DESC LIMIT 1), false) "
        "THEN home_views.fingerprint ELSE '' END",
        {
            "id": uuid7(),
            "team": team_id,
            "user": user_id,
            "lane": home_lane(team_id, user_id),
            "at": stored_at,
            "is_shown": bool(event.get("view")),
        },
    )
    notify("homes")
    return None


def look_again(person: Person) -> None:
    """What is known of the person has changed."""
    with transaction():
        stale = changed(
            "UPDATE home_views SET checked_at = NULL WHERE slack_team_id = %s AND slack_user_id = %s",
            (person.team_id, person.user_id),
        )
        if stale:
            notify("homes")


def claim(limit: int, *, has_news: bool, now: datetime) -> list[View]:
    """Homes to look at, each claimed by one daemon: opened ones at once, others after a while, sooner after news."""
    with transaction():
        return rows(
            View,
            "UPDATE home_views SET checked_at = %(now)s WHERE id IN ("
            "SELECT id FROM home_views WHERE checked_at IS NULL "
            "OR (opened_at > %(opened)s AND checked_at <= %(checked)s) "
            "ORDER BY checked_at NULLS FIRST LIMIT %(limit)s FOR UPDATE SKIP LOCKED"
            ") RETURNING id, slack_team_id AS team_id, slack_user_id AS user_id, fingerprint",
            {
                "now": now,
                "opened": now - LOOKED_AT_FOR,
                "checked": now - (NOT_BEFORE if has_news else WITHOUT_NEWS),
                "limit": limit,
            },
        )


def refresh(view: View, *, operators: Collection[str], now: datetime, waiting: Waiting | None = None) -> bool:
    """Publish the home if it would show something else; whether it would. Homes of a round share `waiting`."""
    with transaction():
        facts = home_facts.of(Person(view.team_id, view.user_id), operators=operators, now=now, waiting=waiting)
        shown = home.blocks(facts)
        fingerprint = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
        if fingerprint == view.fingerprint:
            return False
        _queue(view, [*shown, context(f"As of {local_time(now)}. It changes by itself while you look at it.")])
        changed("UPDATE home_views SET fingerprint = %s, published_at = %s WHERE id = %s", (fingerprint, now, view.id))
        return True


def _queue(view: View, shown: list[Block]) -> None:
    """One that is not on its way yet is replaced: the latest is what counts."""
    lane, payload = home_lane(view.team_id, view.user_id), {"text": "Home", "blocks": shown, "names_commands": True}
    replaced = changed(
        "UPDATE slack_posts SET payload = %s WHERE lane_id = (SELECT id FROM post_lanes WHERE name = %s) "
        "AND posted_at IS NULL AND parked_at IS NULL AND post_started_at IS NULL AND lease_token IS NULL",
        (Json(clean_json(payload)), lane),
    )
    if not replaced:
        queue_post(lane, PostKind.PUBLISH, payload, team_id=view.team_id, channel_id=view.user_id, tenant_id=None)
