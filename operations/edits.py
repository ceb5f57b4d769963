"""What people do to their replies after they were queued: what has not left is changed or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from models import Message
from operations import audit, deciding
from operations.editions import Reply
from operations.outcomes import NotYet
from operations.sql import changed, first
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
IS_NOT_SENT_AGAIN = (
    "Whether the customer has this message is not known yet, and it cannot be taken back from them. If it did not "
    "reach them it is not sent again."
)
WAS_NOT_SENT = "Your change was not sent: this message was taken back before. Write it again here."
IS_SENT_BY_RETRY = "This message did not reach the customer. Your change is kept; *Retry* below it sends the new text."


@dataclass(frozen=True)
class _State:
    """`is_leased`: a daemon holds it. `has_begun`: a call began, and what came of it is not known.

    `is_unconfirmed`: WAHA took it, and WhatsApp has not said that it has it.
    """

    status: str
    is_leased: bool
    has_begun: bool
    is_unconfirmed: bool
    is_dropped: bool

    @property
    def waits(self) -> bool:
        return self.status == "queued" and not self.has_begun

    @property
    def has_failed(self) -> bool:
        return self.status == "failed" and not self.is_unconfirmed


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

    Nothing that is sent again has the text from before.

    Raises:
        NotYet: it is on its way; whether it left is known when its lease has ended.
    """
    state = _locked(message)
    if state.waits and state.is_leased:
        raise NotYet("A daemon holds the message with the text from before.")
    if state.status == "failed" and state.is_dropped:
        return WAS_NOT_SENT
    if not state.waits and not state.has_failed:
        deciding.reword(message.id, body, user_id=writer.key)
        return _too_late(state, HAS_OLD_TEXT)
    changed(
        "UPDATE messages SET body = %s, metadata = metadata - 'newest_text', updated_at = clock_timestamp() "
        "WHERE id = %s AND tenant_id = %s",
        (body, message.id, message.tenant_id),
    )
    audit.record(writer.key, "message.edit", message, tenant_id=message.tenant_id)
    return IS_SENT_BY_RETRY if state.has_failed else None


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
    deciding.take_back(message.id, user_id=writer.key)
    if state.has_failed or (state.status == "failed" and state.is_dropped):
        return None
    return IS_NOT_SENT_AGAIN if state.status in {"queued", "failed"} else too_late


def _too_late(state: _State, sentence: str) -> str:
    return MAY_HAVE_IT if state.status in {"queued", "failed"} else sentence


def _locked(message: Message) -> _State:
    """How far it is, with the conversation locked first, as the sender does: from here on nobody leases it.

    Raises:
        NotYet: it is on its way, and its lease is not over.
    """
    deciding.lock_with_conversation(message)
    state = first(
        _State,
        "SELECT status, coalesce(lease_expires_at > clock_timestamp(), false) AS is_leased, "
        "send_started_at IS NOT NULL AS has_begun, awaits_ack_since IS NOT NULL AS is_unconfirmed, "
        "jsonb_exists(metadata, 'dropped_by') AS is_dropped FROM messages WHERE id = %s AND tenant_id = %s",
        (message.id, message.tenant_id),
    )
    if state is None:
        raise LookupError("The message is gone.")
    if state.status == "queued" and state.has_begun and state.is_leased:
        raise NotYet("The message is on its way; whether it left is known when its lease has ended.")
    return state
