"""JSON as WAHA writes it: a field may be missing, null or of another type than the documentation says.

Every reader here answers with the value when it has the expected type, and otherwise with "not there".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]

# Half of a UTF-16 pair, as `"\ud83d"`: legal JSON, but neither UTF-8 nor PostgreSQL can hold it.
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
# Seconds reach this value in the year 5138, milliseconds passed it in 1973.
_FIRST_MILLISECONDS = 100_000_000_000


class NotJson(ValueError):
    """The bytes are not one JSON document in UTF-8."""


def parse(raw: bytes) -> Any:
    """Any JSON value; half pairs of UTF-16 become U+FFFD, U+0000 stays.

    Raises:
        NotJson: not UTF-8, not JSON, `NaN` or `Infinity`, nested or numbered beyond what Python reads.
    """
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        return _without_halves(value) if _ESCAPED_HALF.search(text) else value
    except (ValueError, RecursionError) as error:
        raise NotJson("This is not a JSON document in UTF-8.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(item) for key, item in value.items()}
    return value


def mapping(value: Any, *path: str) -> Object:
    """The object at `path` below `value`; an empty one when any step is missing or no object."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def rows(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(source: Object, *keys: str) -> str | None:
    """The first of `keys` that holds a string with something in it."""
    for key in keys:
        value = source.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def flag(source: Object, key: str) -> bool | None:
    value = source.get(key)
    return value if isinstance(value, bool) else None


def whole_number(value: Any) -> int | None:
    """`3`, `3.0` and `"3"` are 3; `true` is not a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    return None


def moment(value: Any) -> datetime | None:
    """Seconds or milliseconds since 1970, told apart by their size; fractions and strings of digits count."""
    number = value if isinstance(value, float) and math.isfinite(value) else whole_number(value)
    if number is None:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _FIRST_MILLISECONDS else number, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
