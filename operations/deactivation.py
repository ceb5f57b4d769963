"""A deactivated tenant sends nothing and shows nothing, and keeps what customers write until it is activated again.

Nothing is moved when it is deactivated: the functions that lease messages and posts pass it over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import peewee

from database import notify, set_tenant
from models import Conversation, Message, RoutePurpose, SlackPost, Tenant, TenantStatus, WahaSession, now_utc
from operations import audit, report_schedules
from operations.conversations import give_channel
from operations.errors import Conflict, NotFound
from operations.held import DEACTIVATED, NO_CHANNEL, SHOWN_FOR, Shown, post_held
from operations.posting import tell, tell_person
from operations.routes import channel_for, links_of
from operations.sql import changed, lock, locked, value
from operations.wording import counted, quoted
from slack.mrkdwn import escape


@dataclass(frozen=True)
class Waiting:
    """What a tenant has not sent and not shown yet."""

    to_send: int
    to_show: int


@dataclass(frozen=True)
class Woken:
    """What became of what waited: customers' messages, shown now or only counted, and ours to them."""

    shown: int
    older: int
    to_send: int


def deactivate(tenant_id: UUID, *, event_id: UUID, operators: Collection[str], actor: str) -> Tenant:
    """Stop sending and showing, and say so where the tenant reads its alerts, else to the operators.

    Raises:
        Conflict: it is deactivated already.
    """
    tenant = _move(tenant_id, TenantStatus.INACTIVE, actor=actor)
    name = escape(tenant.name)
    text = (
        f"⏸ *{name}* was deactivated: nothing is sent to its customers, and what they write is not shown in Slack. "
        f"It is kept, and its sessions stay linked. An operator undoes this with `tenant activate {quoted(name)}`."
    )
    say_of_tenant(tenant_id, text, operators, slot=f"deactivated:{event_id}")
    return tenant


def activate(tenant_id: UUID, *, event_id: UUID, operators: Collection[str], actor: str) -> tuple[Tenant, Woken]:
    """Send and show again, beginning with what waited, in order.

    Raises:
        Conflict: it is active already.
    """
    set_tenant(tenant_id)
    lock(links_of(tenant_id))
    tenant = _move(tenant_id, TenantStatus.ACTIVE, actor=actor)
    woken = wake(tenant_id)
    text = f"▶️ *{escape(tenant.name)}* is active again.{describe(woken)}"
    say_of_tenant(tenant_id, text, operators, slot=f"activated:{event_id}")
    return tenant, woken


def wake(tenant_id: UUID) -> Woken:
    """Let go what waited while the tenant was silent; its channels cannot be linked or unlinked meanwhile."""
    lock(links_of(tenant_id))
    conversations = list(locked(Conversation.live().where(_waits(tenant_id)).order_by(Conversation.created_at)))
    _take_back_old_posts(tenant_id)
    sessions = {one.id: one for one in WahaSession.live().where(WahaSession.tenant_id == tenant_id)}
    shown = [
        _show(conversation, sessions[conversation.session_id])
        for conversation in conversations
        if conversation.session_id in sessions
    ]
    _wait_for_channels(tenant_id)
    _make_due(tenant_id)
    report_schedules.pass_over(tenant_id)
    return Woken(sum(one.recent for one in shown), sum(one.older for one in shown), waiting(tenant_id).to_send)


def waiting(tenant_id: UUID) -> Waiting:
    set_tenant(tenant_id)
    to_send = value(
        "SELECT count(*) FROM messages WHERE tenant_id = %s AND status = 'queued' AND direction = 'outbound' "
        "AND parked_at IS NULL AND deleted_at IS NULL",
        (tenant_id,),
    )
    to_show = value(
        "SELECT count(*) FROM messages WHERE tenant_id = %s AND hold_reason = ANY (%s) AND deleted_at IS NULL",
        (tenant_id, [DEACTIVATED, NO_CHANNEL]),
    )
    return Waiting(int(to_send), int(to_show))


