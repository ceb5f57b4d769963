"""The forms a WhatsApp chat is named by: `4915123456789@c.us`, `…@lid`, `…@g.us`, `…@newsletter`, `…@broadcast`."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["person", "lid", "group", "newsletter", "broadcast", "other"]

# Stories and channels: nobody's conversation.
IGNORED_KINDS: frozenset[Kind] = frozenset({"broadcast", "newsletter"})

_KIND_OF_SERVER: dict[str, Kind] = {
    "c.us": "person",
    "lid": "lid",
    "g.us": "group",
    "newsletter": "newsletter",
    "broadcast": "broadcast",
}
_CHAT_ID = re.compile(r"[0-9A-Za-z.-]+@(c\.us|lid|g\.us|newsletter|broadcast)")
# The engines' own name of a person, with the number of a device perhaps: `4915123456789:7@s.whatsapp.net`.
_JID_OF_A_PERSON = re.compile(r"([0-9]+)(?::[0-9]+)?@(?:s\.whatsapp\.net|c\.us)")
_JID_OF_A_LID = re.compile(r"([0-9]+)(?::[0-9]+)?@lid")
_WRITTEN_BETWEEN_DIGITS = re.compile(r"[\s().\-/\u00a0\u2010-\u2015\u202a-\u202e]+")
# E.164 allows 15 digits; the shortest numbers in use have 7 with their country code, which never begins with 0.
_NUMBER = re.compile(r"(?:\+|00)?([1-9][0-9]{6,14})")


class BadRecipient(ValueError):
    """The recipient is neither a phone number with its country code nor a chat id."""


def chat_id_of(recipient: str) -> str:
    """`+49 151 23456789` -> `4915123456789@c.us`; a chat id stays as it is.

    WAHA itself strips neither a plus nor spaces when it sends. Which digits WhatsApp knows a number by (Brazil,
    Mexico and Argentina differ) only `check_exists` can tell.

    Raises:
        BadRecipient: `recipient` is neither.
    """
    candidate = from_jid(recipient.strip())
    if _CHAT_ID.fullmatch(candidate):
        return candidate
    number = _NUMBER.fullmatch(_WRITTEN_BETWEEN_DIGITS.sub("", candidate))
    if number is None:
        raise BadRecipient(f"`{recipient}` is neither a phone number with its country code nor a chat id.")
    return f"{number[1]}@c.us"


def checked(chat_id: str) -> str:
    """A chat id as it is, of whatever kind, also one of the future.

    Raises:
        BadRecipient: there is nothing before or after the `@`. WAHA itself would not check, and fail inside.
    """
    if "@" not in chat_id.strip("@"):
        raise BadRecipient(f"`{chat_id}` is not a chat id.")
    return chat_id


def from_jid(jid: str) -> str:
    """`4915123456789:7@s.whatsapp.net` -> `4915123456789@c.us`, which WAHA can send to; other ids stay as they are."""
    if person := _JID_OF_A_PERSON.fullmatch(jid):
        return f"{person[1]}@c.us"
    if lid := _JID_OF_A_LID.fullmatch(jid):
        return f"{lid[1]}@lid"
    return jid


def kind_of(chat_id: str) -> Kind:
    return _KIND_OF_SERVER.get(chat_id.rpartition("@")[2], "other")


def digits_of(chat_id: str) -> str | None:
    """The phone number in a person's chat id, without plus; None for every other kind, whose digits are no number."""
    digits, _, server = chat_id.partition("@")
    return digits if server == "c.us" and digits.isascii() and digits.isdigit() else None
