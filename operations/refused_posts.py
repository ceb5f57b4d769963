"""Who is told that Slack does not take a post: the thread that misses it, else the tenant, else the operators."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models import Conversation, PostKind, RoutePurpose
from operations.posting import queue_in_thread, tell, tell_person
from operations.routes import channel_for
from operations.sql import database_now

if TYPE_CHECKING:
    from operations.relaying import LeasedPost

# What was to be changed is not there any more: there is nothing to say about it.
_NOTHING_LEFT = frozenset({"message_not_found", "thread_not_found"})
_TO_PERSONS = frozenset({PostKind.DIRECT, PostKind.PUBLISH})
_ABOUT = {
    PostKind.POST: "Something for {place} could not be posted",
    PostKind.DIRECT: "A direct message to {place} could not be posted",
    PostKind.UPDATE: "A message in {place} could not be changed",
    PostKind.DELETE: "A message in {place} could not be taken away",
    PostKind.PUBLISH: "The home of {place} cannot be shown",
    PostKind.REACT: "Receipts in {place} cannot be shown",
}


@dataclass(frozen=True)
class Refusal:
    """Slack's word for it, what it means, and what a person can do."""

    reason: str
    sentence: str
    next_step: str = ""


def tell_of_place(post: LeasedPost, reason: str, operators: Collection[str]) -> None:
    """Its channel takes no posts, or lets none be taken away: said once a day and channel, and not there."""
    place, slot = f"<#{post.slack_channel_id}>", f"no-place:{post.slack_team_id}/{post.slack_channel_id}"
    text = f"{place} takes no posts: {reason} What belongs there waits and appears as soon as it can."
    if post.kind == PostKind.DELETE:
        text = f"In {place} I can take nothing away: {reason} What is to go from there waits until I can."
        slot = f"{slot}/delete"
    _tell(post, text, slot, operators)


def tell_of_refusal(post: LeasedPost, refusal: Refusal, operators: Collection[str]) -> None:
    """The post is parked: a message is missed in its thread, each by itself; all else is said once a day and reason."""
    why = f"{refusal.sentence} {refusal.next_step}".strip()
    if post.kind == PostKind.EPHEMERAL:
        user = str(post.payload["user"])
        tell_person(
            post.slack_team_id, user, post.payload["text"], tenant_id=post.tenant_id, slot=f"refused:{post.post_id}"
        )
    elif post.kind == PostKind.POST and post.message_id is not None and post.conversation_id is not None:
        _miss_in_thread(post, why)
    elif refusal.reason not in _NOTHING_LEFT:
        is_to_person = post.kind in _TO_PERSONS or not post.payload.keys().isdisjoint({"of", "file_of"})
        place = f"<@{post.slack_channel_id}>" if is_to_person else f"<#{post.slack_channel_id}>"
        about = _ABOUT.get(PostKind(post.kind), "Something for {place} could not be shown").format(place=place)
        slot = f"refused:{post.kind}:{post.slack_team_id}/{post.slack_channel_id}:{refusal.reason}"
        _tell(post, f"{about}: {why}", slot, operators)


def _miss_in_thread(post: LeasedPost, why: str) -> None:
    """Where it should stand somebody reads that it is missing; it carries no message, so that this happens once."""
    conversation = Conversation.get_by_id(post.conversation_id)
    if conversation.slack_channel_id is not None:
        queue_in_thread(conversation, f":warning: A message is missing here: {why}", slot=f"refused:{post.post_id}")


def _tell(post: LeasedPost, text: str, slot: str, operators: Collection[str]) -> None:
    """To the tenant's channel for alerts, unless that is where it failed; else to the operators, unless it is them."""
    daily = f"{slot}:{database_now():%Y-%m-%d}"
    alerts = channel_for(post.tenant_id, RoutePurpose.ALERTS) if post.tenant_id is not None else None
    if alerts is not None and alerts.slack_channel_id != post.slack_channel_id:
        tell(alerts.slack_team_id, alerts.slack_channel_id, text, tenant_id=post.tenant_id, slot=daily)
        return
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        if user_id != post.slack_channel_id:
            tell_person(team_id, user_id, text, tenant_id=None, slot=f"{daily}:{operator}")
