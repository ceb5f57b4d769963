"""Cursors: opaque to the app, a position to us."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from sandbox.slack.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments

T = TypeVar("T")
_POSITION = "next:"


def page(items: list[T], arguments: Arguments, *, most: int, default: int = 100) -> tuple[list[T], str]:
    """The page that `cursor` and `limit` ask for, and the cursor of the next one (empty at the end).

    Raises:
        Refusal: `invalid_cursor`, `invalid_limit`.
    """
    limit = limit_of(arguments, most=most, default=default)
    start = int(unmarked(arguments.text("cursor"), of=_POSITION) or 0)
    end = start + limit
    return items[start:end], marked(str(end), of=_POSITION) if end < len(items) else ""


def limit_of(arguments: Arguments, *, most: int, default: int) -> int:
    """How many items a page may have.

    Raises:
        Refusal: `invalid_limit`.
    """
    limit = arguments.number("limit", default) or default
    if not 1 <= limit <= most:
        raise Refusal("invalid_limit")
    return limit


def marked(place: str, *, of: str) -> str:
    """A cursor for a place, which is digits."""
    return base64.b64encode(f"{of}{place}".encode()).decode()


def unmarked(cursor: str, *, of: str) -> str:
    """The place of a cursor; empty without one.

    Raises:
        Refusal: `invalid_cursor`.
    """
    if not cursor:
        return ""
    try:
        place = base64.b64decode(cursor, validate=True).decode().removeprefix(of)
    except (binascii.Error, ValueError):
        raise Refusal("invalid_cursor") from None
    if not place.isdigit():
        raise Refusal("invalid_cursor")
    return place