def describe(woken: Woken) -> str:
    """What became of what waited, with a space before it; empty where nothing did."""
    sentences = []
    if woken.shown:
        sentences.append(f"{counted(woken.shown, 'message')} of customers that waited {_is(woken.shown)} posted now.")
    if woken.older:
        sentences.append(f"{woken.older} older than a day {_is(woken.older)} kept and not posted.")
    if woken.to_send:
        sentences.append(
            f"{counted(woken.to_send, 'message')} to customers waited; each is sent, or asks first where it is too old."
        )
    return "".join(f" {sentence}" for sentence in sentences)


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _move(tenant_id: UUID, status: TenantStatus, *, actor: str) -> Tenant:
    set_tenant(tenant_id)
    moved = (
        Tenant.update(status=status, updated_at=now_utc())
        .where(Tenant.id == tenant_id, Tenant.status != status, Tenant.deleted_at.is_null())
        .execute()
    )
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    if not moved:
        raise Conflict(f"*{escape(tenant.name)}* is {status.word} already; nothing was changed.")
    before = TenantStatus.ACTIVE if status is TenantStatus.INACTIVE else TenantStatus.INACTIVE
    audit.record(
        actor,
        "tenant.activate" if status is TenantStatus.ACTIVE else "tenant.deactivate",
        tenant,
        tenant_id=tenant_id,
        before={"status": before.value},
        after={"status": status.value},
    )
    notify("messages")
    notify("posts")
    return tenant


def say_of_tenant(tenant_id: UUID, text: str, operators: Collection[str], *, slot: str) -> None:
    """Tell the tenant's alerts channel, else the operators, once for a slot."""
    route = channel_for(tenant_id, RoutePurpose.ALERTS)
    if route is not None:
        tell(route.slack_team_id, route.slack_channel_id, text, tenant_id=tenant_id, slot=slot)
        return
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=tenant_id, slot=f"{slot}:{operator}")


def _waits(tenant_id: UUID) -> peewee.Expression:
    """Conversations that got no channel meanwhile, keep messages back, or have posts that wait."""
    held = Message.select(Message.conversation_id).where(
        Message.tenant_id == tenant_id, Message.hold_reason.in_((DEACTIVATED, NO_CHANNEL))
    )
    queued = SlackPost.select(SlackPost.conversation_id).where(
        SlackPost.tenant_id == tenant_id, SlackPost.posted_at.is_null(), SlackPost.parked_at.is_null()
    )
    return (Conversation.tenant_id == tenant_id) & (
        Conversation.slack_channel_id.is_null() | Conversation.id.in_(held) | Conversation.id.in_(queued)
    )


def _show(conversation: Conversation, session: WahaSession) -> Shown:
    return give_channel(conversation, session) if conversation.slack_channel_id is None else post_held(conversation)


def _take_back_old_posts(tenant_id: UUID) -> None:
    """What was queued for Slack and is older than a day is held like the rest, and so only counted.

    Not where a part of the message stands there already: it is completed.
    """
    changed(
        """
        WITH taken_back AS (
            UPDATE slack_posts p SET parked_at = clock_timestamp(), error = 'Its tenant was deactivated.'
            FROM messages m
            WHERE p.tenant_id = %(tenant)s AND p.kind = 'post' AND p.posted_at IS NULL AND p.parked_at IS NULL
                AND m.tenant_id = p.tenant_id AND m.id = p.message_id AND m.created_at < %(before)s
                AND NOT (m.direction = 'outbound' AND m.metadata ? 'slack_user_id')
                AND NOT EXISTS (
                    SELECT 1 FROM slack_posts part
                    WHERE part.tenant_id = m.tenant_id AND part.message_id = m.id
                        AND (part.posted_at IS NOT NULL OR part.post_started_at IS NOT NULL)
                )
            RETURNING p.message_id
        )
        UPDATE messages SET hold_reason = %(reason)s
        FROM taken_back WHERE messages.id = taken_back.message_id AND messages.tenant_id = %(tenant)s
        """,
        {"tenant": tenant_id, "before": now_utc() - SHOWN_FOR, "reason": DEACTIVATED},
    )


def _wait_for_channels(tenant_id: UUID) -> None:
    """What has no channel to be shown in waits for one, as it does in any tenant."""
    changed(
        "UPDATE messages SET hold_reason = %s WHERE tenant_id = %s AND hold_reason = %s",
        (NO_CHANNEL, tenant_id, DEACTIVATED),
    )


def _make_due(tenant_id: UUID) -> None:
    """`lease_posts` put off by a day what it met. What waits for longer has other reasons."""
    changed(
        "UPDATE slack_posts SET next_attempt_at = clock_timestamp() "
        "WHERE tenant_id = %s AND conversation_id IS NOT NULL AND posted_at IS NULL AND parked_at IS NULL "
        "AND next_attempt_at > clock_timestamp() AND next_attempt_at <= clock_timestamp() + interval '1 day'",
        (tenant_id,),
    )
    notify("posts")
