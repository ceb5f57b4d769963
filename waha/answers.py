"""What an answer of WAHA other than a success means.

WAHA has seven shapes of error body; all are read here, and none of them reaches anybody but as its sentence.
"""

from __future__ import annotations

import re

from waha.errors import (
    AccountRestricted,
    MessageUnknown,
    NotImplementedByEngine,
    NotWaha,
    SessionExists,
    SessionNotReady,
    SessionStarted,
    SessionUnknown,
    WahaBusy,
    WahaError,
    WahaKeyRefused,
    WahaRejected,
    WahaThrottled,
    WahaUnavailable,
    WahaUncertain,
    WhatsAppRefused,
)
from waha.loose_json import NotJson, Object, mapping, parse, text

REACHOUT_TIMELOCK = 463  # WhatsApp's number, not HTTP's
NOT_FOUND, UNPROCESSABLE, SERVER_ERROR, NOT_IMPLEMENTED = 404, 422, 500, 501

_LONGEST_SENTENCE = 500
_WHATSAPPS_CODE = re.compile(r"server returned error (\d{3})\b")
_NO_ADDRESS = re.compile(r"No LID for user|not-acceptable")
_LOCK = re.compile(r"async-lock timed out|Maximum execution time is exceeded")
_STATUS_IN_SENTENCE = re.compile(r"only in (\w+) status\. The current status is (\w+)")


def error_in(http_status: int, body: bytes, *, retry_after: str | None = None) -> WahaError:
    """The typed error for an answer whose status is not 2xx; `body` may be anything, `retry_after` is the header."""
    answer = _object_in(body)
    match http_status:
        case 401 | 403:
            return WahaKeyRefused(
                "WAHA does not accept the API key. Was WAHA restarted with another one?", http_status=http_status
            )
        case 408 | 502 | 503 | 504:
            return WahaUnavailable(
                f"WAHA is not available (HTTP {http_status}).",
                http_status=http_status,
                retry_after=_seconds(retry_after),
            )
        case 413:
            return WahaRejected("The request is too large for WAHA.", http_status=http_status)
        case 429:
            return WahaThrottled(
                "Too many requests to WAHA.", http_status=http_status, retry_after=_seconds(retry_after)
            )
        case _ if http_status == NOT_IMPLEMENTED or http_status < SERVER_ERROR:
            return _refusal(answer, http_status)
        case _:
            return _engine_error(answer, http_status)


def _object_in(body: bytes) -> Object | None:
    try:
        return mapping(parse(body)) or None
    except NotJson:
        return None


def _refusal(answer: Object | None, http_status: int) -> WahaError:
    if answer is None:
        return NotWaha(
            f"The configured address answered HTTP {http_status}, but not as WAHA does.", http_status=http_status
        )
    sentence = _sentence(answer, http_status)
    if http_status == NOT_IMPLEMENTED or (http_status == NOT_FOUND and sentence.startswith("Cannot ")):
        return NotImplementedByEngine(sentence, http_status=http_status)
    if not_ready := _not_ready(answer, sentence, http_status):
        return not_ready
    for pattern, error in _REFUSALS:
        if pattern.search(sentence):
            return error(sentence, http_status=http_status)
    return WahaRejected(sentence, http_status=http_status)


_REFUSALS: list[tuple[re.Pattern[str], type[WahaRejected]]] = [
    (re.compile(r"^Message not found"), MessageUnknown),
    (re.compile(r"^Session not found|^Session .* does not exist"), SessionUnknown),
    (re.compile(r"^Session .* already exists"), SessionExists),
    (re.compile(r"already started"), SessionStarted),
]


def _not_ready(answer: Object, sentence: str, http_status: int) -> SessionNotReady | None:
    status = text(answer, "status")
    if status is not None and http_status == UNPROCESSABLE:
        expected = answer.get("expected")
        words = tuple(word for word in expected if isinstance(word, str)) if isinstance(expected, list) else ()
        return SessionNotReady(
            f"The session is {status}; this call needs {' or '.join(words) or 'another state'}.",
            http_status=http_status,
            status=status,
            expected=words,
        )
    if named := _STATUS_IN_SENTENCE.search(sentence):
        return SessionNotReady(sentence, http_status=http_status, status=named[2], expected=(named[1],))
    if sentence.startswith("The session is starting"):
        return SessionNotReady(sentence, http_status=http_status, status="STARTING")
    # Of a session that is not running WAHA says "didn't find"; of one that is not there, "not found".
    if sentence.startswith("We didn't find a session"):
        return SessionNotReady("The session is not running.", http_status=http_status, status="STOPPED")
    return None


def _engine_error(answer: Object | None, http_status: int) -> WahaError:
    """A 500 is the engine's own exception.

    Only what can be known to come before the message leaves is called refused. A TypeError is not among it: WEBJS
    raised one *after* sending when WhatsApp renamed a field in July 2026.
    """
    exception = mapping(answer, "exception")
    said = f"{text(exception, 'message') or ''} {text(exception, 'details') or ''}"
    if code := _WHATSAPPS_CODE.search(said):
        return _refused_with(int(code[1]), http_status)
    if no_address := _NO_ADDRESS.search(said):
        return WhatsAppRefused(f"WhatsApp has no address for this chat ({no_address[0]}).", http_status=http_status)
    if _LOCK.search(said):
        return WahaBusy("WAHA is busy with another call for this session.", http_status=http_status)
    return WahaUncertain(f"WAHA failed inside (HTTP {http_status}).", http_status=http_status)


def _refused_with(code: int, http_status: int) -> WhatsAppRefused:
    if code == REACHOUT_TIMELOCK:
        return AccountRestricted(
            "WhatsApp does not let this account start new chats for now (463).", http_status=http_status, code=code
        )
    return WhatsAppRefused(f"WhatsApp refused the message ({code}).", http_status=http_status, code=code)


def _sentence(answer: Object, http_status: int) -> str:
    """`message` as a string or a list, `error` as a string or an object, or `detail`, whichever says something."""
    said = answer.get("message")
    if isinstance(said, list):
        said = "; ".join(item for item in said if isinstance(item, str))
    if not isinstance(said, str) or not said:
        said = text(answer, "detail") or text(mapping(answer, "error"), "message") or text(answer, "error")
    return (said or f"WAHA answered HTTP {http_status}.")[:_LONGEST_SENTENCE]


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None
