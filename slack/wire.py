"""The wire under the client: one attempt a call, one time limit around it, and every failure explained."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from slack.addresses import is_loopback
from slack.answers import Answer
from slack.errors import SlackError, refused
from slack.failures import explained, of_status, parsed
from slack.mrkdwn import as_sent

if TYPE_CHECKING:
    from yarl import URL

CONNECT_TIMEOUT = timedelta(seconds=3)
TRANSFER_TIMEOUT = timedelta(seconds=60)
CHUNK = 64 * 1024

# The SDK prints whole bodies at DEBUG, and compares with this logger's own level, which must therefore be set.
_sdk_log = logging.getLogger("slack.wire.sdk")
_sdk_log.setLevel(logging.WARNING)

A = TypeVar("A", bound=Answer)

Observe: TypeAlias = Callable[[str, str, float], None]


def new_session(timeout: timedelta) -> aiohttp.ClientSession:
    """A session that gives up connecting well before `timeout`, so that "not sent" can be told from "unknown"."""
    connect = min(CONNECT_TIMEOUT, timeout / 2).total_seconds()
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=connect))


class Wire:
    """`call` for the Web API; `send` and `fetch` for the addresses that Slack hands out.

    `observe` is told of each call: its method, the class of its error or `ok`, and how many seconds it took.
    """

    def __init__(
        self,
        token: str,
        api_url: URL,
        session: aiohttp.ClientSession,
        timeout: timedelta,
        observe: Observe | None = None,
    ) -> None:
        self._observe = observe
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._session = session
        self._timeout = timeout
        # The SDK's default handler posts twice when a connection drops after Slack stored the message.
        self._web = AsyncWebClient(token, str(api_url), session=session, retry_handlers=[], logger=_sdk_log)
        if is_loopback(api_url):
            self._web.proxy = None  # the SDK takes HTTP_PROXY from the environment and knows no NO_PROXY
        self._proxy = self._web.proxy

    async def read(self, method: str, kind: type[A], arguments: dict[str, Any]) -> A:
        return await self._call(method, kind, http_verb="GET", params=arguments)

    async def write(self, method: str, kind: type[A], arguments: dict[str, Any]) -> A:
        return await self._call(method, kind, json=as_sent(without_none(arguments)))

    async def form(self, method: str, kind: type[A], arguments: dict[str, Any]) -> A:
        """For the `files.*` methods, which read no JSON; lists travel as JSON inside the form."""
        sent = as_sent(arguments)
        encoded = {key: json.dumps(value) if isinstance(value, list) else value for key, value in sent.items()}
        return await self._call(method, kind, data=encoded)

    async def _call(self, method: str, kind: type[A], **request: Any) -> A:
        with self._observed(method), explained(method):
            return kind.model_validate((await self._answer(method, **request)).data)

    async def headers(self, method: str) -> Mapping[str, str]:
        """Of the answer to a method that takes nothing; Slack tells there which scopes the token has, and its time."""
        with self._observed(method), explained(method):
            return cast("Mapping[str, str]", (await self._answer(method, json={})).headers)

    async def _answer(self, method: str, **request: Any) -> Any:
        async with asyncio.timeout(self._timeout.total_seconds()):
            return await self._web.api_call(method, **request)

    @contextmanager
    def _observed(self, name: str) -> Iterator[None]:
        began, outcome = time.monotonic(), "ok"
        try:
            yield
        except SlackError as error:
            outcome = type(error).__name__
            raise
        finally:
            if self._observe is not None:
                self._observe(name, outcome, time.monotonic() - began)

    async def send(self, name: str, url: URL, *, limit: timedelta | None = None, **body: Any) -> None:
        """POST to an address of Slack's own making, without the token. `name` stands for it in errors and logs."""
        with self._observed(name), explained(name):
            async with (
                asyncio.timeout((limit or self._timeout).total_seconds()),
                self._session.post(url, proxy=self._proxy, allow_redirects=False, **body) as response,
            ):
                answer = parsed(await response.read())
                is_refused = isinstance(answer, dict) and answer.get("ok") is False
                if response.status != HTTPStatus.OK or is_refused:
                    raise of_status(name, response.status, response.headers, answer)

    async def fetch(self, name: str, url: URL, *, largest: int) -> bytes:
        """GET a file with the token, reading no more than `largest` bytes of it."""
        with self._observed(name), explained(name):
            async with (
                asyncio.timeout(TRANSFER_TIMEOUT.total_seconds()),
                self._session.get(
                    url, proxy=self._proxy, allow_redirects=False, headers=self._authorization
                ) as response,
            ):
                if response.status != HTTPStatus.OK:
                    raise of_status(name, response.status, response.headers, None)
                if response.content_type == "text/html":
                    raise refused(name, "login_page")
                return await _read_at_most(largest, response, name)


async def _read_at_most(largest: int, response: aiohttp.ClientResponse, name: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > largest:
            raise refused(name, "file_too_large")
    return bytes(content)


def without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if value is not None}
