"""What a person decides about a message that did not simply leave. Each runs in a transaction with the tenant set.

A decision is taken once: whoever comes second, or when the message has moved on, is refused with what became of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final
from uuid import UUID

from database import notify
from models import Conversation, Message, MessageStatus, SlackIdentity, User
from operations import audit
from operations.buttons import Act
from operations.errors import BadInput, NotFound, Refused
from operations.hold_reasons import UNKNOWN
from operations.receipts import show_receipt
from operations.replaying import replay
from operations.sql import changed, clean, locked, value


class State(Enum):
    """Where a message stands for a person; the value says why nothing can be decided there."""

    WAITING = "It waits to be sent already."
    IN_FLIGHT = "It is on its way at this moment; what becomes of it shows in a minute."
    ASIDE = "It was set aside and was not sent."
    UNKNOWN = "Whether it was sent is not known. Look on the phone, then decide with the buttons below its question."
    WITHDRAWN = "It was taken back in Slack, and whether it had been sent by then is not known. It is not sent again."
    UNCONFIRMED = (
        "WAHA took it and WhatsApp has not confirmed it, so it may still arrive. Look on the phone, then decide with "
        "the buttons in `message failed`."
    )
    FAILED = "It was not delivered."
    DROPPED = "It was taken back before."
    REPLAYED = "It was put on its way again before."
    GONE = "It has been sent."


_POSSIBLE: Final = {
    Act.SEND_NOW: {State.ASIDE},
    Act.RETRY: {State.ASIDE, State.FAILED},
    Act.EDIT: {State.ASIDE, State.FAILED, State.UNCONFIRMED},
    Act.DISCARD: {State.ASIDE, State.FAILED, State.UNCONFIRMED, State.WITHDRAWN, State.WAITING},
    Act.WAS_SENT: {State.UNKNOWN, State.WITHDRAWN},
    Act.SEND_AGAIN: {State.UNKNOWN, State.UNCONFIRMED},
}
# A message is offered what makes sense most often; the others are possible too.
_OFFERED: Final = {
    State.ASIDE: (Act.RETRY, Act.EDIT, Act.DISCARD),
    State.UNKNOWN: (Act.WAS_SENT, Act.SEND_AGAIN),
    State.WITHDRAWN: (Act.WAS_SENT, Act.DISCARD),
    State.UNCONFIRMED: (Act.SEND_AGAIN, Act.EDIT, Act.DISCARD),
    State.FAILED: (Act.RETRY, Act.EDIT, Act.DISCARD),
}


def tenant_of(message_id: UUID) -> UUID | None:
    """Whose message it is, whatever tenant is set; None when there is none, or it was deleted."""
    found: UUID | None = value("SELECT tenant_of_message(%s)", (message_id,))
    return found


def decide(act: Act, message_id: UUID, *, user_id: str, new_id: UUID) -> str:
    """Carry out a button; what the clicker is told. `new_id` is the replay's, where the act makes one.

    `user_id` is a Slack user's, with or without the team before it (`T1/U1`). `Act.EDIT` needs a text: see `edit`.

    Raises:
        NotFound: there is no such message in the tenant.
        Refused: it is too late; the sentence says what became of the message.
    """
    message = _possible(message_id, _POSSIBLE[act])
    by = _name_of(message.tenant_id, user_id)
    match act:
        case Act.SEND_NOW | Act.RETRY if message.status == MessageStatus.QUEUED:
            _let_go(message)
            said = "It is sent now, before whatever of this conversation still waits."
        case Act.RETRY:
            replay(message, new_id=new_id, body=text_of(message))
            said = "It is sent again."
        case Act.DISCARD:
            _drop(message, f"Discarded by {by}.", user_id)
            said = "It is discarded; the customer does not get it."
        case Act.WAS_SENT:
            _settle_sent(message)
            said = "It counts as sent."
        case Act.SEND_AGAIN:
            _close(message, f"Its outcome stayed unknown, and {by} sent it again.")
            replay(message, new_id=new_id, body=text_of(message))
            said = "It is sent again."
        case _:
            raise BadInput("The text that should be sent is missing.")
    _write_down(act.value, message, user_id)
    return said


def edit(message_id: UUID, text: str, *, user_id: str, new_id: UUID) -> str:
    """Send another text in the place of one that failed or was set aside; what the person is told.

    Raises:
        BadInput: the text is empty.
        NotFound: there is no such message in the tenant.
        Refused: it is too late; the sentence says what became of the message.
    """
    body = clean(text).strip()
    if not body:
        raise BadInput("The text is empty; write what should be sent.")
    message = _possible(message_id, _POSSIBLE[Act.EDIT])
    if message.status == MessageStatus.QUEUED:
        _close(message, f"{_name_of(message.tenant_id, user_id)} sent another text instead.")
    replay(message, new_id=new_id, body=body)
    _write_down(Act.EDIT.value, message, user_id)
    return "The new text is sent."


def cancel(message_id: UUID, *, user_id: str) -> str:
    """Take back a message that has not left; what the person is told.

    Raises:
        NotFound: there is no such message in the tenant.
        Refused: it has left, or may have; the sentence says which.
    """
    message = _possible(message_id, {State.WAITING, State.ASIDE})
    _drop(message, f"Cancelled by {_name_of(message.tenant_id, user_id)}.", user_id)
    _write_down("message.cancel", message, user_id)
    return "It is cancelled; the customer does not get it."


def take_back(message_id: UUID, *, user_id: str) -> None:
    """See to it that nothing sends a message again, whatever becomes of it: its writer deleted it, or made it internal.

    What had failed is dropped. What may have left keeps its state, and counts as dropped should it fail later.

    Raises:
        NotFound: there is no such message in the tenant.
    """
    message = _possible(message_id, set(State))
    if state_of(message) in {State.FAILED, State.UNCONFIRMED}:
        _drop(message, f"Taken back by {_name_of(message.tenant_id, user_id)}.", user_id)
    elif "dropped_by" not in message.metadata:
        _note(message, "dropped_by", user_id)
    else:
        return
    _write_down("message.take_back", message, user_id)


def drop_taken_back(tenant_id: UUID, message_id: UUID) -> None:
    """End what its writer took back while it was on its way, now that it is known not to have left."""
    dropped = changed(
        "UPDATE messages SET status = 'failed', error_message = 'Taken back before it left.', parked_at = NULL, "
        "hold_reason = NULL, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s AND status = 'queued' "
        "AND send_started_at IS NULL AND jsonb_exists(metadata, 'dropped_by')",
        (message_id, tenant_id),
    )
    if dropped:
        show_receipt(Message.get_by_id(message_id))


def reword(message_id: UUID, text: str, *, user_id: str) -> None:
    """Remember what the writer made of the text since it may have left: what is sent again is the newest.

    Raises:
        NotFound: there is no such message in the tenant.
    """
    message = _possible(message_id, set(State))
    _note(message, "newest_text", text)
    _write_down("message.edit", message, user_id)


def text_of(message: Message) -> str:
    """The text as its writer last wanted it; `body` is the one that may have left."""
    return str(message.metadata.get("newest_text", message.body))


def call_off_replay(message: Message) -> Message:
    """End what repeats a message that arrived after all, if it has not left; the message as it is then.

    Another text in its place goes on: it was written for a customer who may have the first one.
    """
    again = _last_replay_of(message)
    if again.id == message.id or text_of(again) != message.body:
        return message
    again = lock_with_conversation(again)
    if state_of(again) not in {State.WAITING, State.ASIDE}:
        return message
    _close(again, "What it repeats arrived after all.")
    _note(again, "dropped_by", "whatsapp")
    _give_back_origin(message, again)
    now: Message = Message.get_by_id(message.id)
    return now


def _give_back_origin(message: Message, again: Message) -> None:
    """What people do to the Slack message, and the receipt on it, are about the first message again."""
    changed(
        "UPDATE messages SET slack_team_id = NULL, slack_channel_id = NULL, slack_ts = NULL, slack_part = NULL "
        "WHERE id = %s AND tenant_id = %s",
        (again.id, again.tenant_id),
    )
    changed(
        "UPDATE messages SET slack_team_id = %s, slack_channel_id = %s, slack_ts = %s, slack_part = %s "
        "WHERE id = %s AND tenant_id = %s",
        (again.slack_team_id, again.slack_channel_id, again.slack_ts, again.slack_part, message.id, message.tenant_id),
    )
    changed(
        "UPDATE slack_posts SET slot = %s, message_id = %s WHERE slot = %s AND tenant_id = %s",
        (f"receipt:{message.id}", message.id, f"receipt:{again.id}", message.tenant_id),
    )


def _last_replay_of(message: Message) -> Message:
    while again := Message.get_or_none(Message.tenant_id == message.tenant_id, Message.replay_of == message.id):
        message = again
    return message


def state_of(message: Message) -> State:
    """Where a message stands, by its row and its replay."""
    if message.status in {MessageStatus.SENT, MessageStatus.DELIVERED}:
        return State.GONE
    if message.status == MessageStatus.FAILED:
        if Message.select().where(Message.tenant_id == message.tenant_id, Message.replay_of == message.id).exists():
            return State.REPLAYED
        if "dropped_by" in message.metadata:
            return State.DROPPED
        return State.FAILED if message.awaits_ack_since is None else State.UNCONFIRMED
    if message.parked_at is not None:
        if message.hold_reason != UNKNOWN:
            return State.ASIDE
        return State.WITHDRAWN if "dropped_by" in message.metadata else State.UNKNOWN
    # A lease whose call has not begun is no obstacle: the call begins only while the message is still queued.
    return State.WAITING if message.send_started_at is None else State.IN_FLIGHT


def acts_of(message: Message) -> tuple[Act, ...]:
    """What a person is offered to decide about a message; nothing where there is nothing to decide."""
    return _OFFERED.get(state_of(message), ())


def _possible(message_id: UUID, states: set[State]) -> Message:
    """The message and its conversation, locked, if it stands in one of the states."""
    found = Message.find(message_id)
    if found is None or found.direction != "outbound":
        raise NotFound("There is no such message in this tenant; `message failed` shows what waits for a decision.")
    message = lock_with_conversation(found)
    if (state := state_of(message)) not in states:
        raise Refused(f"Nothing was changed. {state.value}")
    return message


def lock_with_conversation(message: Message) -> Message:
    """The message as it is now, with its conversation locked first, as whoever queues, leases or records does."""
    locked_id = None
    # Again where it was joined to an older conversation meanwhile: whoever joined them locked the older before the
    # younger, and has committed, so that nobody waits in a circle.
    while locked_id != message.conversation_id:
        locked_id = message.conversation_id
        locked(Conversation.select(Conversation.id).where(Conversation.id == locked_id)).first()
        message = Message.get_by_id(message.id)
    now: Message = locked(Message.select().where(Message.id == message.id)).get()
    return now


def _let_go(message: Message) -> None:
    """Send it in the place that it had, whatever its age: whoever let it go wants it now."""
    changed(
        "UPDATE messages SET parked_at = NULL, hold_reason = NULL, blocks_since = NULL, send_started_at = NULL, "
        "error_message = NULL, confirmed_at = clock_timestamp(), next_attempt_at = clock_timestamp(), "
        "updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (message.id, message.tenant_id),
    )
    notify("messages")


def _settle_sent(message: Message) -> None:
    """The id stays unconfirmed, so that the message's own echo, when it comes, still finds it."""
    changed(
        "UPDATE messages SET status = 'sent', sent_at = send_started_at, parked_at = NULL, hold_reason = NULL, "
        "error_message = NULL, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (message.id, message.tenant_id),
    )
    show_receipt(Message.get_by_id(message.id))


