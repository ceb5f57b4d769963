"""What people do to their replies after they were queued: what has not left is changed or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from database import notify
from models import Message
from operations import audit
from operations.editions import Reply
from operations.outcomes import NotYet
from operations.receipts import show_receipt
from operations.sql import changed, first, value
from operations.standing import Person

HAS_OLD_TEXT = (
    "The customer has the text from before your change: what was sent cannot be changed from here yet. "
    "Write the correction in this thread if they need it."
)
HAS_IT = (
    "The customer has this message: deleting it here does not take it back from them. "
    "Delete it on the phone if they should not have it."
)
HAS_IT_ALTHOUGH_INTERNAL = "The customer has this message: it was sent before you made it internal."
WAS_NOT_SENT = "Your change was not sent: this message had failed or was taken back before. Write it again here."
_TAKEN_BACK = "Taken back in Slack before it was sent."


@dataclass(frozen=True)
class _State:
    """`is_leased`: a daemon may be sending it. `is_unknown`: a call began, and what came of it is not known."""

    status: str
    is_leased: bool
    is_unknown: bool


def message_of(reply: Reply) -> Message | None:
    """The newest message that a Slack message became."""
    found: Message | None = (
        Message.select()
        .where(
            Message.slack_team_id == reply.team_id,
            Message.slack_channel_id == reply.channel_id,
            Message.slack_ts == reply.ts,
        )
        .order_by(Message.seq.desc())
        .first()
    )
    return found


def change(message: Message, body: str, writer: Person) -> str | None:
    """Send another text instead, if nothing was sent yet; else what the writer must know.

    Raises:
        NotYet: it is on its way; whether it left is known when its lease has ended.
    """
    state = _locked(message)
    if _can_change(state):
        changed(
            "UPDATE messages SET body = %s, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s "
            "AND status = 'queued' AND send_started_at IS NULL",
            (body, message.id, message.tenant_id),
        )
        audit.record(writer.key, "message.edit", message, tenant_id=message.tenant_id)
        return None
    return WAS_NOT_SENT if state.status == "failed" else HAS_OLD_TEXT


def delete(message: Message, writer: Person) -> str | None:
    """Take back what was not sent yet; else what the writer must know.

    Raises:
        NotYet: it is on its way.
    """
    state = _locked(message)
    if _can_change(state):
        _take_back(message, writer)
        return None
    return None if state.status == "failed" else HAS_IT


def make_internal(message: Message, writer: Person) -> str | None:
    """The same for what became talk among colleagues; its Slack message stays, and shows that it was not sent.

    Raises:
        NotYet: it is on its way.
    """
    state = _locked(message)
    if _can_change(state):
        _take_back(message, writer)
        show_receipt(Message.get_by_id(message.id))
        return None
    return None if state.status == "failed" else HAS_IT_ALTHOUGH_INTERNAL


def _locked(message: Message) -> _State:
    """How far it is, with the conversation locked first, as the sender does: from here on nobody leases it.

    Raises:
        NotYet: a daemon has it.
    """
    value(
        "SELECT 1 FROM conversations WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (message.conversation_id, message.tenant_id),
    )
    state = first(
        _State,
        "SELECT status, coalesce(lease_expires_at > clock_timestamp(), false) AS is_leased, "
        "send_started_at IS NOT NULL AS is_unknown FROM messages WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (message.id, message.tenant_id),
    )
    if state is None:
        raise LookupError("The message is gone.")
    if state.status == "queued" and state.is_leased:
        raise NotYet("The message is on its way; whether it left is known when its lease has ended.")
    return state


def _can_change(state: _State) -> bool:
    return state.status == "queued" and not state.is_unknown


def _take_back(message: Message, writer: Person) -> None:
    changed(
        "UPDATE messages SET status = 'failed', error_message = %s, updated_at = clock_timestamp() "
        "WHERE id = %s AND tenant_id = %s AND status = 'queued' AND send_started_at IS NULL",
        (_TAKEN_BACK, message.id, message.tenant_id),
    )
    audit.record(writer.key, "message.cancel", message, tenant_id=message.tenant_id)
    notify("messages")  # what waited behind it
