"""Event and request ids as WAHA makes them, and the forms of chat and message ids."""

from __future__ import annotations

import random
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def event_id(source: random.Random) -> str:
    """`evt_` and a lower-case ULID."""
    return f"evt_{ulid(source)}"


def ulid(source: random.Random) -> str:
    value = milliseconds() << 80 | source.getrandbits(80)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def request_id(source: random.Random) -> str:
    """Of one webhook post and its retries, such as `3b2ozl5eumwrwhu3e`."""
    return "".join(source.choices(_BASE36, k=17))


def bare_id(message_id: str) -> str:
    """`true_49151@c.us_3EB0AA` -> `3EB0AA`; a bare id stays as it is."""
    parts = message_id.split("_")
    return parts[2] if len(parts) > 2 else message_id  # noqa: PLR2004 - {fromMe}_{chat}_{id}[_{participant}]


def jid(chat_id: str) -> str:
    """`49151@c.us` -> `49151@s.whatsapp.net`, as the engines write it in `_data`."""
    return chat_id.replace("@c.us", "@s.whatsapp.net")


def chat_id(address: str) -> str:
    """What WAHA makes of the chat id of a request: a bare number gets its suffix, nothing else is repaired."""
    return (address if "@" in address else f"{address}@c.us").replace("@s.whatsapp.net", "@c.us")
