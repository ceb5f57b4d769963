"""All that is kept about one customer of a tenant, under whichever of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import peewee

from database import set_tenant
from models import Contact
from operations.conversations import masked, number_of
from operations.errors import BadInput, NotFound
from operations.sql import clean, rows
from slack.mrkdwn import escape, foreign
from waha.chat_ids import BadRecipient, chat_id_of, kind_of

_MOST_NAMED = 5


@dataclass(frozen=True)
class Known:
    """A customer: their rows, and what they are called in WhatsApp.

    Args:
        conversations: also such as were joined to another one.
        chat_ids: of people; a group's id is nobody's own.
    """

    contacts: tuple[UUID, ...]
    conversations: tuple[UUID, ...]
    chat_ids: tuple[str, ...]

    @property
    def numbers(self) -> list[str]:
        """As the columns hold them."""
        return sorted({number for one in self.chat_ids if (number := number_of(one))})


@dataclass(frozen=True)
class _Id:
    id: UUID


@dataclass(frozen=True)
class _Chat:
    chat_id: str


@dataclass(frozen=True)
class _Names:
    id: UUID
    msisdn: str | None
    lid: str | None


def find(tenant_id: UUID, typed: str) -> Known:
    """The customer of that number, chat id or name.

    Raises:
        BadInput: it is a group, or the name of several.
        NotFound: the tenant keeps nothing about them.
    """
    set_tenant(tenant_id)
    known = grown(tenant_id, _named(tenant_id, clean(typed.strip())))
    if not known.contacts and not known.conversations and not _has_written(tenant_id, known):
        raise NotFound(
            f"Nothing is kept here about `{escape(typed)}`. Give a number with its country code, such as "
            "`+4915123456789`, a chat id, or a name as it is written above the conversation."
        )
    return known


def messages_of(tenant_id: UUID, known: Known, columns: str = "*") -> tuple[str, dict[str, Any]]:
    """A statement that finds the customer's messages, also what they wrote in groups, and its parameters."""
    condition = (
        "tenant_id = %(tenant)s AND (conversation_id = ANY (%(conversations)s) OR direction = 'inbound' "
        "AND (from_msisdn = ANY (%(numbers)s) OR metadata->>'sender' = ANY (%(chats)s)))"
    )
    parameters = {
        "tenant": tenant_id,
        "conversations": list(known.conversations),
        "numbers": known.numbers,
        "chats": list(known.chat_ids),
    }
    return f"SELECT {columns} FROM messages WHERE {condition}", parameters  # noqa: S608 - words of ours


def _named(tenant_id: UUID, typed: str) -> Known:
    try:
        chat_id = chat_id_of(typed)
    except BadRecipient:
        return _called(tenant_id, typed)
    if kind_of(chat_id) not in {"person", "lid"}:
        raise BadInput(f"`{foreign(typed)}` is no person. A group's messages belong to those who wrote them.")
    return Known((), (), (chat_id,))


def _called(tenant_id: UUID, name: str) -> Known:
    same = Contact.live().where(Contact.tenant_id == tenant_id)
    found = list(same.where(peewee.fn.lower(Contact.name) == name.lower()).limit(_MOST_NAMED + 1))
    if len(found) > 1:
        listed = ", ".join(masked(one.msisdn) if one.msisdn else "one without a number" for one in found[:_MOST_NAMED])
        raise BadInput(f"Several customers are called `{foreign(name)}`: {listed}. Give the number or the chat id.")
    return Known(tuple(one.id for one in found), (), ())


def grown(tenant_id: UUID, known: Known) -> Known:
    """With all that hangs together: a chat leads to a conversation, that to a contact, and that to other chats."""
    while (larger := _step(tenant_id, known)) != known:
        known = larger
    return known


def _step(tenant_id: UUID, known: Known) -> Known:
    named = rows(
        _Names,
        "SELECT id, msisdn, lid FROM contacts WHERE tenant_id = %s "
        "AND (id = ANY (%s) OR msisdn = ANY (%s) OR lid = ANY (%s))",
        (tenant_id, list(known.contacts), known.numbers, list(known.chat_ids)),
    )
    conversations = rows(
        _Id,
        "SELECT conversation_id AS id FROM conversation_chats "
        "WHERE tenant_id = %(tenant)s AND chat_id = ANY (%(chats)s) "
        "UNION SELECT id FROM conversations WHERE tenant_id = %(tenant)s AND contact_id = ANY (%(contacts)s)",
        {"tenant": tenant_id, "chats": list(known.chat_ids), "contacts": [one.id for one in named]},
    )
    ids = _all(known.conversations, [one.id for one in conversations])
    chats = rows(
        _Chat,
        "SELECT DISTINCT chat_id FROM conversation_chats WHERE tenant_id = %s AND conversation_id = ANY (%s)",
        (tenant_id, list(ids)),
    )
    of_conversations = rows(
        _Id,
        "SELECT DISTINCT contact_id AS id FROM conversations "
        "WHERE tenant_id = %s AND id = ANY (%s) AND contact_id IS NOT NULL",
        (tenant_id, list(ids)),
    )
    own = [*(f"{one.msisdn}@c.us" for one in named if one.msisdn), *(one.lid for one in named if one.lid)]
    return Known(
        contacts=_all(known.contacts, [*(one.id for one in named), *(one.id for one in of_conversations)]),
        conversations=ids,
        chat_ids=tuple(sorted({*known.chat_ids, *own, *(one.chat_id for one in chats)})),
    )


def _all(known: Sequence[UUID], more: Sequence[UUID]) -> tuple[UUID, ...]:
    return tuple(sorted({*known, *more}))


def _has_written(tenant_id: UUID, known: Known) -> bool:
    statement, parameters = messages_of(tenant_id, known, "id")
    return bool(rows(_Id, f"{statement} LIMIT 1", parameters))
