"""What a team member writes in a conversation's thread goes to the customer, unless it is internal or they may not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from database import set_tenant
from models import Conversation, ConversationChat, SlackIdentity, User, UserRole, WahaSession, uuid7
from operations.conversations import living
from operations.outcomes import NotYet
from operations.permissions import Permission, may, who_may
from operations.posting import tell_privately, waiting_in
from operations.queueing import SlackOrigin, queue
from operations.sql import first
from operations.standing import Membership, Person, memberships, routes_of
from slack import references
from slack.mrkdwn import escape, to_whatsapp

INTERNAL = "//"
# In italics, in a quotation or list, behind an invisible mark, in full width: what looks so is meant so.
_IS_INTERNAL = re.compile(r"(?:[\s*_~`\u2022\u25e6\u25aa\u200b-\u200f\u2060\ufeff-]|&gt;|\d+\.\s)*[/\uff0f]{2}")
# A plain message, one with files, one that is also sent to the channel, and `/me`.
_WRITTEN_BY_PEOPLE = frozenset({None, "file_share", "thread_broadcast", "me_message"})


@dataclass(frozen=True)
class _Thread:
    tenant_id: UUID
    conversation_id: UUID


def handle(payload: dict[str, Any], *, stored_at: datetime) -> UUID | None:
    """Handle one event of Slack's Events API, in a running transaction; returns the tenant it was about.

    Raises:
        NotYet: it cannot be told yet whether it is a reply in a conversation.
    """
    event = payload.get("event") or {}
    if not _is_reply(event):
        return None
    team_id, channel_id = str(payload.get("team_id") or ""), str(event["channel"])
    thread = first(
        _Thread, "SELECT * FROM conversation_of_thread(%s, %s, %s)", (team_id, channel_id, event["thread_ts"])
    )
    if thread is None:
        _wait_for_root(team_id, channel_id, stored_at)
        return _in_former_thread(event, team_id, channel_id)
    set_tenant(thread.tenant_id)
    if _IS_INTERNAL.match(str(event.get("text") or "")):
        return thread.tenant_id
    writer = Person(str(event.get("user_team") or event.get("team") or team_id), str(event["user"]))
    refusal = _refusal(writer, thread.tenant_id, event) or _send(event, thread, team_id, channel_id, writer)
    if refusal is not None:
        tell_privately(
            team_id, channel_id, writer.user_id, refusal, tenant_id=thread.tenant_id, thread_ts=event["thread_ts"]
        )
    return thread.tenant_id


def say_lost(payload: dict[str, Any]) -> None:
    """Tell who wrote a reply that it could not be handled; without this it would be missing and nobody would know."""
    event = payload.get("event") or {}
    if not _is_reply(event) or _IS_INTERNAL.match(str(event.get("text") or "")):
        return
    team_id, channel_id = str(payload.get("team_id") or ""), str(event["channel"])
    if first(_Thread, "SELECT * FROM conversation_of_thread(%s, %s, %s)", (team_id, channel_id, event["thread_ts"])):
        text = "Not sent to the customer: something went wrong on our side. Write it again, or ask an operator."
        tell_privately(team_id, channel_id, str(event["user"]), text, tenant_id=None, thread_ts=event["thread_ts"])


def _is_reply(event: dict[str, Any]) -> bool:
    return (
        event.get("type") == "message"
        and event.get("subtype") in _WRITTEN_BY_PEOPLE
        and bool(event.get("user"))
        and not event.get("bot_id")
        and bool(event.get("thread_ts"))
        and event.get("thread_ts") != event.get("ts")
    )


def _in_former_thread(event: dict[str, Any], team_id: str, channel_id: str) -> UUID | None:
    """Tell whoever answers where a conversation was shown before; without this the answer would be missing silently."""
    thread = first(
        _Thread, "SELECT * FROM conversation_of_former_thread(%s, %s, %s)", (team_id, channel_id, event["thread_ts"])
    )
    if thread is None or _IS_INTERNAL.match(str(event.get("text") or "")):
        return None
    set_tenant(thread.tenant_id)
    conversation = living(thread.conversation_id)
    now_in = conversation.slack_channel_id if conversation is not None else None
    text = "Not sent to the customer: their conversation is no longer shown in this thread. " + (
        f"It goes on in <#{now_in}>." if now_in else "Run `channel link` where it should go on."
    )
    tell_privately(
        team_id, channel_id, str(event["user"]), text, tenant_id=thread.tenant_id, thread_ts=event["thread_ts"]
    )
    return thread.tenant_id


def _wait_for_root(team_id: str, channel_id: str, stored_at: datetime) -> None:
    for tenant_id in {route.tenant_id for route in routes_of(team_id, channel_id)}:
        set_tenant(tenant_id)
        if waiting_in(team_id, channel_id, since_before=stored_at):
            raise NotYet("A post in this channel is on its way; it may be the root of this thread.")


def _refusal(writer: Person, tenant_id: UUID, event: dict[str, Any]) -> str | None:
    membership = next((one for one in memberships(writer) if one.tenant_id == tenant_id), None)
    if membership is None:
        return (
            "Not sent to the customer: you have no role here. Ask an administrator of this tenant to run "
            f"`user add <@{writer.user_id}> AGENT`, or begin a reply with `{INTERNAL}` to talk among yourselves."
        )
    if not may(Permission.MESSAGE_SEND, _role(membership), is_operator=False):
        return (
            f"Not sent to the customer: that needs {who_may(Permission.MESSAGE_SEND)}, and you are {membership.role}"
            f"{'' if membership.is_active else ', deactivated'}. "
            f"Ask an administrator of *{escape(membership.tenant_name)}*."
        )
    if membership.tenant_status != "active":
        return f"Not sent to the customer: *{escape(membership.tenant_name)}* is deactivated. Ask an operator."
    if event.get("files"):
        return "Not sent to the customer: files cannot be sent yet. Send the text alone, or the file from the phone."
    return None


def _role(membership: Membership) -> UserRole | None:
    return UserRole(membership.role) if membership.is_active else None


def _send(event: dict[str, Any], thread: _Thread, team_id: str, channel_id: str, writer: Person) -> str | None:
    conversation = living(thread.conversation_id)
    session = WahaSession.find(conversation.session_id) if conversation is not None else None
    if conversation is None or session is None:
        return "Not sent to the customer: the session of this conversation was removed. See `session list`."
    text = str(event.get("text") or "")
    body = to_whatsapp(text, _names_in(text, team_id, thread.tenant_id)).strip()
    if not body:
        return "Not sent to the customer: there is no text in it."
    origin = SlackOrigin(team_id, channel_id, str(event["ts"]), writer.user_id)
    queue(conversation, session, chat_id=_chat_of(conversation), body=body, message_id=uuid7(), origin=origin)
    return None


def _chat_of(conversation: Conversation) -> str:
    """The chat to answer in: the one that was known first, as WhatsApp itself wrote it."""
    chats = ConversationChat.select(ConversationChat.chat_id).where(
        ConversationChat.tenant_id == conversation.tenant_id, ConversationChat.conversation_id == conversation.id
    )
    return str(chats.order_by(ConversationChat.created_at, ConversationChat.id).first().chat_id)


def _names_in(text: str, team_id: str, tenant_id: UUID) -> dict[str, str]:
    """First names of the colleagues that are mentioned; the customer is shown nothing else of them."""
    mentioned = {
        one.target for found in re.findall(references.PATTERN, text) if (one := references.parse(found)).kind == "user"
    }
    if not mentioned:
        return {}
    known = (
        User.select(User.first_name, SlackIdentity.slack_user_id)
        .join(SlackIdentity, on=(SlackIdentity.user_id == User.id))
        .where(
            SlackIdentity.tenant_id == tenant_id,
            SlackIdentity.slack_team_id == team_id,
            SlackIdentity.slack_user_id.in_(mentioned),
            SlackIdentity.deleted_at.is_null(),
        )
        .tuples()
    )
    named = cast("Iterable[tuple[str, str]]", known)
    return {slack_user_id: first_name for first_name, slack_user_id in named if first_name}
