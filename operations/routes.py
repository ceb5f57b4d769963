"""Which Slack channel is used for what."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import peewee

from database import database, set_tenant
from models import (
    ChannelRoute,
    Conversation,
    RoutePurpose,
    WahaSession,
    now_utc,
)
from operations import audit, workspaces
from operations.conversations import give_channel
from operations.errors import Conflict, NotFound
from operations.held import NO_CHANNEL
from operations.sql import changed, lock, locked
from operations.standing import routes_of
from slack.mrkdwn import escape


@dataclass(frozen=True)
class SlackChannel:
    """A channel as Slack knows it, and whether the bot can post in it."""

    team_id: str
    channel_id: str
    name: str


@dataclass(frozen=True)
class Linked:
    """What linking did: `held` messages are posted now, `older` ones are only counted."""

    held: int
    older: int


def link(
    tenant_id: UUID,
    channel: SlackChannel,
    purpose: RoutePurpose,
    *,
    session: WahaSession | None,
    route_id: UUID,
    actor: str,
) -> Linked:
    """Use a channel for conversations, alerts or reports; what waited for a channel is posted, in order.

    Raises:
        Conflict: the channel or the place is taken, or it is in another workspace than the tenant.
    """
    set_tenant(tenant_id)
    lock(claim_of(channel.team_id, channel.channel_id))
    _refuse_taken(tenant_id, channel, purpose)
    # Whoever holds a message back for want of a channel shares this: it is committed before what waits is looked for.
    lock(links_of(tenant_id))
    # After that lock, as where a tenant is activated: else each would wait for the other.
    workspaces.refuse_elsewhere(tenant_id, channel.team_id)
    try:
        with database.atomic():
            route = ChannelRoute.create(
                id=route_id,
                tenant_id=tenant_id,
                session_id=session.id if session is not None else None,
                slack_team_id=channel.team_id,
                slack_channel_id=channel.channel_id,
                slack_channel_name=channel.name,
                purpose=purpose,
            )
    except peewee.IntegrityError as error:
        of = f"session `{escape(session.name)}`" if session is not None else "all sessions"
        raise Conflict(
            f"There is a channel for the {purpose.value} of {of} already; see `channel list`, and unlink that first."
        ) from error
    audit.record(
        actor,
        "channel.link",
        route,
        tenant_id=tenant_id,
        after={"channel": channel.channel_id, "purpose": purpose.value},
    )
    if purpose is not RoutePurpose.CONVERSATIONS:
        return Linked(0, 0)
    return _post_what_waited(tenant_id, session)


def unlink(tenant_id: UUID, team_id: str, channel_id: str, *, actor: str) -> list[RoutePurpose]:
    """Stop using a channel; its conversations wait for another one. Returns what it was used for.

    Raises:
        NotFound: the tenant does not use this channel.
    """
    set_tenant(tenant_id)
    mine = (
        ChannelRoute.tenant_id == tenant_id,
        ChannelRoute.slack_team_id == team_id,
        ChannelRoute.slack_channel_id == channel_id,
    )
    routes = list(ChannelRoute.live().where(*mine))
    if not routes:
        raise NotFound(f"<#{channel_id}> is not linked to this tenant; see `channel list`.")
    ChannelRoute.update(deleted_at=now_utc()).where(*mine, ChannelRoute.deleted_at.is_null()).execute()
    Conversation.update(slack_team_id=None, slack_channel_id=None, slack_thread_ts=None).where(
        Conversation.tenant_id == tenant_id,
        Conversation.slack_team_id == team_id,
        Conversation.slack_channel_id == channel_id,
    ).execute()
    _take_back_posts(tenant_id, team_id, channel_id)
    for route in routes:
        audit.record(actor, "channel.unlink", route, tenant_id=tenant_id, before={"purpose": route.purpose.value})
    return [route.purpose for route in routes]


def list_all(tenant_id: UUID) -> list[tuple[ChannelRoute, WahaSession | None]]:
    """The tenant's channels, each with its session; None stands for all of them."""
    set_tenant(tenant_id)
    sessions: dict[UUID | None, WahaSession] = {
        session.id: session for session in WahaSession.live().where(WahaSession.tenant_id == tenant_id)
    }
    routes = ChannelRoute.live().where(ChannelRoute.tenant_id == tenant_id)
    return [
        (route, sessions.get(route.session_id))
        for route in routes.order_by(ChannelRoute.purpose, ChannelRoute.slack_channel_name)
    ]


