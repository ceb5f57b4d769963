"""How far our messages got: acknowledgements and echoes from WAHA. A status moves forward only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from models import Engine, Message, WahaSession, uuid7
from operations import deciding, restrictions
from operations.buttons import Act
from operations.outcomes import NotYet
from operations.receipts import show_receipt
from operations.replaying import replay
from operations.saying import excerpt_of, lock_thread_of, say_in_thread
from operations.sql import clean, entity, value
from slack.mrkdwn import foreign
from waha.answers import REACHOUT_TIMELOCK
from waha.events import AckEvent
from waha.messages import Message as WahaMessage

_LONGEST_ID = 255  # the column's

_OURS = "tenant_id = %s AND session_id = %s AND direction = 'outbound' AND waha_message_id = %s"
_UNDELIVERED = "status IN ('queued', 'sent')"
_UNREAD = "status IN ('queued', 'sent', 'delivered') AND read_at IS NULL"
_READ = "status = 'delivered', delivered_at = coalesce(delivered_at, clock_timestamp()), read_at = clock_timestamp()"


def acknowledge(session: WahaSession, event: AckEvent) -> None:
    """Apply an acknowledgement to the message that it is of, and show it; one of something unknown says nothing."""
    moved = move(session, event)
    if moved is not None:
        show_receipt(moved)


def move(session: WahaSession, event: AckEvent) -> Message | None:
    """The message as it is now, where an acknowledgement moved it forward."""
    # Another device of the account read what a customer wrote: no receipt of ours.
    if not event.from_me or event.receipt is None:
        return None
    match event.receipt:
        case "failed":
            return _refuse(session, event)
        case "sent":
            return _forward(session, event.message_id, "status = 'queued'", "status = 'sent'")
        case "delivered":
            assignments = "status = 'delivered', delivered_at = clock_timestamp()"
            return _forward(session, event.message_id, _UNDELIVERED, assignments)
        case "read":
            return _forward(session, event.message_id, _UNREAD, _READ)
        case _:
            return None


def is_unknown(session: WahaSession, event: AckEvent) -> bool:
    """Whether an acknowledgement says something, of a message that is not here: it is on its way, or still to come."""
    says_something = event.from_me and event.receipt is not None
    return says_something and _ours(session, event.message_id) is None


def is_own(session: WahaSession, told: WahaMessage) -> bool:
    """Whether a message that left the account is one of ours.

    Raises:
        NotYet: a message of this chat is on its way and may turn out to be this one, under an id that WAHA chose.
    """
    if _ours(session, told.message_id) or _adopted(session, told):
        return True
    _wait_for_answer(session, _chats(told))
    return False


def confirm(session: WahaSession, told: WahaMessage) -> Message | None:
    """The message as it is now, where WAHA's telling of it proves that it was sent."""
    # NOWEB and WEBJS tell of a message before WhatsApp has it (ack 0): then the answer to the call says that it left,
    # and only where that was lost, that WAHA has it at all.
    if told.ack is not None and told.ack < 1:
        return _settle(session, told.message_id)
    return _forward(session, told.message_id, "status = 'queued'", "status = 'sent'")


def _ours(session: WahaSession, waha_message_id: str) -> UUID | None:
    found: UUID | None = value(
        f"SELECT id FROM messages WHERE {_OURS}",  # noqa: S608 - words of ours
        (session.tenant_id, session.id, waha_message_id[:_LONGEST_ID]),
    )
    return found


def _chats(told: WahaMessage) -> tuple[str, ...]:
    return tuple(one for one in (told.chat_id, told.alternate_chat_id) if one)


def _adopted(session: WahaSession, told: WahaMessage) -> UUID | None:
    """The message whose call ended in doubt and whose text this is, where WAHA chooses the ids; it takes this one."""
    found: UUID | None = value(
        """
        UPDATE messages SET waha_message_id = %(waha_message_id)s, id_confirmed = true WHERE id = (
            SELECT m.id FROM messages m JOIN conversation_chats c ON c.conversation_id = m.conversation_id
            WHERE m.tenant_id = %(tenant)s AND m.session_id = %(session)s AND c.chat_id = ANY (%(chats)s)
                AND m.direction = 'outbound' AND m.send_started_at IS NOT NULL AND NOT m.id_confirmed
                AND btrim(m.body) = btrim(%(body)s)
                AND (m.status = 'queued' AND (m.parked_at IS NOT NULL OR %(chooses_ids)s)
                    -- a person said that it was sent, or WAHA did without its id, and its echo comes only now
                    OR m.status = 'sent' AND m.sent_at > clock_timestamp() - interval '1 day')
            ORDER BY m.seq LIMIT 1 FOR NO KEY UPDATE OF m
        ) RETURNING id
        """,
        {
            "waha_message_id": clean(told.message_id)[:_LONGEST_ID],
            "tenant": session.tenant_id,
            "session": session.id,
            "chats": list(_chats(told)),
            "body": clean(told.body),
            "chooses_ids": session.ids_refused_at is not None or session.engine is Engine.WEBJS,
        },
    )
    return found


