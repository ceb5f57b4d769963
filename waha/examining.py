from __future__ import annotations

import time
from datetime import datetime
from email.utils import parsedate_to_datetime

from waha.answers import error_in
from waha.calls import JSON_HEADERS, WahaCalls, expected
from waha.errors import NotImplementedByEngine, NotWaha, WahaKeyRefused
from waha.loose_json import NotJson, mapping, parse
from waha.payloads import Disk, Introduction, ServerVersion
from waha.transport import exchange

_FORBIDDEN = 403
_HEALTHY, _UNHEALTHY = 200, 503
_LONGEST_ANSWER = 1024 * 1024


class ExaminingCalls(WahaCalls):
    """What a check-up asks; none of it changes anything."""

    async def introduce(self) -> Introduction:
        began = time.monotonic()
        answer = await self._answer("GET", "/api/server/version", seconds=self.timeouts.listing, headers=JSON_HEADERS)
        seconds = time.monotonic() - began
        try:
            version = expected(ServerVersion.parse(parse(answer.content)))
        except NotJson as error:
            raise NotWaha("What answers at this address is not WAHA.", http_status=answer.http_status) from error
        return Introduction(version, seconds, clock_in(answer.headers.get("Date")))

    async def is_administrator(self) -> bool | None:
        """Whether our key may do everything or is bound to a session; None before 2026.1.4, which has one key."""
        try:
            await self.call("GET", "/api/keys", seconds=self.timeouts.listing)
        except WahaKeyRefused as error:
            if error.http_status == _FORBIDDEN:
                return False
            raise
        except NotImplementedByEngine:
            return None
        return True

    async def disks(self) -> list[Disk] | None:
        """None where WAHA has no health check, as Core before 2026.6.1, or does not let this key see it."""
        request = self._http.build_request("GET", "/health", headers={**JSON_HEADERS, "X-Api-Key": self._api_key})
        answer = await exchange(self._http, request, seconds=self.timeouts.listing, max_bytes=_LONGEST_ANSWER)
        if answer.http_status not in {_HEALTHY, _UNHEALTHY}:
            error = error_in(answer.http_status, answer.content)
            if isinstance(error, WahaKeyRefused) and error.http_status != _FORBIDDEN:
                raise error
            return None
        try:
            details = mapping(parse(answer.content), "details")
        except NotJson:
            return None
        return [_disk(name, mapping(details, name)) for name in details if name.endswith(".space")]


def _disk(name: str, source: object) -> Disk:
    found = mapping(source)
    free, threshold = found.get("free"), found.get("threshold")
    return Disk(
        name.removesuffix(".space"),
        found.get("status") == "up",
        free if isinstance(free, int) else None,
        threshold if isinstance(threshold, int) else None,
    )


def clock_in(header: str | None) -> datetime | None:
    """The `Date` of an HTTP answer."""
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
