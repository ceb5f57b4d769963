"""The one place where a failure under a call becomes one of `slack.errors`, decided by its cause."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from slack.errors import SlackError, SlackNotSent, SlackRateLimited, SlackUncertain, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# With these words "some aspect of the operation succeeded" before Slack gave up, so it must be looked up.
UNCERTAIN_REASONS = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
RATE_LIMIT_REASONS = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

# DNS, TCP and TLS failures are all ClientConnectorError; a proxy that refuses CONNECT never opened the way.
NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)
# AttributeError and ValueError: what the SDK raises over a 200 whose body is text, a list or broken JSON.
UNKNOWN_OUTCOME = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError, AttributeError, ValueError)

DEFAULT_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


@contextmanager
def explained(method: str) -> Iterator[None]:
    """Turn whatever the SDK or aiohttp raises inside into a SlackError that names `method`.

    Raises:
        SlackError: anything failed.
    """
    try:
        yield
    except SlackError:
        raise
    except SlackApiError as error:
        raise _of_answer(method, error.response) from error
    except NEVER_CONNECTED as error:
        raise SlackNotSent(method, f"No connection was made ({type(error).__name__}).") from error
    except UNKNOWN_OUTCOME as error:
        raise SlackUncertain(method, f"The outcome is not known ({type(error).__name__}).") from error


def of_status(method: str, status: int, headers: Mapping[str, str], body: object) -> SlackError:
    """The error for an answer that is not a success: the HTTP status first, then Slack's word in the body."""
    answer: dict[str, Any] = body if isinstance(body, dict) else {}
    reason = str(answer.get("error") or "")
    if status == HTTPStatus.TOO_MANY_REQUESTS or reason in RATE_LIMIT_REASONS:
        return SlackRateLimited(method, _pause(headers.get("Retry-After")))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return SlackUncertain(method, f"Slack answered {status}.")
    if reason in UNCERTAIN_REASONS:
        return SlackUncertain(method, f"Slack answered `{reason}`.")
    if reason:
        return refused(method, reason, details=_details(answer))
    if status == HTTPStatus.OK:
        return SlackUncertain(method, "Slack's answer could not be read.")
    return refused(method, f"http_{status}")


def _of_answer(method: str, response: Any) -> SlackError:
    # The SDK hands over aiohttp's own response, without data, when the body was not JSON.
    status = response.status if isinstance(response, aiohttp.ClientResponse) else response.status_code
    return of_status(method, status, response.headers, getattr(response, "data", None))


def _pause(retry_after: str | None) -> timedelta:
    try:
        seconds = int(retry_after or "")
    except ValueError:
        return DEFAULT_PAUSE
    return timedelta(seconds=min(max(1, seconds), LONGEST_PAUSE.total_seconds()))


def _details(answer: dict[str, Any]) -> tuple[str, ...]:
    """Slack's explanations: the messages about blocks, and for `missing_scope` which scope it needed."""
    metadata = answer.get("response_metadata")
    messages = metadata.get("messages", []) if isinstance(metadata, dict) else []
    scope = [f"needs {answer['needed']}"] if answer.get("needed") else []
    return tuple(str(message) for message in [*scope, *messages])


def parsed(body: bytes) -> object:
    """The JSON of `body`, or its short text as Slack's error word: `used_url` comes as either."""
    try:
        return json.loads(body)
    except ValueError:
        word = body[:100].decode("utf-8", "replace").strip()
        return {"error": word} if word.isidentifier() else None
