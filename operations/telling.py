"""Telling people of incidents: one message in the tenant's alerts channel, brought up to date until it is over.

A tenant without such a channel leaves it to the operators, by direct message. Two daemons that tell at the same time
take turns by an advisory lock, and whoever comes second finds it told.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg2.extras import Json

from database import tenant_transaction, transaction
from models import Incident, IncidentKind, RoutePurpose, uuid7
from operations import grouping, noticing
from operations.routes import channel_for
from operations.sql import changed, database_now, rows, try_lock, value
from operations.stories import story_of
from operations.telling_posts import in_channel, put, to_person
from operations.telling_words import MUTED_FOR, Story, told

# Changes come in bursts, and Slack allows few.
UPDATED_EVERY = timedelta(seconds=15)
# What was missed is known only when the catch-up has ended.
STILL_TOLD_FOR = timedelta(minutes=15)
# One session failed while another may: they are told together, or one by one soon.
HELD_FOR = timedelta(seconds=30)


@dataclass(frozen=True)
class Due:
    """A tenant whose sessions, servers or incidents have to be looked at.

    Whoever looked under the same `mark` has seen all of it, and looks again at once only where something `is_young`: it
    may be held back, or changed too lately to be changed again.
    """

    tenant_id: UUID
    mark: str
    is_young: bool


def due(*, now: datetime | None = None) -> list[Due]:
    with transaction():
        asked = (now or database_now(), noticing.SETTLED)
        return rows(Due, "SELECT tenant_id, mark, is_young FROM incident_work(%s, %s)", asked)


def look_after(tenant_id: UUID, *, operators: Collection[str], now: datetime | None = None) -> int:
    """Begin, join, end and tell what is the matter in one tenant; how many messages were queued or changed."""
    with tenant_transaction(tenant_id):
        if not try_lock(f"incidents:{tenant_id}"):
            return 0
        moment = now or database_now()
        if value("SELECT deleted_at IS NOT NULL FROM tenants WHERE id = %s", (tenant_id,)) is not False:
            _close_unsaid(tenant_id, moment)
            return 0
        _end_mutes(tenant_id, moment)
        known = {one.id for one in grouping.of(tenant_id)}
        noticing.notice(tenant_id, moment)
        grouping.group(tenant_id, moment)
        places = _places(tenant_id, operators)
        may_be_more = _may_be_more(tenant_id, moment)
        # Whom other tenants' incidents reach too is told a moment later, of all of them together.
        found = [one for one in grouping.of(tenant_id) if _is_channel(places) or one.id in known]
        return sum(_tell(one, places, moment, may_be_more=may_be_more) for one in found)


def _may_be_more(tenant_id: UUID, now: datetime) -> frozenset[IncidentKind]:
    """Of which kinds another may begin in a moment."""
    if noticing.unsettled(tenant_id, now):
        return frozenset(IncidentKind)
    return frozenset({IncidentKind.SILENT} if noticing.suspected(tenant_id) else ())


def _close_unsaid(tenant_id: UUID, now: datetime) -> None:
    """The tenant is deleted: nobody is told."""
    changed(
        "UPDATE incidents SET ended_at = coalesce(ended_at, greatest(began_at, %s)), closed_at = %s "
        "WHERE tenant_id = %s AND closed_at IS NULL",
        (now, now, tenant_id),
    )


def _end_mutes(tenant_id: UUID, now: datetime) -> None:
    changed(
        "UPDATE incidents SET muted_at = NULL, muted_by = NULL WHERE tenant_id = %s AND closed_at IS NULL "
        "AND muted_at <= %s",
        (tenant_id, now - MUTED_FOR),
    )


def _places(tenant_id: UUID, operators: Collection[str]) -> list[str]:
    route = channel_for(tenant_id, RoutePurpose.ALERTS)
    if route is not None:
        return [in_channel(route.slack_team_id, route.slack_channel_id)]
    return of_operators(operators)


def of_operators(operators: Collection[str]) -> list[str]:
    return [to_person(*operator.split("/", 1)) for operator in operators]


def _tell(incident: Incident, places: Collection[str], now: datetime, *, may_be_more: Collection[IncidentKind]) -> bool:
    story = story_of(incident)
    is_part = bool(story.tells_of_it) and not (story.is_told_elsewhere_too and _is_channel(places))
    if not is_part:
        story = story.by_itself()
    if incident.post_id is None:
        if is_part or story.ended_at is not None:
            close_when_over(story, now)
            return False
        if incident.kind in may_be_more and incident.session_id is not None and now - incident.began_at < HELD_FOR:
            return False
        return begin_telling(story, places, now)
    return bring_up_to_date(story, now)


def _is_channel(places: Collection[str]) -> bool:
    return any(place.startswith("channel:") for place in places)


def begin_telling(story: Story, places: Collection[str], now: datetime) -> bool:
    """Post the message; False where there is nobody to tell."""
    incident, message_id = story.incident, uuid7()
    if not places:
        return False
    post = told(story)
    for place in places:
        put(message_id, place, post, tenant_id=incident.tenant_id)
    changed(
        "UPDATE incidents SET post_id = %s, said = %s, told_at = %s, details = details || %s WHERE id = %s",
        (message_id, post.text, now, Json({"places": list(places)}), incident.id),
    )
    return True


def bring_up_to_date(story: Story, now: datetime) -> bool:
    """Change the message where it would say something else by now; when it says all, the incident is closed."""
    incident, post = story.incident, told(story)
    if post.text == incident.said:
        close_when_over(story, now)
        return False
    if incident.post_id is None or not _may_change(story, now):
        return False
    # All of them, also where the first is still on its way: what was changed is simply changed again.
    places = [str(place) for place in incident.details.get("places", [])]
    done = [put(incident.post_id, place, post, tenant_id=incident.tenant_id) for place in places]
    if not all(done):
        return False
    changed("UPDATE incidents SET said = %s, told_at = %s WHERE id = %s", (post.text, now, incident.id))
    return True


def _may_change(story: Story, now: datetime) -> bool:
    incident = story.incident
    if incident.told_at is None:
        return True
    muted_at: datetime | None = incident.muted_at
    if muted_at is not None and story.ended_at is None:
        # That it was muted is said itself, once.
        return bool(muted_at > incident.told_at)
    return bool(now - incident.told_at >= UPDATED_EVERY)


def close_when_over(story: Story, now: datetime) -> None:
    """Nothing is left to tell; what was told is changed for a while after its end, by what was missed."""
    incident = story.incident
    if story.ended_at is None or incident.ended_at is None:
        return
    was_told_alone = incident.post_id is not None and not story.tells_of_it and "ended" not in incident.details
    if not was_told_alone or now - story.ended_at >= STILL_TOLD_FOR:
        changed("UPDATE incidents SET closed_at = %s WHERE id = %s AND closed_at IS NULL", (now, incident.id))
