from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waha.answers import error_in
from waha.errors import (
    AccountRestricted,
    MessageUnknown,
    NotImplementedByEngine,
    NotWaha,
    SessionNotReady,
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


def engine_failure(message: str, details: str = "") -> dict[str, Any]:
    """The body of a 500: the engine's exception, and the whole request with the customer's text."""
    return {
        "statusCode": 500,
        "timestamp": "2026-11-22T12:00:00.000Z",
        "exception": {
            "message": message,
            "details": details,
            "name": "Error",
            "stack": f"Error: {message}\n    at /app/src/core/session.gows.core.ts:42",
        },
        "request": {"path": "/api/sendText", "method": "POST", "body": {"text": "my secret text"}, "query": {}},
        "version": {"version": "2026.7.1"},
    }


@pytest.mark.parametrize(
    ("status", "body", "expected", "may_send_again"),
    [
        (400, {"message": ["name must be a string"], "error": "Bad Request"}, WahaRejected, "no"),
        (400, {"detail": "chatId is required"}, WahaRejected, "no"),
        (401, {"message": "Unauthorized", "statusCode": 401}, WahaKeyRefused, "wait"),
        (403, {"message": "Forbidden", "statusCode": 403}, WahaKeyRefused, "wait"),
        (401, "<html>", WahaKeyRefused, "wait"),
        (404, {"message": "Session not found", "statusCode": 404}, SessionUnknown, "no"),
        (404, {"message": "Message not found", "statusCode": 404}, MessageUnknown, "no"),
        (404, {"error": {"code": 404, "key": "FILE_NOT_FOUND", "message": "File not found"}}, WahaRejected, "no"),
        (404, {"message": "Cannot GET /api/new", "statusCode": 404}, NotImplementedByEngine, "no"),
        (404, "<html>nginx</html>", NotWaha, "wait"),
        (404, "", NotWaha, "wait"),
        (302, "", NotWaha, "wait"),
        (408, "", WahaUnavailable, "look_up"),
        (413, "<html>nginx</html>", WahaRejected, "no"),
        (422, {"message": "bad", "error": "Unprocessable Entity", "statusCode": 422}, WahaRejected, "no"),
        (422, {"error": 'Session "x" does not exist', "session": "x"}, SessionUnknown, "no"),
        (422, {"error": "…", "session": "x", "status": "FAILED", "expected": ["WORKING"]}, SessionNotReady, "wait"),
        (429, "", WahaThrottled, "yes"),
        (500, engine_failure("2 UNKNOWN: server returned error 463"), AccountRestricted, "wait"),
        (500, engine_failure("x", "server returned error 463"), AccountRestricted, "wait"),
        (500, engine_failure("server returned error 400"), WhatsAppRefused, "yes"),
        (500, engine_failure("server returned error 479"), WhatsAppRefused, "yes"),
        (500, engine_failure("No LID for user 1555@c.us"), WhatsAppRefused, "yes"),
        (500, engine_failure("not-acceptable"), WhatsAppRefused, "yes"),
        (500, engine_failure("async-lock timed out in queue acme-1"), WahaBusy, "look_up"),
        (500, engine_failure("Maximum execution time is exceeded 30000ms"), WahaBusy, "look_up"),
        (500, engine_failure("Cannot read properties of undefined (reading '_serialized')"), WahaUncertain, "look_up"),
        (500, "<html>oops</html>", WahaUncertain, "look_up"),
        (500, {"exception": None}, WahaUncertain, "look_up"),
        (501, {"message": "The method is not implemented by 'GOWS' engine."}, NotImplementedByEngine, "no"),
        (502, "<html>nginx</html>", WahaUnavailable, "look_up"),
        (503, {"status": "error", "info": {}}, WahaUnavailable, "look_up"),
        (504, "", WahaUnavailable, "look_up"),
        (599, "", WahaUncertain, "look_up"),
    ],
)
def test_an_error_answer_says_whether_to_send_again(
    status: int, body: Any, expected: type[WahaError], may_send_again: str
) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    error = error_in(status, raw)

    assert type(error) is expected
    assert error.may_send_again == may_send_again
    assert error.http_status == status


def test_a_session_that_is_not_ready_tells_its_state_and_the_one_needed() -> None:
    body = (
        b'{"error":"Session status is not as expected.","session":"x","status":"SCAN_QR_CODE","expected":["WORKING"]}'
    )

    error = error_in(422, body)

    assert isinstance(error, SessionNotReady)
    assert (error.status, error.expected) == ("SCAN_QR_CODE", ("WORKING",))
    assert str(error) == "The session is SCAN_QR_CODE; this call needs WORKING."


def test_a_pairing_code_asked_for_too_late_tells_the_state() -> None:
    body = b'{"message":"Can request code only in SCAN_QR_CODE status. The current status is WORKING","statusCode":422}'

    error = error_in(422, body)

    assert isinstance(error, SessionNotReady)
    assert (error.status, error.expected) == ("WORKING", ("SCAN_QR_CODE",))


def test_whatsapps_own_number_is_kept() -> None:
    error = error_in(500, json.dumps(engine_failure("server returned error 479")).encode())

    assert isinstance(error, WhatsAppRefused)
    assert error.code == 479


def test_a_customer_who_writes_about_error_463_restricts_nobody() -> None:
    body = engine_failure("timed out")
    body["request"]["body"]["text"] = "server returned error 463"

    error = error_in(500, json.dumps(body).encode())

    assert type(error) is WahaUncertain


@pytest.mark.parametrize("message", ["server returned error 463", "async-lock timed out", "TypeError: x"])
def test_an_engines_failure_tells_neither_the_text_nor_its_stack(message: str) -> None:
    error = error_in(500, json.dumps(engine_failure(message)).encode())

    assert "secret" not in repr(error)
    assert "session.gows.core" not in repr(error)


def test_several_complaints_become_one_sentence() -> None:
    error = error_in(400, b'{"message":["name must be a string",5,"name is too long"],"error":"Bad Request"}')

    assert error.sentence == "name must be a string; name is too long"


def test_a_sentence_is_never_endless() -> None:
    error = error_in(400, json.dumps({"message": "x" * 100_000}).encode())

    assert len(error.sentence) <= 500


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_the_wish_to_be_left_alone_is_kept(header: str | None, seconds: float | None) -> None:
    throttled = error_in(429, b"", retry_after=header)
    unavailable = error_in(503, b"", retry_after=header)

    assert isinstance(throttled, WahaThrottled)
    assert isinstance(unavailable, WahaUnavailable)
    assert throttled.retry_after == unavailable.retry_after == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "error", "status", "expected", "exception", "details", "detail"]) | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.integers(300, 599), json_values.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_whatever_is_answered_there_is_an_error_with_a_sentence(status: int, body: bytes) -> None:
    error = error_in(status, body)

    assert isinstance(error, WahaError)
    assert error.sentence
    assert error.may_send_again in {"yes", "wait", "look_up", "no"}
