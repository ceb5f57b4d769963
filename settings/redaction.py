"""What never stands in a log: secrets, phone numbers, what people wrote.

A last net under the rule that such values are not logged at all. It works by key, since a secret has no shape, and by
value, since libraries put addresses and answers into their own sentences and exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(r"(?i)token|secret|passw|api_?key|encryption_key|hmac|signature|authorization|cookie|\bqr")
_TEXT_KEYS = frozenset({"body", "text", "caption", "raw_body", "raw_payload", "payload", "blocks"})
# Tokens that are ours and not secret: a lease is worthless without the database.
_HARMLESS_KEYS = frozenset({"lease_token"})
_NUMBER_KEY = re.compile(r"(?i)msisdn|phone|number|chat_?id|recipient|sender|participant|^(to|from|jid|lid)$")
_NUMBER = re.compile(r"\d{5,}(?=\d{3})")

_SECRET_VALUES = (
    # Slack's tokens: xoxb- xoxp- xoxa- xoxe. xapp-, in any edition.
    (re.compile(r"\b(xox[a-z]|xapp)[-.][\w.-]+"), HIDDEN),
    # "Basic Information" is a page of Slack's, which our own sentences name.
    (re.compile(r"\b(Bearer|Basic)\s+(?!Information\b)[\w.~+/=-]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/]*@(?=[^\s@]+)"), rf"\1:{HIDDEN}@"),
    (re.compile(r"(hooks\.slack\.com/)[\w/-]+"), rf"\1{HIDDEN}"),
    # psycopg2 quotes the whole row in DETAIL and the statement with its values in LINE.
    (
        re.compile(r"DETAIL: .*?(?=\nCONTEXT: |\n\nThe above exception|\n\nDuring handling|\Z)", re.DOTALL),
        f"DETAIL: {HIDDEN}",
    ),
    (re.compile(r"(LINE \d+:) .*"), rf"\1 {HIDDEN}"),
    # A chat id in any engine's spelling, also quoted in a path; and a number in international form.
    (re.compile(r"\d{5,20}(?=\d{3}(?::\d+)?(?:@|%40)(?:c\.us|s\.whatsapp\.net|lid|g\.us))"), "…"),
    (re.compile(r"\+\d{5,20}(?=\d{3}\b)"), "+…"),
)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor; it runs after exceptions were made text, so that those are covered too."""
    return {key: _value(key, value) for key, value in event.items()}


def redacted(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they may be kept beside a name: by the same rules as in a log."""
    return {key: _value(key, value) for key, value in facts.items()}


def redacted_text(text: str) -> str:
    """Any text without the secrets and numbers that show by their shape."""
    for shape, replacement in _SECRET_VALUES:
        text = shape.sub(replacement, text)
    return text


def _value(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | UUID):
        return value
    if isinstance(value, SecretStr) or key in _TEXT_KEYS or (_SECRET_KEY.search(key) and key not in _HARMLESS_KEYS):
        return HIDDEN
    if isinstance(value, dict):
        return {str(name): _value(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(key, inner) for inner in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return _leaf(key, value)


def _leaf(key: str, value: Any) -> Any:
    shown = redacted_text(str(value))
    if _NUMBER_KEY.search(key):
        shown = _NUMBER.sub("…", shown)
    return value if isinstance(value, int | float) and shown == str(value) else shown
