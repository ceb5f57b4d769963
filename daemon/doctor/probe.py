"""A webhook of our own, sent where WAHA is told to send its webhooks.

It proves that this address leads to an ingress of ours that has the same HMAC key, from *this* machine. Whether WAHA's
machine gets there is shown by what arrives.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Literal

import aiohttp

from models import uuid7
from waha.webhooks import ALGORITHM_HEADER, PROBE, SIGNATURE_HEADER

_TIMEOUT = aiohttp.ClientTimeout(total=5, connect=2)
_LONGEST_ANSWER = 4096

Outcome = Literal["taken", "unreachable", "key refused", "not ours"]


@dataclass(frozen=True)
class Probed:
    """`why` is the class of the failure, or the HTTP status."""

    outcome: Outcome
    why: str = ""


async def probe(url: str, key: str) -> Probed:
    """Post a probe to the address of a server's webhooks, signed with its key."""
    probe_id = f"probe_{uuid7()}"
    raw = json.dumps({"id": probe_id, "event": PROBE, "session": "doctor", "payload": {}}).encode()
    signature = hmac.new(key.encode(), raw, hashlib.sha512).hexdigest()
    headers = {SIGNATURE_HEADER: signature, ALGORITHM_HEADER: "sha512", "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.post(url, data=raw, headers=headers, allow_redirects=False) as answer,
        ):
            status, body = answer.status, await answer.content.read(_LONGEST_ANSWER)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Probed("unreachable", type(error).__name__)
    return _judged(status, body, probe_id)


def _judged(status: int, body: bytes, probe_id: str) -> Probed:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    answer = said if isinstance(said, dict) else {}
    if answer.get("probe") == probe_id:
        return Probed("taken")
    if status == 401 and "signature" in str(answer.get("error")):  # noqa: PLR2004 - HTTP's number
        return Probed("key refused")
    return Probed("not ours", str(answer.get("error") or f"HTTP {status}"))