def channel_for(tenant_id: UUID, *purposes: RoutePurpose) -> ChannelRoute | None:
    """The first channel that the tenant has for one of the purposes, in their order."""
    for purpose in purposes:
        route: ChannelRoute | None = (
            ChannelRoute.live()
            .where(ChannelRoute.tenant_id == tenant_id, ChannelRoute.purpose == purpose)
            .order_by(ChannelRoute.session_id.is_null(is_null=False), ChannelRoute.created_at)
            .first()
        )
        if route is not None:
            return route
    return None


def claim_of(team_id: str, channel_id: str) -> str:
    """The turn that tenants take about one channel: two may not both find it free."""
    return f"channel:{team_id}/{channel_id}"


def links_of(tenant_id: UUID) -> str:
    return f"links:{tenant_id}"


def newest_of(tenant_id: UUID) -> UUID | None:
    """The route that was linked last, also where it is unlinked by now."""
    newest = ChannelRoute.select(ChannelRoute.id).where(ChannelRoute.tenant_id == tenant_id)
    found: ChannelRoute | None = newest.order_by(ChannelRoute.created_at.desc()).first()
    return found.id if found is not None else None


def _refuse_taken(tenant_id: UUID, channel: SlackChannel, purpose: RoutePurpose) -> None:
    for route in routes_of(channel.team_id, channel.channel_id):
        if route.tenant_id != tenant_id:
            raise Conflict(
                f"<#{channel.channel_id}> belongs to another tenant; one channel never shows two tenants' customers. "
                "Use another channel."
            )
        if route.purpose == purpose.value:
            raise Conflict(f"<#{channel.channel_id}> is linked for {purpose.value} already; nothing was changed.")


def _post_what_waited(tenant_id: UUID, session: WahaSession | None) -> Linked:
    waiting = Conversation.live().where(Conversation.tenant_id == tenant_id, Conversation.slack_channel_id.is_null())
    if session is not None:
        waiting = waiting.where(Conversation.session_id == session.id)
    sessions = {one.id: one for one in WahaSession.live().where(WahaSession.tenant_id == tenant_id)}
    shown = [
        give_channel(conversation, sessions[conversation.session_id])
        for conversation in locked(waiting.order_by(Conversation.created_at))
        if conversation.session_id in sessions
    ]
    return Linked(sum(one.recent for one in shown), sum(one.older for one in shown))


def _take_back_posts(tenant_id: UUID, team_id: str, channel_id: str) -> None:
    """What was queued for the channel and is not on its way is not shown there; messages wait for the next channel."""
    changed(
        """
        WITH taken_back AS (
            UPDATE slack_posts SET parked_at = clock_timestamp(), error = 'The channel was unlinked.'
            WHERE tenant_id = %s AND slack_team_id = %s AND slack_channel_id = %s AND conversation_id IS NOT NULL
                AND kind = 'post' AND posted_at IS NULL AND parked_at IS NULL AND post_started_at IS NULL
            RETURNING message_id
        )
        UPDATE messages SET hold_reason = %s
        FROM taken_back WHERE messages.id = taken_back.message_id AND tenant_id = %s
            AND NOT (direction = 'outbound' AND metadata ? 'slack_user_id')
        """,
        (tenant_id, team_id, channel_id, NO_CHANNEL, tenant_id),
    )
