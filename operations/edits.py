"""What people do to their replies after they were queued: what has not left is changed or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from models import Message
from operations import audit, deciding
from operations.editions import Reply
from operations.outcomes import NotYet
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
MAY_HAVE_IT = (
    "Whether the customer has this message is not known yet, so it cannot be changed or taken back here any more. "
    "What became of it shows on it."
)
WAS_NOT_SENT = "Your change was not sent: this message had failed or was taken back before. Write it again here."


@dataclass(frozen=True)
class _State:
    """`is_leased`: a daemon holds it. `has_begun`: a call began, and what came of it is not known."""

    status: str
    is_leased: bool
    has_begun: bool

    @property
    def waits(self) -> bool:
        return self.status == "queued" and not self.has_begun


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
    if state.waits and state.is_leased:
        raise NotYet("A daemon holds the message with the text from before.")
    if not state.waits:
        return WAS_NOT_SENT if state.status == "failed" else _too_late(state, HAS_OLD_TEXT)
    changed(
        "UPDATE messages SET body = %s, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (body, message.id, message.tenant_id),
    )
    audit.record(writer.key, "message.edit", message, tenant_id=message.tenant_id)
    return None


def delete(message: Message, writer: Person) -> str | None:
    """Take back what was not sent yet; else what the writer must know.

    Raises:
        NotYet: it is on its way.
    """
    return _taken_back(message, writer, HAS_IT)


def make_internal(message: Message, writer: Person) -> str | None:
    """The same for what became talk among colleagues.

    Raises:
        NotYet: it is on its way.
    """
    return _taken_back(message, writer, HAS_IT_ALTHOUGH_INTERNAL)


def _taken_back(message: Message, writer: Person, too_late: str) -> str | None:
    state = _locked(message)
    if state.waits:
        # Also under a lease: a daemon begins no call for what is not queued any more.
        deciding.cancel(message.id, user_id=writer.key)
        return None
    return None if state.status == "failed" else _too_late(state, too_late)


def _too_late(state: _State, sentence: str) -> str:
    return MAY_HAVE_IT if state.status == "queued" else sentence


def _locked(message: Message) -> _State:
    """How far it is, with the conversation locked first, as the sender does: from here on nobody leases it.

    Raises:
        NotYet: it is on its way, and its lease is not over.
    """
    value(
        "SELECT 1 FROM conversations WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (message.conversation_id, message.tenant_id),
    )
    state = first(
        _State,
        "SELECT status, coalesce(lease_expires_at > clock_timestamp(), false) AS is_leased, "
        "send_started_at IS NOT NULL AS has_begun FROM messages WHERE id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (message.id, message.tenant_id),
    )
    if state is None:
        raise LookupError("The message is gone.")
    if state.status == "queued" and state.has_begun and state.is_leased:
        raise NotYet("The message is on its way; whether it left is known when its lease has ended.")
    return state
