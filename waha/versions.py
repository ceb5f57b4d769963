"""What a WAHA of some engine and version can be relied on for."""

from __future__ import annotations

import re
from typing import Any

from waha.loose_json import flag, mapping

# `id` in the body of a send is heeded since 2026.4.3, by GOWS and NOWEB; WEBJS and WPP ignore it.
FIRST_WITH_IDS = (2026, 4, 3)
_ENGINES_WITH_IDS = frozenset({"GOWS", "NOWEB"})


def parse_version(version: str | None) -> tuple[int, ...] | None:
    """`2026.7.1` -> (2026, 7, 1), what follows the numbers (`-noweb`, `+build`) is left out; None for anything else."""
    found = re.match(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){1,3})(?![0-9.])", version or "")
    return tuple(int(part) for part in found[1].split(".")) if found else None


def trusts_ids(engine: str | None, version: str | None, *, store_on: bool) -> bool:
    """Whether a message that ended in doubt may be looked up by the id we chose, and sent again where it is unknown.

    `store_on` comes from `store_is_on`: where messages are not kept, "not found" means nothing.
    """
    numbers = parse_version(version)
    return engine in _ENGINES_WITH_IDS and store_on and numbers is not None and numbers >= FIRST_WITH_IDS


def store_is_on(engine: str | None, config: Any) -> bool:
    """Whether a session with this `config` keeps its messages, so that they can be looked up.

    NOWEB keeps none unless `noweb.store.enabled` is true; GOWS keeps all unless `gows.storage.messages` is false.
    """
    if engine == "NOWEB":
        return flag(mapping(config, "noweb", "store"), "enabled") is True
    return engine == "GOWS" and flag(mapping(config, "gows", "storage"), "messages") is not False
