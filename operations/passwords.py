"""What a password must be, and how it is kept. Nothing here touches a row: hashing takes a quarter of a second."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

import bcrypt

FEWEST_CHARACTERS = 12
# bcrypt hashes no more, and two passwords that differ only behind it would be one.
MOST_BYTES = 72
# 2^12 rounds: a quarter of a second on a core, which is also what each guess costs a thief of the hashes.
COST = 12

# As they are typed most, with what is added to reach our length; compared without case, spaces and signs.
_COMMON = frozenset(
    {
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789123",
        "1q2w3e4r5t6y",
        "administrator",
        "changemechangeme",
        "correcthorsebatterystaple",
        "iloveyouiloveyou",
        "letmeinletmein",
        "mypassword123",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "qwertyqwerty",
        "qwertyuiop123",
        "qwertyuiop1234",
        "qwertyuiopasdf",
        "qwertzqwertz",
        "qwertzuiop123",
        "welcome12345",
        "welcomewelcome",
        "whatsapp1234",
        "whatsappwhatsapp",
        "zaq12wsxcde3",
    }
)
_FEWEST_DIFFERENT = 5


def normal(typed: str) -> str:
    """One spelling of what was typed: keyboards write the same accent as one character or as two."""
    return unicodedata.normalize("NFC", typed)


def refusal_of(password: str, *, about: Collection[str]) -> str:
    """Why it cannot be a password, and what would be right; "" when it can.

    Args:
        password: as `normal` spells it.
        about: the person's and the tenant's names and addresses, which others guess first.
    """
    size = len(password.encode("utf-8", "replace"))
    if len(password) < FEWEST_CHARACTERS:
        return f"This password has {_characters(len(password))}; at least {FEWEST_CHARACTERS} are needed."
    if size > MOST_BYTES:
        return (
            f"This password has {size} bytes; at most {MOST_BYTES} can be kept. Letters with accents, other scripts "
            "and emoji take two to four bytes each."
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in password):
        return "This password has a character that no keyboard types. Choose another one."
    if len(set(password)) < _FEWEST_DIFFERENT:
        return f"This password repeats too few characters; use at least {_FEWEST_DIFFERENT} different ones."
    if _bare(password) in _COMMON | {_bare(word) for word in about}:
        return "This password is among the first that others would try. Choose another one, such as four unusual words."
    return ""


def hashed(password: str, *, cost: int = COST) -> str:
    """For `users.password_hash`; slow on purpose, so never on a loop and never inside a transaction."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def fits(password: str, password_hash: str) -> bool:
    """Whether it is the one; slow on purpose. What can be no password of ours takes as long, and fits nothing."""
    raw = password.encode("utf-8", "replace")
    is_right = bcrypt.checkpw(raw[:MOST_BYTES].replace(b"\0", b"?"), password_hash.encode())
    return is_right and len(raw) <= MOST_BYTES and b"\0" not in raw


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"
