"""Two Socket Mode connections on one app: while one is replaced, the other listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from settings import SettingsError
from settings.keys import variable_of
from settings.logs import get_logger
from slack.refusals import TOKEN_REASONS

CONNECTIONS = 2
# aiohttp's client notices a socket that died after 0.5 s with this, after 8.5 s with Bolt's default of 10.
PING_SECONDS = 2.0
LOOK_EVERY_SECONDS = 2.0
REPLACE_AFTER_SECONDS = 20.0
AWAY_FOR_SECONDS = 60.0
# Slack repeats an event at once and after a minute; what was said in a longer silence may come by no event.
GAP_SECONDS = 30.0
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 3.0

log = get_logger(__name__)
# Its own level, since the SDK compares with that: at DEBUG it prints what people wrote.
_sdk_log = logging.getLogger("bot.sockets.sdk")
_sdk_log.setLevel(logging.INFO)


class NoSocket(Exception):
    """Slack could not be reached by any connection for so long that a new process has better chances."""


class Sockets:
    """The connections of a bot; `app` gets what arrives, `after_gap` is called when none was up for a while."""

    def __init__(self, app: AsyncApp, app_token: str, *, after_gap: Callable[[], object] = lambda: None) -> None:
        self._app = app
        self._app_token = app_token
        self._after_gap = after_gap
        self.handlers: list[AsyncSocketModeHandler] = []

    async def connect(self) -> None:
        """Open both.

        Raises:
            SettingsError: Slack refuses the app token.
        """
        for _ in range(CONNECTIONS):
            self.handlers.append(await self._open_in_time())

    async def up(self) -> int:
        """How many are connected."""
        return sum([await handler.client.is_connected() for handler in self.handlers])

    async def close(self) -> None:
        """From here on Slack hands over nothing; it repeats events to whoever comes next."""
        handlers, self.handlers = self.handlers, []
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]

    async def watch(
        self,
        *,
        replace_after: float = REPLACE_AFTER_SECONDS,
        away_for: float = AWAY_FOR_SECONDS,
        gap_after: float = GAP_SECONDS,
    ) -> None:
        """Look at the sockets for ever, and replace the one that does not come back by itself.

        Raises:
            NoSocket: none was up for `away_for` seconds.
        """
        clock = asyncio.get_running_loop().time
        last_up = dict.fromkeys(range(CONNECTIONS), clock())
        while True:
            heard_until = max(last_up.values())
            for index, handler in enumerate(self.handlers):
                # Without `await` it would be a coroutine, which is always true.
                if await handler.client.is_connected():
                    last_up[index] = clock()
            if max(last_up.values()) - heard_until >= gap_after:
                self._after_gap()
            if clock() - max(last_up.values()) >= away_for:
                raise NoSocket(f"Slack could not be reached for {away_for:g} s")
            oldest = min(last_up, key=last_up.__getitem__)
            if clock() - last_up[oldest] >= replace_after:
                await self._replace(oldest)
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, replace_after))

    async def _replace(self, index: int) -> None:
        """The SDK goes on with an address that was used or has expired, for as long as connecting with it fails."""
        log.warning("a connection to Slack is replaced", connection=index)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                fresh = await self._open()
        except (TimeoutError, SettingsError) as error:
            log.warning("Slack opens no other connection", reason=str(error) or "no answer in time")
            return
        old, self.handlers[index] = self.handlers[index], fresh
        await old.close_async()  # type: ignore[no-untyped-call]

    async def _open_in_time(self) -> AsyncSocketModeHandler:
        """With a fresh address whenever one leads nowhere: the SDK would go on with it for ever."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._open()
            except TimeoutError:
                log.warning("Slack opens no connection in time, trying again")

    async def _open(self) -> AsyncSocketModeHandler:
        url = await self._address()
        handler = AsyncSocketModeHandler(
            self._app, self._app_token, logger=_sdk_log, proxy=self._app.client.proxy, ping_interval=PING_SECONDS
        )
        # Without a proxy the SDK takes one from the environment, where this machine is no exception.
        handler.client.proxy = self._app.client.proxy
        handler.client.wss_uri = url
        try:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        except BaseException:
            await handler.close_async()  # type: ignore[no-untyped-call]
            raise
        return handler

    async def _address(self) -> str:
        """Asked for here, because the SDK would ask for ever with a token that Slack refuses."""
        while True:
            try:
                answer: Any = await self._app.client.apps_connections_open(app_token=self._app_token)
                return str(answer["url"])
            except SlackApiError as error:
                reason = str(error.response["error"])
                if reason in TOKEN_REASONS or reason in {"missing_scope", "not_allowed_token_type"}:
                    variable = variable_of(("slack", "app_token"))
                    raise SettingsError([f"Slack refuses slack.app_token ({reason}): set {variable}=xapp-…"]) from error
                log.warning("Slack opens no socket, trying again", reason=reason)
            except Exception as error:  # noqa: BLE001 - the SDK raises whatever aiohttp does; each means "not now"
                log.warning("Slack cannot be reached, trying again", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(RETRY_SECONDS)
