"""One call to WAHA and back: address, key, time, and what the answer means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

from waha.answers import error_in
from waha.errors import WahaError, WahaUnreadable
from waha.loose_json import NotJson, parse
from waha.routes import route_of
from waha.transport import Answer, exchange, open_http

Parsed = TypeVar("Parsed")

_SUCCESS = range(200, 300)

# Thousands of messages or sessions fit; more would be held in memory twice, as bytes and as objects.
_LONGEST_ANSWER = 32 * 1024 * 1024

# Identity: the answers that are awaited for long are short, and a broken compression would be one more unknown outcome.
JSON_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a whole call may take, in seconds; a lease has to outlast the one of its kind."""

    # On a local network a connection takes milliseconds; longer means that the host is gone.
    connect: float = 2.0
    # What WAHA answers out of its memory. `GET /api/sessions/{name}` asks the engine for up to 3 s.
    listing: float = 15.0
    # Whatever needs a session that is WORKING: WAHA itself waits 5 s for it to run and 10 s to work before it refuses.
    send: float = 30.0
    # Start, stop and the like wait 5 s for the session's lock, may hold it for 30 s, and a stop pauses 1 to 3 s.
    control: float = 45.0
    # WAHA downloads or converts the file within the call.
    media: float = 120.0

    def times(self, factor: float) -> Self:
        return replace(
            self,
            connect=self.connect * factor,
            listing=self.listing * factor,
            send=self.send * factor,
            control=self.control * factor,
            media=self.media * factor,
        )


Observe = Callable[[str, str, float], None]
"""Told of each call: its route, the class of its error or `ok`, and how many seconds it took."""


class WahaCalls:
    """The server at `url`, under `api_key`; an async context manager. Its calls raise `WahaError` and nothing else.

    Raises:
        ValueError: `url` can be no server's.
    """

    def __init__(
        self, url: str, api_key: str, *, timeouts: Timeouts | None = None, observe: Observe | None = None
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self._observe = observe
        self._api_key = api_key
        self._http = open_http(url, connect_seconds=self.timeouts.connect)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON that WAHA answers to `path` (below the server's url); None for an empty body, as WAHA writes null.

        Raises:
            WahaError: its subclasses say what happened and whether to send again.
        """
        return json_of(await self._answer(method, path, seconds=seconds, query=query, body=body, headers=JSON_HEADERS))

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        headers: Mapping[str, str],
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        max_bytes: int = _LONGEST_ANSWER,
    ) -> Answer:
        request = self._http.build_request(
            method, path, params=query, json=body, headers={**headers, "X-Api-Key": self._api_key}
        )
        began, outcome = time.monotonic(), "ok"
        try:
            answer = await exchange(self._http, request, seconds=seconds, max_bytes=max_bytes)
            if answer.http_status not in _SUCCESS:
                raise error_in(answer.http_status, answer.content, retry_after=answer.headers.get("Retry-After"))
        except WahaError as error:
            outcome = type(error).__name__
            raise
        finally:
            if self._observe is not None:
                self._observe(route_of(method, path), outcome, time.monotonic() - began)
        return answer


def json_of(answer: Answer) -> Any:
    """What an answer says; None for an empty body, as WAHA writes null.

    Raises:
        WahaUnreadable: it is no JSON.
    """
    if not answer.content:
        return None
    try:
        return parse(answer.content)
    except NotJson as error:
        raise WahaUnreadable("WAHA's answer is not JSON.", http_status=answer.http_status) from error


def in_path(name: str) -> str:
    """A name as one segment of a path: no slash or question mark in it can lead to another call."""
    return quote(name, safe="")


def expected(parsed: Parsed | None) -> Parsed:
    """`parsed`, which is never None on an answer that WAHA really gives.

    Raises:
        WahaUnreadable: it is None.
    """
    if parsed is None:
        raise WahaUnreadable("WAHA's answer lacks what this call answers.")
    return parsed
