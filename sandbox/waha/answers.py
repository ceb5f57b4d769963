"""Reading requests and writing answers the way Express and NestJS do."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from sandbox.waha import errors
from sandbox.waha.environment import Json


def encoded(value: Any) -> bytes:
    """As JSON.stringify writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=encoded(body), status=status, content_type="application/json", charset="utf-8")


def empty(status: int) -> web.Response:
    return web.Response(status=status)


async def body_of(request: web.Request) -> Json:
    """The JSON object of the request; none is an empty one.

    Raises:
        Refusal: 400, not JSON.
    """
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise errors.bad_request("Unexpected end of JSON input") from None
    return body if isinstance(body, dict) else {}


def boolean(request: web.Request, name: str, *, default: bool) -> bool:
    """A boolean of the query, as the validator reads it.

    Raises:
        Refusal: 400, another word.
    """
    value = request.query.get(name)
    if value is None or value == "":
        return default
    if value.lower() in {"true", "1"}:
        return True
    if value.lower() in {"false", "0"}:
        return False
    raise errors.bad_request([f"{name} must be a boolean value"])


def number(request: web.Request, name: str, *, default: int) -> int:
    value = request.query.get(name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise errors.bad_request([f"{name} must be a number conforming to the specified constraints"]) from None
