"""Webhooks gathered into one insert and one commit, so that many arrive at the price of few."""

from __future__ import annotations

import asyncio
import time

from database import DatabaseUnavailable, in_database
from operations import arrivals, webhook_inbox
from operations.arrivals import EVERY_SECONDS
from operations.webhook_inbox import NewWebhook
from settings.logs import get_logger

# More than can be stored within WAHA's patience (8 s): it is better told to come back.
MOST_WAITING = 2_000
# Of all bodies together; one alone may be larger.
MOST_BYTES_WAITING = 64 * 1024 * 1024
# Within that patience too, where PostgreSQL stands still. What is stored after all is known when WAHA comes back.
PATIENCE_SECONDS = 5.0
_LARGEST_BATCH = 200

log = get_logger(__name__)


class Overloaded(Exception):
    """More webhooks wait than can be stored in time, or this one waited too long: WAHA shall come back with it."""


class Intake:
    """One writer: it takes whatever has gathered while it was writing, and adds no delay when alone."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS, most_bytes: int = MOST_BYTES_WAITING) -> None:
        self._waiting: asyncio.Queue[tuple[NewWebhook, asyncio.Future[None]]] = asyncio.Queue(MOST_WAITING)
        self._patience_seconds = patience_seconds
        self._most_bytes = most_bytes
        self._bytes_waiting = 0
        self._noted: dict[str, float] = {}
        # Since the start: WAHA posts again whatever it did not hear back from in time.
        self.repeated = 0

    async def keep(self, webhook: NewWebhook) -> None:
        """Return when the webhook is committed.

        Raises:
            Overloaded: it was not, in time.
            Exception: it could not be stored; WAHA will post it again.
        """
        if self._bytes_waiting and self._bytes_waiting + len(webhook.body) > self._most_bytes:
            raise Overloaded
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((webhook, done))
        except asyncio.QueueFull:
            raise Overloaded from None
        self._bytes_waiting += len(webhook.body)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await done
        except TimeoutError:
            raise Overloaded from None

    async def write(self) -> None:
        """Store what gathers, for ever."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < _LARGEST_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._store(batch)
            self._bytes_waiting -= sum(len(webhook.body) for webhook, _ in batch)
            await self._note({webhook.server for webhook, _ in batch})

    async def _note(self, servers: set[str]) -> None:
        """Write when each server was last heard, now and then, after all that came with it was answered."""
        now = time.monotonic()
        due = {name for name in servers if now - self._noted.get(name, -EVERY_SECONDS) >= EVERY_SECONDS}
        if not due:
            return
        self._noted.update(dict.fromkeys(due, now))
        try:
            await in_database(arrivals.note, due)
        except Exception as error:  # noqa: BLE001 - the webhooks are kept; this is only when the last one came
            log.warning("when a server was last heard is not written", reason=str(error))

    async def _store(self, batch: list[tuple[NewWebhook, asyncio.Future[None]]]) -> None:
        try:
            stored = await in_database(webhook_inbox.store, [webhook for webhook, _ in batch])
        except Exception as error:  # noqa: BLE001 - every waiting request is told
            if len(batch) == 1 or isinstance(error, DatabaseUnavailable):
                _settle(batch, error)
                return
            # One that PostgreSQL will not have takes no other with it.
            for one in batch:
                await self._store([one])
        else:
            self.repeated += len(batch) - stored
            _settle(batch, None)


def _settle(batch: list[tuple[NewWebhook, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue  # the request was given up meanwhile
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