def _drop(message: Message, reason: str, user_id: str) -> None:
    _close(message, reason)
    _note(message, "dropped_by", user_id)
    show_receipt(Message.get_by_id(message.id))


def _note(message: Message, name: str, noted: str) -> None:
    changed(
        "UPDATE messages SET metadata = metadata || jsonb_build_object(%s::text, %s::text), "
        "updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (name, noted, message.id, message.tenant_id),
    )


def _close(message: Message, reason: str) -> None:
    """End a message without a word in the thread: who decided it knows."""
    changed(
        "UPDATE conversations SET send_lease_token = NULL, send_lease_expires_at = NULL "
        "WHERE id = %s AND tenant_id = %s AND send_lease_token = %s",
        (message.conversation_id, message.tenant_id, message.lease_token),
    )
    changed(
        "UPDATE messages SET status = 'failed', error_message = %s, parked_at = NULL, hold_reason = NULL, "
        "lease_token = NULL, lease_expires_at = NULL, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (reason, message.id, message.tenant_id),
    )
    notify("messages")


def _name_of(tenant_id: UUID, user_id: str) -> str:
    """The first name that the tenant knows; a mention would not be one inside a kept reason."""
    slack_user_id = user_id.rpartition("/")[2]
    known = (
        User.live(User.first_name)
        .join(SlackIdentity, on=(SlackIdentity.user_id == User.id))
        .where(SlackIdentity.tenant_id == tenant_id, SlackIdentity.slack_user_id == slack_user_id)
        .scalar()
    )
    return str(known) if known else slack_user_id


def _write_down(action: str, message: Message, user_id: str) -> None:
    after = Message.get_by_id(message.id)
    audit.record(
        user_id,
        action,
        message,
        tenant_id=message.tenant_id,
        before={"status": message.status.value, "hold_reason": message.hold_reason},
        after={"status": after.status.value},
    )
