"""One customer and one session: a conversation, and its thread in Slack."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import peewee

from database import database, notify
from models import (
    ChannelRoute,
    Contact,
    Conversation,
    ConversationChat,
    Message,
    RoutePurpose,
    WahaSession,
    now_utc,
    uuid7,
)
from operations.held import Shown, post_held, take_over
from operations.outcomes import NotYet
from operations.posting import queue_in_thread
from operations.sql import changed, clean, entities, lock, locked, value
from slack.mrkdwn import foreign
from waha.chat_ids import digits_of

_SHOWN_BEFORE, _SHOWN_AFTER = 4, 3
_LONGEST_NUMBER = 20  # the columns'; E.164 has 15 digits


@dataclass(frozen=True)
class Customer:
    """Whom a chat is with: all chat ids that are known to be theirs, the number (digits) where it is known."""

    chat_ids: tuple[str, ...]
    name: str = ""
    msisdn: str | None = None
    lid: str | None = None
    is_group: bool = False


def find_or_open(session: WahaSession, customer: Customer) -> Conversation:
    """The conversation of any of the customer's chat ids; ids that are new to it are remembered.

    Where two conversations prove to be one customer, the older stays and takes over the chats of the younger.
    """
    found = known_to(session, customer)
    if not found:
        # Two lanes may bring a new customer at once, under two names: whoever comes second finds what the first opened.
        lock(f"opening:{session.id}")
        found = known_to(session, customer)
    conversation = _as_one(found, customer) if found else _open(session, customer)
    give_channel(conversation, session)
    return conversation


def unite(session: WahaSession, customer: Customer) -> None:
    """What is known by one of the customer's chat ids is known by all of them, and is one conversation."""
    found = known_to(session, customer)
    if found:
        _as_one(found, customer)


def _as_one(found: list[Conversation], customer: Customer) -> Conversation:
    oldest, *younger = found
    for one in younger:
        if not _is_sending(one):
            _join(oldest, one)
    if len(customer.chat_ids) > 1:
        _remember_chats(oldest, customer.chat_ids)
        _complete_contact(oldest, customer)
    _remember_name(oldest, customer)
    return oldest


def known_to(session: WahaSession, customer: Customer) -> list[Conversation]:
    """Oldest first, and locked: a channel that is linked or unlinked meanwhile waits, or is seen."""
    found = entities(
        Conversation,
        "SELECT * FROM conversations WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND id IN ("
        "SELECT conversation_id FROM conversation_chats WHERE tenant_id = %(tenant)s AND session_id = %(session)s "
        "AND chat_id = ANY (%(chats)s)) ORDER BY created_at, id FOR NO KEY UPDATE",
        {"tenant": session.tenant_id, "session": session.id, "chats": list(customer.chat_ids)},
    )
    if any(one.sends_from is not None for one in found):
        notify("messages")  # the sender passes over what is locked
    return found


def next_seq(conversation: Conversation) -> int:
    """The place of the next message. The row stays locked until the commit, so commit order is the order of places.

    Raises:
        NotYet: the row is gone since it was read, as when its customer was erased.
    """
    seq = value(
        "UPDATE conversations SET next_message_seq = next_message_seq + 1 WHERE id = %s AND tenant_id = %s "
        "RETURNING next_message_seq",
        (conversation.id, conversation.tenant_id),
    )
    if seq is None:
        raise NotYet("The conversation is gone.")
    return int(seq)


def give_channel(conversation: Conversation, session: WahaSession) -> Shown:
    """Link a conversation that has no channel to its session's, if that has one, and post what waited for it.

    While the tenant is deactivated it gets none: the head of its thread would wait as well.
    """
    route = route_for(session) if conversation.slack_channel_id is None else None
    if route is None or not is_active(session.tenant_id):
        return Shown()
    conversation.slack_team_id = route.slack_team_id
    conversation.slack_channel_id = route.slack_channel_id
    conversation.save(only=[Conversation.slack_team_id, Conversation.slack_channel_id])
    queue_in_thread(conversation, card(conversation, session), is_root=True)
    return post_held(conversation)


