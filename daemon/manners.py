"""How a person writes: looks at the chat, types for a while, sends, and takes a breath before the next one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from operations import sending_pace as pace
from operations.sending import Leased
from settings.logs import get_logger
from waha.client import WahaClient
from waha.errors import WahaError

log = get_logger(__name__)

Known = TypeVar("Known")

MOST: Final = timedelta(seconds=12)
"""What all of it may take; a lease of such a message is longer by that."""

_REMEMBERED = 10_000


class Manners:
    """Of all sessions of this daemon. What fails or takes too long is left out: the message goes all the same."""

    def __init__(
        self, chance: random.Random = pace.CHANCE, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._chance = chance
        self._sleep = sleep
        self._turns: dict[UUID, float] = {}
        self._seen: dict[UUID, datetime] = {}

    async def show(self, client: WahaClient, message: Leased, chat_id: str, *, until: float) -> None:
        """Everything before the send, which comes next; `until` is a time of the running loop."""
        try:
            async with asyncio.timeout_at(until):
                await self._wait_for_turn(message, until)
                await self._look(client, message, chat_id)
                await self._type(client, message, chat_id)
        except (WahaError, TimeoutError) as error:
            log.info("message is sent without typing first", message_id=message.message_id, reason=str(error))

    async def _wait_for_turn(self, message: Leased, until: float) -> None:
        """Messages of one account leave one after the other; those of others have nothing to do with it."""
        now = asyncio.get_running_loop().time()
        # What cannot wait for its turn leaves before it, and the next one's turn comes after that.
        turn = max(now, min(self._turns.get(message.session_id, now), until))
        pause = pace.pause_between_replies(message.slow_factor, self._chance)
        _keep(self._turns, message.session_id, turn + pause.total_seconds())
        await self._sleep(turn - now)

    async def _look(self, client: WahaClient, message: Leased, chat_id: str) -> None:
        """Mark as read what the customer wrote, once."""
        heard_at = message.last_inbound_at
        if heard_at is None or self._seen.get(message.conversation_id) == heard_at:
            return
        _keep(self._seen, message.conversation_id, heard_at)
        await client.send_seen(message.external_session_id, chat_id)

    async def _type(self, client: WahaClient, message: Leased, chat_id: str) -> None:
        await client.start_typing(message.external_session_id, chat_id)
        await self._sleep(pace.typing_time(message.body, self._chance).total_seconds())
        await client.stop_typing(message.external_session_id, chat_id)


def _keep(known: dict[UUID, Known], key: UUID, found: Known) -> None:
    """The newest few: what is forgotten costs one more look, or a pause."""
    known.pop(key, None)
    known[key] = found
    if len(known) > _REMEMBERED:
        known.pop(next(iter(known)))