def _wait_for_answer(session: WahaSession, chat_ids: Sequence[str]) -> None:
    """The answer to a call may tell another id than we chose; until it is here, nobody knows whose an unknown id is."""
    is_sending = value(
        """
        SELECT EXISTS (
            SELECT 1 FROM conversation_chats chat
            JOIN conversations c ON c.id = chat.conversation_id AND c.send_lease_expires_at > clock_timestamp()
            JOIN messages m ON m.conversation_id = c.id AND m.lease_token = c.send_lease_token
            WHERE chat.tenant_id = %s AND chat.session_id = %s AND chat.chat_id = ANY (%s)
                AND m.status = 'queued' AND m.send_started_at IS NOT NULL
        )
        """,
        (session.tenant_id, session.id, list(chat_ids)),
    )
    if is_sending:
        raise NotYet("A message of this chat is on its way, and its answer may tell this id.")


def _forward(session: WahaSession, waha_message_id: str, condition: str, assignments: str) -> Message | None:
    """Move a status forward. The conversation stays leased until the call is answered, or the lease has ended.

    What waits for WhatsApp's first word goes on too, and what was given up because that word did not come.
    """
    moved = entity(
        Message,
        f"UPDATE messages SET {assignments}, sent_at = coalesce(sent_at, clock_timestamp()), "  # noqa: S608 - words of ours
        "error_message = NULL, hold_reason = NULL, parked_at = NULL, awaits_ack_since = NULL, id_confirmed = true, "
        f"updated_at = clock_timestamp() WHERE {_OURS} AND ({condition} OR awaits_ack_since IS NOT NULL) RETURNING *",
        (session.tenant_id, session.id, waha_message_id[:_LONGEST_ID]),
    )
    # What was sent again has handed over its Slack message.
    return deciding.call_off_replay(moved) if moved is not None and moved.slack_ts is None else moved


def _settle(session: WahaSession, waha_message_id: str) -> Message | None:
    """WAHA has a message of which nobody knew that; whether WhatsApp has it too is asked later."""
    return entity(
        Message,
        "UPDATE messages SET status = 'sent', sent_at = send_started_at, parked_at = NULL, hold_reason = NULL, "  # noqa: S608 - words of ours
        "awaits_ack_since = clock_timestamp(), id_confirmed = true, updated_at = clock_timestamp() "
        f"WHERE {_OURS} AND status = 'queued' AND parked_at IS NOT NULL AND send_started_at IS NOT NULL RETURNING *",
        (session.tenant_id, session.id, waha_message_id[:_LONGEST_ID]),
    )


def _refuse(session: WahaSession, event: AckEvent) -> Message | None:
    """WhatsApp refused what WAHA had taken. For a chat that may not be begun now, a new message waits in its place."""
    message_id = _ours(session, event.message_id)
    if message_id is not None:
        lock_thread_of(message_id, session.tenant_id)
    code = event.error.code if event.error is not None else None
    if code != str(REACHOUT_TIMELOCK):
        return _fail(session, event, "WhatsApp refused it" + (f" (code {code})" if code else "") + ".")
    is_new_contact = message_id is not None and restrictions.is_to_new_contact(message_id)
    restrictions.restrict(session.tenant_id, session.id, until=restrictions.time_in(event.error))
    if not is_new_contact:
        return _fail(session, event, restrictions.REFUSED)
    refused = _fail(session, event, restrictions.REFUSED, is_said=False)
    if refused is not None and "dropped_by" in refused.metadata:
        return refused
    if refused is not None:
        replay(refused, new_id=uuid7(), body=deciding.text_of(refused), in_place=True)
    return None  # its receipt is the new one's


def _fail(session: WahaSession, event: AckEvent, why: str, *, is_said: bool = True) -> Message | None:
    failed = entity(
        Message,
        "UPDATE messages SET status = 'failed', error_message = %s, parked_at = NULL, hold_reason = NULL, "  # noqa: S608 - words of ours
        "awaits_ack_since = NULL, updated_at = clock_timestamp() "
        f"WHERE {_OURS} AND status IN ('queued', 'sent') RETURNING *",
        (why, session.tenant_id, session.id, event.message_id[:_LONGEST_ID]),
    )
    if failed is not None and is_said:
        say_failed(failed)
    return failed


def say_failed(message: Message) -> None:
    """Say in the thread that a message did not arrive, why, and let people decide what becomes of it."""
    why = foreign(message.error_message or "No reason was given.")
    say_in_thread(message, f"❌ Not delivered: “{excerpt_of(message)}”. {why}", Act.RETRY, Act.EDIT, Act.DISCARD)