def is_active(tenant_id: UUID) -> bool:
    """Whether what customers write is shown now; a deactivated tenant only keeps it."""
    return bool(value("SELECT status = 'active' FROM tenants WHERE id = %s", (tenant_id,)))


def living(conversation_id: UUID) -> Conversation | None:
    """The conversation, or the older one that it was joined to: whoever has the chat of its messages now."""
    chats_of_messages = (
        ConversationChat.select(ConversationChat.conversation_id)
        .join(
            Message,
            on=(Message.session_id == ConversationChat.session_id) & (Message.chat_id == ConversationChat.chat_id),
        )
        .where(Message.conversation_id == conversation_id)
    )
    found = Conversation.find(conversation_id)
    return found or Conversation.live().where(Conversation.id.in_(chats_of_messages)).first()


def route_for(session: WahaSession) -> ChannelRoute | None:
    """The channel of a session's conversations: its own, else that of all sessions of the tenant."""
    mine = ChannelRoute.live().where(
        ChannelRoute.tenant_id == session.tenant_id,
        ChannelRoute.purpose == RoutePurpose.CONVERSATIONS,
        (ChannelRoute.session_id == session.id) | ChannelRoute.session_id.is_null(),
    )
    # Whoever unlinks it waits until what goes there is committed, and finds it.
    route: ChannelRoute | None = locked(mine.order_by(ChannelRoute.session_id.is_null()), "FOR SHARE").first()
    return route


def card(conversation: Conversation, session: WahaSession) -> str:
    """The head of a thread: who, through which session, and what a reply in the thread does."""
    contact = Contact.find(conversation.contact_id) if conversation.contact_id else None
    number = f" · {masked(contact.msisdn)}" if contact is not None and contact.msisdn else ""
    return (
        f"*{foreign(conversation.title or 'WhatsApp contact')}*{number} · session `{foreign(session.name)}`\n"
        "Replies in this thread go to the customer. Begin a reply with `//` to keep it internal."
    )


def number_of(chat_id: str) -> str | None:
    """The digits for a number's column; None where the chat id has none, or more than any number."""
    digits = digits_of(chat_id)
    return digits if digits is not None and len(digits) <= _LONGEST_NUMBER else None


def masked(msisdn: str) -> str:
    """`4915123456789` -> `+4915•••••789`: enough to recognise, too little to copy; a channel has many readers."""
    hidden = len(msisdn) - _SHOWN_BEFORE - _SHOWN_AFTER
    return f"+{msisdn[:_SHOWN_BEFORE]}{'•' * hidden}{msisdn[-_SHOWN_AFTER:]}" if hidden > 0 else f"+{msisdn}"


def _open(session: WahaSession, customer: Customer) -> Conversation:
    contact = None if customer.is_group else _contact(session.tenant_id, customer)
    conversation: Conversation = Conversation.create(
        tenant_id=session.tenant_id,
        session_id=session.id,
        contact_id=contact.id if contact is not None else None,
        title=clean(customer.name or (contact.name if contact is not None else "")),
    )
    _remember_chats(conversation, customer.chat_ids)
    return conversation


def _contact(tenant_id: UUID, customer: Customer) -> Contact:
    same = [getattr(Contact, key) == known for key in ("msisdn", "lid") if (known := getattr(customer, key))]
    contact: Contact | None = None
    if same:
        either = same[0] if len(same) == 1 else same[0] | same[1]
        contact = Contact.live().where(Contact.tenant_id == tenant_id, either).order_by(Contact.created_at).first()
    if contact is not None:
        return contact
    row = {
        "id": uuid7(),
        "tenant_id": tenant_id,
        "name": clean(customer.name),
        "msisdn": customer.msisdn,
        "lid": customer.lid,
    }
    # Two chats of a new customer may be opened at once: whoever comes second takes what the first made.
    try:
        with database.atomic():
            made: Contact = Contact.create(**row)
            return made
    except peewee.IntegrityError:
        again: Contact = Contact.live().where(Contact.tenant_id == tenant_id, either).first()
        return again


