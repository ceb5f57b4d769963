"""Sentences name commands as `session list`; a person reads `/wa session list`, whatever the command is called here."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What the daemon's sentences mention. The bot has the whole table, and a test holds these against it.
MENTIONED = (
    "channel link",
    "message list",
    "session list",
    "session qr",
    "session show",
    "user add",
)


def with_root(text: str, root: str, names: Iterable[str] = MENTIONED) -> str:
    """Put `root` (`/wa`) before everything in backticks that begins with one of the commands' names."""
    alternatives = "|".join(re.escape(name) for name in names)
    return re.sub(rf"`(?=(?:{alternatives})[ `])", f"`{root} ", text)
