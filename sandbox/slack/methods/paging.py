"""Cursors: opaque to the app, a position to us."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from sandbox.slack.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments

T = TypeVar("T")


def page(items: list[T], arguments: Arguments, *, most: int, default: int = 100) -> tuple[list[T], str]:
    """The page that `cursor` and `limit` ask for, and the cursor of the next one (empty at the end).

    Raises:
        Refusal: `invalid_cursor`, `invalid_limit`.
    """
    limit = arguments.number("limit", default) or default
    if not 1 <= limit <= most:
        raise Refusal("invalid_limit")
    start = _position(arguments.text("cursor"))
    end = start + limit
    return items[start:end], _cursor(end) if end < len(items) else ""


def _cursor(position: int) -> str:
    return base64.b64encode(f"next:{position}".encode()).decode()


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (binascii.Error, ValueError):
        raise Refusal("invalid_cursor") from None