def _remember_chats(conversation: Conversation, chat_ids: tuple[str, ...]) -> None:
    for chat_id in chat_ids:
        changed(
            # A reply goes to the one that was named first.
            "INSERT INTO conversation_chats (id, tenant_id, session_id, conversation_id, chat_id, created_at) "
            "VALUES (%s, %s, %s, %s, %s, clock_timestamp()) ON CONFLICT DO NOTHING",
            (uuid7(), conversation.tenant_id, conversation.session_id, conversation.id, chat_id),
        )


def _complete_contact(conversation: Conversation, customer: Customer) -> None:
    """A customer who was known by their number or by their hidden id is known by both, unless it is another's here."""
    changed(
        """
        UPDATE contacts SET msisdn = coalesce(msisdn, %(msisdn)s), lid = coalesce(lid, %(lid)s), updated_at = now()
        WHERE id = %(contact)s AND tenant_id = %(tenant)s
            AND (msisdn IS NULL AND %(msisdn)s IS NOT NULL OR lid IS NULL AND %(lid)s IS NOT NULL)
            AND NOT EXISTS (
                SELECT 1 FROM contacts other
                WHERE other.tenant_id = %(tenant)s AND other.deleted_at IS NULL AND other.id <> %(contact)s
                    AND (other.msisdn = %(msisdn)s OR other.lid = %(lid)s)
            )
        """,
        {
            "contact": conversation.contact_id,
            "tenant": conversation.tenant_id,
            "msisdn": customer.msisdn,
            "lid": customer.lid,
        },
    )


def _remember_name(conversation: Conversation, customer: Customer) -> None:
    """What the customer calls themselves, where the first that was known of them was a message of ours."""
    if not customer.name or conversation.title:
        return
    conversation.title = clean(customer.name)
    conversation.save(only=[Conversation.title])
    changed(
        "UPDATE contacts SET name = %s WHERE id = %s AND tenant_id = %s AND name = ''",
        (conversation.title, conversation.contact_id, conversation.tenant_id),
    )


def _join(older: Conversation, younger: Conversation) -> None:
    ConversationChat.update(conversation_id=older.id).where(
        ConversationChat.tenant_id == older.tenant_id, ConversationChat.conversation_id == younger.id
    ).execute()
    Conversation.update(deleted_at=now_utc()).where(
        Conversation.id == younger.id, Conversation.tenant_id == older.tenant_id
    ).execute()
    _leave_contact(older, younger)
    take_over(older, younger)
    if older.slack_channel_id is not None and is_active(older.tenant_id):
        post_held(older)
    if younger.slack_thread_ts is not None:
        queue_in_thread(younger, "This is the same customer as in an older thread; new messages appear there.")


def _is_sending(conversation: Conversation) -> bool:
    """A message of it is on its way, and must not be overtaken by those behind it: it is joined another time."""
    return bool(
        value(
            "SELECT send_lease_expires_at > clock_timestamp() FROM conversations WHERE id = %s AND tenant_id = %s",
            (conversation.id, conversation.tenant_id),
        )
    )


def _leave_contact(older: Conversation, younger: Conversation) -> None:
    """One customer is one contact: that of the younger conversation ends, where no other conversation has it."""
    changed(
        """
        UPDATE contacts SET deleted_at = clock_timestamp()
        WHERE id = %(younger)s AND tenant_id = %(tenant)s AND id IS DISTINCT FROM %(older)s AND NOT EXISTS (
            SELECT 1 FROM conversations
            WHERE tenant_id = %(tenant)s AND contact_id = %(younger)s AND deleted_at IS NULL
        )
        """,
        {"older": older.contact_id, "younger": younger.contact_id, "tenant": older.tenant_id},
    )
