"""Who Slack says somebody is. Only full members of the workspace are let in, whatever row of ours they have.

A person is looked up where they ask for something and were not looked up lately, and Slack tells of changes besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from database import transaction
from models import Outside, uuid7
from operations.sql import changed, first, rows
from operations.standing import Person, memberships
from slack.answers import Person as SlackPerson

FRESH_FOR = timedelta(hours=1)
# Who was just made a full member does not wait for an hour.
OUTSIDERS_FRESH_FOR = timedelta(minutes=1)
_SLACKBOT = "USLACKBOT"

REASONS: dict[Outside, str] = {
    Outside.BOT: "is a bot",
    Outside.DEACTIVATED: "has a deactivated Slack account",
    Outside.STRANGER: "belongs to another company",
    Outside.GUEST: "is a guest",
}


@dataclass(frozen=True)
class Known:
    """What was kept of somebody; "" in `outside` for a full member."""

    outside: str
    is_fresh: bool


def outside_of(found: SlackPerson, team_id: str) -> Outside | None:
    """Why the workspace does not count somebody as its own; None for its full members."""
    if found.is_bot or found.id == _SLACKBOT:
        return Outside.BOT
    if found.deleted:
        return Outside.DEACTIVATED
    if found.is_stranger or found.team_id not in {"", team_id}:
        return Outside.STRANGER
    if found.is_restricted or found.is_ultra_restricted:
        return Outside.GUEST
    return None


def known(person: Person) -> Known | None:
    """What was kept of the person, and whether that is recent enough not to ask Slack; None when nothing was.

    In the running transaction.
    """
    return first(
        Known,
        "SELECT coalesce(outside, '') AS outside, "
        "checked_at > clock_timestamp() - CASE WHEN outside IS NULL THEN %s ELSE %s END AS is_fresh "
        "FROM slack_people WHERE slack_team_id = %s AND slack_user_id = %s",
        (FRESH_FOR, OUTSIDERS_FRESH_FOR, person.team_id, person.user_id),
    )


def not_asked_for(span: timedelta) -> list[Person]:
    """Who is known, and was not looked up for so long; those first who wait longest."""
    with transaction():
        return rows(
            Person,
            "SELECT slack_team_id AS team_id, slack_user_id AS user_id FROM slack_people "
            "WHERE checked_at < clock_timestamp() - %s ORDER BY checked_at",
            (span,),
        )


def remember(person: Person, outside: Outside | None, *, at: datetime | None = None) -> None:
    """Keep what Slack says of the person.

    `at` is before Slack was asked, so that a change which it told meanwhile is not taken back; without it, now.
    """
    with transaction():
        _keep(person, outside, at)


def handle(payload: Mapping[str, Any], *, stored_at: datetime) -> UUID | None:
    """Take over a `user_change` of Slack's Events API, for somebody who is known here, in a running transaction."""
    event, team_id = payload.get("event") or {}, str(payload.get("team_id") or "")
    try:
        found = SlackPerson.model_validate(event.get("user"))
    except ValidationError:
        return None  # of another shape than Slack's own page says; the next look-up tells
    person = Person(team_id, found.id)
    if known(person) is not None or memberships(person):
        _keep(person, outside_of(found, team_id), stored_at)
    return None


def _keep(person: Person, outside: Outside | None, at: datetime | None) -> None:
    """`at` is when Slack said so; what it said later is left."""
    changed(
        "INSERT INTO slack_people (id, slack_team_id, slack_user_id, outside, checked_at) "
        "VALUES (%(id)s, %(team)s, %(user)s, %(outside)s, coalesce(%(at)s, clock_timestamp())) "
        "ON CONFLICT (slack_team_id, slack_user_id) DO UPDATE "
        "SET outside = excluded.outside, checked_at = excluded.checked_at "
        "WHERE slack_people.checked_at <= excluded.checked_at",
        {
            "id": uuid7(),
            "team": person.team_id,
            "user": person.user_id,
            "outside": outside.value if outside is not None else None,
            "at": at,
        },
    )
