"""What a team member writes in a conversation's thread goes to the customer, unless it is internal or they may not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import NAMESPACE_URL, UUID, uuid5

from database import set_tenant
from models import Conversation, ConversationChat, Message, Outside, SlackIdentity, Tenant, User, WahaSession, uuid7
from operations import audit, deciding, editions, edits, slack_people
from operations.conversations import living
from operations.editions import INTERNAL, Reply, reply_of
from operations.erasing import slot_of
from operations.outcomes import NotYet
from operations.permissions import Permission, may, who_may
from operations.posting import tell_privately, waiting_in
from operations.queueing import SlackOrigin, queue
from operations.sql import clean, first, value
from operations.standing import kept_out, memberships, routes_of
from operations.wording import quoted
from slack import references
from slack.mrkdwn import escape, to_whatsapp

ERASED = "Not sent to the customer: they were erased with all that was kept of them. `send` writes to them anew."
NO_TEXT = "Not sent to the customer: there is no text in it."
STAYS_INTERNAL = (
    "Not sent to the customer: a reply that was internal stays so when it is edited. Write it again in this thread."
)


@dataclass(frozen=True)
class _Thread:
    tenant_id: UUID
    conversation_id: UUID


def handle(payload: dict[str, Any], *, stored_at: datetime) -> UUID | None:
    """Handle one event of Slack's Events API, in a running transaction; returns the tenant it was about.

    Raises:
        NotYet: it cannot be told yet whether it is a reply in a conversation, or whether its message has left.
    """
    reply = reply_of(editions.completed(payload))
    if reply is None:
        return None
    thread = _thread_of("conversation_of_thread", reply)
    is_former = thread is None
    if is_former:
        _wait_for_root(reply.team_id, reply.channel_id, stored_at)
        thread = _thread_of("conversation_of_former_thread", reply)
    if thread is None:
        return _say_erased(reply)
    set_tenant(thread.tenant_id)
    with audit.coming_from(f"reply:{reply.team_id}/{reply.channel_id}/{reply.thread_ts}"):
        answer = _answer(reply, thread, stored_at, is_former=is_former)
    if answer is not None:
        _tell(reply, answer, thread.tenant_id)
    return thread.tenant_id


def say_lost(payload: dict[str, Any]) -> None:
    """Tell who wrote a reply that it could not be handled; without this it would be missing and nobody would know."""
    reply = reply_of(payload)
    if reply is None or (reply.is_internal and not reply.edition):
        return
    if _thread_of("conversation_of_thread", reply):
        text = "Not sent to the customer: something went wrong on our side. Write it again, or ask an operator."
        if reply.edition:
            text = "Something went wrong on our side: the customer may get, or have, the text before this change."
        _tell(reply, text, None)


def _thread_of(function: str, reply: Reply) -> _Thread | None:
    place = (reply.team_id, reply.channel_id, reply.thread_ts)
    return first(_Thread, f"SELECT * FROM {function}(%s, %s, %s)", place)  # noqa: S608 - a name of ours


def _tell(reply: Reply, text: str, tenant_id: UUID | None) -> None:
    """The same sentence about the same reply once, however often it is edited."""
    tell_privately(
        reply.team_id,
        reply.channel_id,
        reply.writer.user_id,
        text,
        tenant_id=tenant_id,
        thread_ts=reply.thread_ts,
        slot=f"told:{reply.about}:{uuid5(NAMESPACE_URL, text).hex}",
    )


def _answer(reply: Reply, thread: _Thread, stored_at: datetime, *, is_former: bool) -> str | None:
    """Do what an edition asks for; what its writer must be told, if anything."""
    before = editions.handled(reply)
    if any(edition >= reply.edition for edition in before):
        return None  # told twice, or overtaken by a newer edition
    message = edits.message_of(reply)
    if message is not None:
        return _changed(reply, message)
    if reply.is_deleted or reply.is_internal:
        return None
    if reply.was_internal:
        return STAYS_INTERNAL
    # An edit of what was refused does nothing; one of what has not arrived yet stands for it.
    if before or (reply.edition and reply.is_old(stored_at)):
        return None
    return _moved(thread) if is_former else _refusal(reply, thread.tenant_id) or _send(reply, thread)


def _changed(reply: Reply, message: Message) -> str | None:
    if reply.is_deleted:
        return edits.delete(message, reply.writer)
    if reply.is_internal:
        return edits.make_internal(message, reply.writer)
    body = _body(reply, message.tenant_id)
    if body == deciding.text_of(message):
        return None
    refusal = _refusal(reply, message.tenant_id) or (None if body else NO_TEXT)
    return _of_change(refusal) if refusal is not None else edits.change(message, body, reply.writer)


def _of_change(refusal: str) -> str:
    return refusal.replace("Not sent to the customer", "Your change was not taken over, the text from before counts", 1)


def _moved(thread: _Thread) -> str:
    """For whoever answers where a conversation was shown before; without it the answer would be missing silently."""
    conversation = living(thread.conversation_id)
    now_in = conversation.slack_channel_id if conversation is not None else None
    return "Not sent to the customer: their conversation is no longer shown in this thread. " + (
        f"It goes on in <#{now_in}>." if now_in else "Run `channel link` where it should go on."
    )


def _wait_for_root(team_id: str, channel_id: str, stored_at: datetime) -> None:
    for tenant_id in {route.tenant_id for route in routes_of(team_id, channel_id)}:
        set_tenant(tenant_id)
        if waiting_in(team_id, channel_id, since_before=stored_at):
            raise NotYet("A post in this channel is on its way; it may be the root of this thread.")


def _say_erased(reply: Reply) -> UUID | None:
    """A thread whose customer was erased is no conversation any more; its order to be deleted tells what it was."""
    slot = slot_of(reply.team_id, reply.channel_id, reply.thread_ts, is_thread=True)
    if reply.is_internal or reply.is_deleted:
        return None
    for tenant_id in {route.tenant_id for route in routes_of(reply.team_id, reply.channel_id)}:
        set_tenant(tenant_id)
        if value("SELECT EXISTS (SELECT 1 FROM slack_posts WHERE slot = %s AND tenant_id = %s)", (slot, tenant_id)):
            _tell(reply, ERASED, tenant_id)
            return tenant_id
    return None


def _refusal(reply: Reply, tenant_id: UUID) -> str | None:
    writer = reply.writer
    if reason := _outside(reply):
        return f"Not sent to the customer: {reason}"
    membership = next((one for one in memberships(writer) if one.tenant_id == tenant_id), None)
    if membership is None and Tenant.find(tenant_id) is None:
        name = escape(Tenant.get_by_id(tenant_id).name)
        return f"Not sent to the customer: *{name}* was deleted. Ask an operator for `tenant restore {quoted(name)}`."
    if membership is None:
        return (
            "Not sent to the customer: you have no role here. Ask an administrator of this tenant to run "
            f"`user add <@{writer.user_id}> AGENT`, or begin a reply with `{INTERNAL}` to talk among yourselves."
        )
    if reason := membership.closed_because:
        return f"Not sent to the customer: {reason}"
    if not may(Permission.MESSAGE_SEND, membership.role_held, is_operator=False):
        return (
            f"Not sent to the customer: that needs {who_may(Permission.MESSAGE_SEND)}, and you are {membership.role}. "
            f"Ask an administrator of *{escape(membership.tenant_name)}*."
        )
    if membership.tenant_status != "active":
        name = escape(membership.tenant_name)
        return (
            f"Not sent to the customer: *{name}* is deactivated. It is not sent later either: write it again once an "
            f"operator has run `tenant activate {quoted(name)}`."
        )
    if reply.has_files:
        return "Not sent to the customer: files cannot be sent yet. Send the text alone, or the file from the phone."
    return None


def _outside(reply: Reply) -> str:
    """Why Slack's word alone keeps the writer out; whatever row of ours says so, people of other companies are."""
    if reply.writer.team_id != reply.team_id:
        return kept_out(Outside.STRANGER)
    kept = slack_people.known(reply.writer)
    return kept_out(kept.outside) if kept is not None and kept.outside else ""


def _send(reply: Reply, thread: _Thread) -> str | None:
    conversation = living(thread.conversation_id)
    session = WahaSession.find(conversation.session_id) if conversation is not None else None
    if conversation is None or session is None:
        return "Not sent to the customer: the session of this conversation was removed. See `session list`."
    body = _body(reply, thread.tenant_id)
    if not body:
        return NO_TEXT
    origin = SlackOrigin(reply.team_id, reply.channel_id, reply.ts, reply.writer.user_id)
    queue(conversation, session, chat_id=_chat_of(conversation), body=body, message_id=uuid7(), origin=origin)
    return None


def _body(reply: Reply, tenant_id: UUID) -> str:
    """The text as the customer reads it, as the column takes it."""
    return clean(to_whatsapp(reply.text, _names_in(reply.text, reply.team_id, tenant_id)).strip())


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
