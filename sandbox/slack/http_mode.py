"""Delivery by HTTP: a signed request for each event, command and click; its response is the acknowledgement."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp

from sandbox.slack.delivery import Ack, Envelope, Undelivered

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class HttpMode:
    """Posts to the app's request URL, signed with the secret that both know."""

    url: str
    signing_secret: str
    ack_seconds: float

    async def send(self, envelope: Envelope) -> Ack | Undelivered:
        """Post an envelope; whatever is not 2xx within 3 s did not arrive."""
        body, content_type = encoded(envelope)
        headers = {"Content-Type": content_type, **signature(self.signing_secret, body), **_retry_headers(envelope)}
        started = asyncio.get_running_loop().time()
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.ack_seconds)) as session,
                session.post(self.url, data=body, headers=headers) as response,
            ):
                answer = await _answer(response)
                if not response.ok:
                    return Undelivered("http_error", final=response.headers.get("x-slack-no-retry") == "1")
        except TimeoutError:
            return Undelivered("http_timeout")
        except aiohttp.ClientError:
            return Undelivered("connection_failed")
        return Ack(answer, asyncio.get_running_loop().time() - started)


def encoded(envelope: Envelope) -> tuple[bytes, str]:
    """Events are JSON, commands a form, and interactions a form whose one field holds JSON."""
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), JSON_TYPE
    if envelope.kind == "slash_commands":
        return urlencode(envelope.payload).encode(), FORM_TYPE
    return urlencode({"payload": json.dumps(envelope.payload)}).encode(), FORM_TYPE


def signature(secret: str, body: bytes, at: int | None = None) -> dict[str, str]:
    """`v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}`."""
    timestamp = str(at if at is not None else int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def _retry_headers(envelope: Envelope) -> dict[str, str]:
    if not envelope.retry_attempt:
        return {}
    return {"X-Slack-Retry-Num": str(envelope.retry_attempt), "X-Slack-Retry-Reason": envelope.retry_reason}


async def _answer(response: aiohttp.ClientResponse) -> object:
    text = await response.text()
    if not text:
        return None
    return json.loads(text) if response.content_type == JSON_TYPE else text
