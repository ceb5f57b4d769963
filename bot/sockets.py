"""Two Socket Mode connections on one app: while one is replaced, the other listens."""

from __future__ import annotations

import asyncio
import logging
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
AWAY_FOR_SECONDS = 60.0
RETRY_SECONDS = 3.0

log = get_logger(__name__)
# Its own level, since the SDK compares with that: at DEBUG it prints what people wrote.
_sdk_log = logging.getLogger("bot.sockets.sdk")
_sdk_log.setLevel(logging.INFO)


class NoSocket(Exception):
    """Slack could not be reached by any connection for so long that a new process has better chances."""


class Sockets:
    """The connections of a bot; `app` gets what arrives."""

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._app = app
        self._app_token = app_token
        self._handlers: list[AsyncSocketModeHandler] = []

    async def connect(self) -> None:
        """Open both.

        Raises:
            SettingsError: Slack refuses the app token.
        """
        for _ in range(CONNECTIONS):
            url = await self._address()
            handler = AsyncSocketModeHandler(
                self._app, self._app_token, logger=_sdk_log, proxy=self._app.client.proxy, ping_interval=PING_SECONDS
            )
            # With a proxy of "" or None the SDK looks into the environment, where loopback is no exception.
            handler.client.proxy = self._app.client.proxy
            handler.client.wss_uri = url
            self._handlers.append(handler)
            await handler.connect_async()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """From here on Slack hands over nothing; it repeats events to whoever comes next."""
        for handler in self._handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]
        self._handlers.clear()

    async def connected(self) -> int:
        """How many of them are up."""
        return sum([await handler.client.is_connected() for handler in self._handlers])

    async def watch(self, away_for: float = AWAY_FOR_SECONDS) -> None:
        """Look at the sockets for ever.

        Raises:
            NoSocket: none was up for `away_for` seconds.
        """
        loop = asyncio.get_running_loop()
        last_up = loop.time()
        while True:
            if await self.connected():
                last_up = loop.time()
            elif loop.time() - last_up >= away_for:
                raise NoSocket(f"Slack could not be reached for {away_for:g} s")
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, away_for))

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
