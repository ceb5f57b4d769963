"""WAHA's error bodies, word for word. They differ in shape by who wrote the code that raised them."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

from sandbox.waha.environment import Json


class Refusal(Exception):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body.get("message") or body.get("error")))
        self.status = status
        self.body = body


class EngineFailure(Exception):
    """The engine behind WAHA failed over gRPC; `details` is its sentence."""

    code = 2

    def __init__(self, details: str) -> None:
        super().__init__(f"{self.code} UNKNOWN: {details}")
        self.details = details


def bad_request(message: str | list[str]) -> Refusal:
    """The validator answers with a list of messages, everybody else with one."""
    return _nest(400, "Bad Request", message)


def unauthorized() -> Refusal:
    return Refusal(401, {"message": "Unauthorized", "statusCode": 401})


def forbidden() -> Refusal:
    return Refusal(403, {"message": "Forbidden", "statusCode": 403})


def not_found(message: str) -> Refusal:
    return _nest(404, "Not Found", message)


def file_not_found(details: str) -> Refusal:
    error = {"code": 404, "key": "FILE_NOT_FOUND", "message": "File not found", "details": details}
    return Refusal(404, {"error": error})


def unprocessable(message: str) -> Refusal:
    return _nest(422, "Unprocessable Entity", message)


def wrong_status(session: str, status: str, expected: list[str]) -> Refusal:
    sentence = "Session status is not as expected. Try again later or restart the session"
    return Refusal(422, {"error": sentence, "session": session, "status": status, "expected": expected})


def no_such_session(session: str) -> Refusal:
    return Refusal(422, {"error": f'Session "{session}" does not exist', "session": session})


def not_implemented(engine: str) -> Refusal:
    sentence = (
        f"The method is not implemented by '{engine}' engine. Check the docs and try another engine: "
        "https://waha.devlike.pro/docs/how-to/engines#features"
    )
    return _nest(501, "Not Implemented", sentence)


def not_running(session: str) -> Refusal:
    return not_found(
        f"We didn't find a session with name '{session}'.\n"
        f"Please start it first by using POST /api/sessions/{session}/start request"
    )


def exception_body(error: Exception, request: Json, version: Json) -> Json:
    """The body of a 500. It repeats the whole request, message text included."""
    exception: dict[str, Any] = {"message": str(error)}
    if isinstance(error, EngineFailure):
        exception |= {"code": error.code, "details": error.details, "metadata": {}}
    name = type(error).__name__ if isinstance(error, TypeError) else "Error"
    exception |= {"name": name, "stack": "".join(traceback.format_exception(error))}
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "statusCode": 500,
        "timestamp": timestamp,
        "exception": exception,
        "request": request,
        "version": version,
    }


def _nest(status: int, error: str, message: str | list[str]) -> Refusal:
    return Refusal(status, {"message": message, "error": error, "statusCode": status})
