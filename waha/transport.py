"""HTTP to one WAHA: httpx over aiohttp's sockets, and the one place that says what a failure of the wire means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from waha.errors import WahaError, WahaNotSent, WahaUncertain, WahaUnreadable

# Node closes a connection that was idle for 5 s (`server.keepAliveTimeout`). A request written at that very moment ends
# without an answer, which nobody can tell from a lost one, so ours are given up earlier.
_KEEP_IDLE_SECONDS = 3.0

_LAST_PORT = 65_535

# WAHA takes bodies of 50 MB and repeats the whole request in the body of a 500.
_LONGEST_ERROR = 64 * 1024 * 1024

# Failures of making a connection. httpx-aiohttp names a refused connection, an unknown host and a server that died
# after reading the request alike (`httpx.ConnectTimeout`), so aiohttp's exception below it decides.
_PROOF_OF_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


def open_http(url: str, *, connect_seconds: float) -> httpx.AsyncClient:
    """A client for the server at `url`: it follows no redirect, keeps no cookie, heeds no proxy of the environment.

    Raises:
        ValueError: `url` can be no server's.
    """
    _check(url)
    context = ssl.create_default_context()

    def open_session() -> aiohttp.ClientSession:
        # No limit: waiting for a free connection would eat the time of the call that waits. Callers bound themselves.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_IDLE_SECONDS, ssl=context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return httpx.AsyncClient(
        base_url=url,
        transport=AiohttpTransport(verify=context, client=open_session),
        # httpx-aiohttp hands "pool" to aiohttp as the time for name, connection and TLS together. Reading is bounded by
        # the total of `exchange`: a read time-out starts anew with every byte.
        timeout=httpx.Timeout(None, connect=connect_seconds, pool=connect_seconds),
        trust_env=False,
        follow_redirects=False,
    )


class Answer(NamedTuple):
    http_status: int
    headers: httpx.Headers
    content: bytes


def _check(url: str) -> None:
    try:
        address = httpx.URL(url)
        usable = address.scheme in {"http", "https"} and bool(address.host.encode("idna"))
    except (httpx.InvalidURL, UnicodeError):
        usable = False
    if not usable or (address.port or 0) > _LAST_PORT:
        # Not repeated in the sentence: it may hold a password.
        raise ValueError("This is no address of a WAHA server, such as http://127.0.0.1:3000.")


async def exchange(http: httpx.AsyncClient, request: httpx.Request, *, seconds: float, max_bytes: int) -> Answer:
    """The whole answer, whatever its status, within `seconds` from first to last byte.

    Raises:
        WahaNotSent: no connection was made.
        WahaUncertain: anything else that leaves us without a whole answer, `WahaUnreadable` if it is too long.
    """
    try:
        async with asyncio.timeout(seconds):
            answer = await http.send(request, stream=True)
            try:
                return Answer(answer.status_code, answer.headers, await _content(answer, max_bytes))
            finally:
                await answer.aclose()
    except (httpx.RequestError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise unanswered(error) from error


async def _content(answer: httpx.Response, max_bytes: int) -> bytes:
    longest = max_bytes if answer.is_success else max(max_bytes, _LONGEST_ERROR)
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > longest:
            raise WahaUnreadable(f"WAHA's answer is longer than {longest} bytes.", http_status=answer.status_code)
    return bytes(content)


def unanswered(error: BaseException) -> WahaError:
    """Whether a call that ended without an answer can have reached WAHA, decided on the cause, not on its httpx name.

    aiohttp repeats a GET, PUT or DELETE once by itself when a kept connection turns out dead; if the second try finds
    no server, "not sent" may be wrong about the first. Those calls may be done twice; a POST is never repeated.
    """
    causes = list(_chain(error))
    if any(isinstance(cause, _PROOF_OF_NOT_SENT) for cause in causes):
        return WahaNotSent("WAHA cannot be reached: no connection was made.")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return WahaUncertain("WAHA did not answer in time.")
    return WahaUncertain("The connection to WAHA broke before the answer was complete.")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
