"""Sentences name commands as `session list`; a person reads `/wa session list`, whatever the command is called here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# What the daemon's sentences mention. The bot has the whole table, and a test holds these against it.
MENTIONED = (
    "channel link",
    "doctor",
    "login",
    "logout",
    "message failed",
    "message list",
    "server list",
    "session add",
    "session health",
    "session limits",
    "session list",
    "session logout",
    "session qr",
    "session restart",
    "session show",
    "tenant activate",
    "tenant list",
    "tenant restore",
    "tenant use",
    "user add",
    "user forget-password",
    "user invite",
    "whoami",
    "workspace add",
)


def quoted(name: str) -> str:
    """A name as it is typed in a command: `Acme`, `"Acme Ltd"`."""
    return f'"{name}"' if " " in name else name


def counted(number: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def with_root(text: str, root: str, names: Iterable[str] = MENTIONED) -> str:
    """Put `root` (`/wa`) before everything in backticks that begins with one of the commands' names."""
    alternatives = "|".join(re.escape(name) for name in names)
    return re.sub(rf"`(?=(?:{alternatives})[ `])", f"`{root} ", text)


def rooted(blocks: Any, root: str) -> Any:
    """The same in all texts of blocks, to any depth; ids, values and addresses have no backticks."""
    if isinstance(blocks, str):
        return with_root(blocks, root)
    if isinstance(blocks, dict):
        return {key: rooted(inner, root) for key, inner in blocks.items()}
    return [rooted(inner, root) for inner in blocks] if isinstance(blocks, list) else blocks
