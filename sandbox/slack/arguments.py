"""The arguments of an API call, in every form in which the SDKs send them.

JSON bodies, JSON with an empty body, forms (with JSON inside for `blocks` and the like), and query strings.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.slack.refusal import Json, Refusal, invalid_arguments

if TYPE_CHECKING:
    from aiohttp import web

YES = frozenset({"1", "true", "True"})


class Arguments:
    """Named values, read as what the method takes them for."""

    def __init__(self, values: Json) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def text(self, name: str, default: str = "") -> str:
        """A string; numbers are taken as they are written."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else str(value)

    def required(self, name: str) -> str:
        """A string that has to be there.

        Raises:
            Refusal: `invalid_arguments`, which names it.
        """
        if not (value := self.text(name)):
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """`true`, `"true"`, `1` and `"1"` mean yes."""
        return str(self.values[name]) in YES if name in self.values else default

    def number(self, name: str, default: int) -> int:
        """A whole number.

        Raises:
            Refusal: `invalid_arguments`.
        """
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            raise invalid_arguments(f"must be a number [json-pointer:/{name}]") from None

    def structure(self, name: str, *, otherwise: str = "invalid_arguments") -> Any:
        """A list or an object, given as such or as JSON in a string; None when it is absent.

        Raises:
            Refusal: `otherwise`, when the string is not JSON.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            return value or None
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(otherwise) from None

    def names(self, name: str) -> list[str]:
        """A list, or a string with commas."""
        value = self.values.get(name, [])
        items = value.split(",") if isinstance(value, str) else value
        return [str(item).strip() for item in items if str(item).strip()]


async def read(request: web.Request) -> tuple[Arguments, str]:
    """The arguments and the token of a call; the token is empty when there is none.

    Raises:
        Refusal: `invalid_json`, `json_not_object`.
    """
    values: Json = dict(request.query)
    values |= await _body(request)
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    argument = values.pop("token", "")
    return Arguments(values), bearer if scheme.lower() == "bearer" else argument


async def _body(request: web.Request) -> Json:
    if request.content_type != "application/json":
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refusal("invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal("json_not_object")
    return body
