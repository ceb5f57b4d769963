"""What the settings are called: `slack.bot_token` in words, `SWITCHBOARD_SLACK__BOT_TOKEN` in the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias, get_args, get_origin

from settings.tables import Settings, Table

PREFIX = "SWITCHBOARD_"
FILE_VARIABLE = "SWITCHBOARD_CONFIG"
# Read by the tests, the sandbox and the benchmarks; no table has such a name.
FOREIGN_PREFIXES = ("SWITCHBOARD_TEST_", "SWITCHBOARD_SANDBOX_", "SWITCHBOARD_BENCHMARK_")

Key: TypeAlias = tuple[str, ...]


def is_setting(variable: str) -> bool:
    """Whether the variable claims to be one of ours; what claims to be and is not is an error."""
    return variable.startswith(PREFIX) and variable != FILE_VARIABLE and not variable.startswith(FOREIGN_PREFIXES)


def variable_of(key: Key) -> str:
    """`("slack", "bot_token")` -> `SWITCHBOARD_SLACK__BOT_TOKEN`."""
    return PREFIX + "__".join(key).upper().replace("-", "_")


def key_of(variable: str) -> Key:
    """The key that a variable names.

    A shell's variable cannot hold the `-` of `[waha.servers.eu-1]`, and a server's name holds no `_`, so that
    `SWITCHBOARD_WAHA__SERVERS__EU_1__URL` means that server.
    """
    key = tuple(variable.removeprefix(PREFIX).lower().split("__"))
    return tuple(
        part.replace("_", "-") if get_origin(type_at(key[:index])) is Mapping else part
        for index, part in enumerate(key)
    )


def type_at(key: Key) -> Any:
    """The type of the setting, table or group of tables; None when there is no such key."""
    found: Any = Settings
    for part in key:
        if is_table(found):
            field = found.model_fields.get(part)
            found = field.annotation if field else None
        elif get_origin(found) is Mapping:
            found = get_args(found)[1]
        else:
            return None
    return found


def is_table(found: Any) -> bool:
    """Whether what `type_at` answered has named keys."""
    return isinstance(found, type) and issubclass(found, Table)


def names_below(key: Key, servers: tuple[str, ...] = ("main",)) -> tuple[str, ...]:
    """The tables or settings one step under `key`; `servers` stand for the names that people choose."""
    found = type_at(key)
    if is_table(found):
        return tuple(found.model_fields)
    return servers if get_origin(found) is Mapping else ()


def every_key(servers: tuple[str, ...] = ("main",), *, below: Key = ()) -> Iterator[Key]:
    """All settings, with those of a WAHA server once for each name in `servers`."""
    names = names_below(below, servers)
    if not names:
        yield below
    for name in names:
        yield from every_key(servers, below=(*below, name))


def nearest(unknown: Key) -> Key | None:
    """The key that was probably meant: spelled almost alike beside it, in another table, or spelled somewhat alike."""
    *table, name = unknown
    siblings = names_below(tuple(table))
    if close := get_close_matches(name, siblings, n=1, cutoff=0.8):
        return (*table, close[0])
    known = {".".join(key): key for key in every_key()}
    if elsewhere := [key for key in known.values() if key[-1] == name]:
        return elsewhere[0]
    if close := get_close_matches(name, siblings, n=1):
        return (*table, close[0])
    close = get_close_matches(".".join(unknown), known, n=1, cutoff=0.8)
    return known[close[0]] if close else None
