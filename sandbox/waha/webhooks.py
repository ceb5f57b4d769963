"""Posting events: fire and forget, in no order, tried again on anything but a 2xx."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import hmac
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from sandbox.waha.answers import encoded
from sandbox.waha.background import Background
from sandbox.waha.environment import Environment, Json
from sandbox.waha.identifiers import request_id
from sandbox.waha.journal import Journal, Posted
from sandbox.waha.webhook_faults import Delivery, WebhookFaults

# WAHA opens as many connections as there are events; here a burst must not use up the process's file handles.
MOST_CONNECTIONS = 256
_NOT_IN_STAR = {"engine.event", "state.change"}


@dataclass(frozen=True)
class RetryPolicy:
    policy: str
    delay_seconds: float
    attempts: int

    @classmethod
    def of(cls, webhook: Json) -> RetryPolicy:
        """Of one webhook's configuration; what it leaves out is constant, 2 s, 15 times."""
        given = webhook.get("retries") or {}
        return cls(given.get("policy") or "constant", given.get("delaySeconds", 2), given.get("attempts", 15))

    def delay(self, attempt: int, source: random.Random) -> float:
        """Seconds before the `attempt`-th retry, counted from 1."""
        if self.policy == "linear":
            return self.delay_seconds * attempt
        if self.policy == "exponential":
            return self.delay_seconds * float(2**attempt) * source.uniform(1, 1.2)
        return self.delay_seconds


class Webhooks:
    """`silence_seconds` is how long a receiver may be silent; it is real time whatever the pace."""

    def __init__(self, environment: Environment, journal: Journal, *, silence_seconds: float, jitter: float) -> None:
        self._environment = environment
        self._journal = journal
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=silence_seconds, sock_read=silence_seconds)
        self._jitter = jitter
        self._background = Background()
        self.faults = WebhookFaults()
        self._client: aiohttp.ClientSession | None = None

    async def stop(self) -> None:
        await self.forget()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def forget(self) -> None:
        """Loses what was not delivered, retries too: WAHA keeps them in memory."""
        await self._background.stop()

    def publish(self, config: Json | None, event: Json) -> None:
        """Starts a post of `event` (the whole envelope) to every webhook of a session that asked for it."""
        body = encoded(event)
        for webhook in (config or {}).get("webhooks") or []:
            delivery = self.faults.delivery(event) if self._is_wanted(webhook, event) else None
            for _ in range(delivery.copies if delivery else 0):
                self._background.start(self._deliver(webhook, event, body, delivery or Delivery()))

    def _is_wanted(self, webhook: Json, event: Json) -> bool:
        wanted = webhook.get("events") or []
        if event["event"] in wanted or ("*" in wanted and event["event"] not in _NOT_IN_STAR):
            return True
        return "message.any" in wanted and self.faults.strikes("message_too", event) is not None

    async def _deliver(self, webhook: Json, event: Json, body: bytes, delivery: Delivery) -> None:
        source = self._environment.random
        retries = RetryPolicy.of(webhook)
        headers = self._headers(webhook, event, body)
        await self._let_wait(delivery)
        for attempt in range(retries.attempts + 1):
            posted = Posted(webhook["url"], headers, body, attempt + 1)
            self._journal.webhooks.append(posted)
            floor = await self._post(posted)
            if floor is None:
                self.faults.taken(event, delivery.held)
            if floor is None or attempt == retries.attempts:
                return
            await self._environment.wait(max(floor, retries.delay(attempt + 1, source)))

    async def _let_wait(self, delivery: Delivery) -> None:
        if self._jitter or delivery.seconds:
            await asyncio.sleep(self._environment.random.uniform(0, self._jitter) + delivery.seconds)
        if delivery.held is not None:
            await delivery.held.wait()

    async def _post(self, posted: Posted) -> float | None:
        """Returns None if it was accepted, else the least number of seconds the receiver wants us to wait."""
        if self._client is None:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, ssl=False))
        try:
            async with self._client.post(
                posted.url, data=posted.body, headers=posted.headers, timeout=self._timeout
            ) as response:
                await response.read()
                posted.status = response.status
                return None if response.ok and response.status < 300 else _retry_after(response)  # noqa: PLR2004
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            posted.error = type(error).__name__
            return 0.0

    def _headers(self, webhook: Json, event: Json, body: bytes) -> dict[str, str]:
        headers = {
            "Accept": "application/json, text/plain, */*",
            "Content-Type": "application/json",
            "User-Agent": f"WAHA/{self._environment.version}",
        }
        headers |= {header["name"]: header["value"] for header in webhook.get("customHeaders") or []}
        headers["X-Webhook-Request-Id"] = request_id(self._environment.random)
        headers["X-Webhook-Timestamp"] = str(event["timestamp"])
        if key := (webhook.get("hmac") or {}).get("key"):
            headers["X-Webhook-Hmac"] = signature(key, body)
            headers["X-Webhook-Hmac-Algorithm"] = "sha512"
        return headers


def signature(key: str, body: bytes) -> str:
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()


def _retry_after(response: Any) -> float:
    value = response.headers.get("Retry-After", "0")
    if value.isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
