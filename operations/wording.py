"""Sentences name commands as `session list`; a person reads `/wa session list`, whatever the command is called here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# All commands: the daemon's sentences may mention any. It does not know the bot's table, so a test compares the two.
MENTIONED = (
    "audit",
    "audit export",
    "audit installation",
    "channel link",
    "channel list",
    "channel unlink",
    "contact erase",
    "contact export",
    "doctor",
    "help",
    "login",
    "logout",
    "message cancel",
    "message failed",
    "message list",
    "message retry",
    "message search",
    "message show",
    "report list",
    "report now",
    "report pause",
    "report remove",
    "report resume",
    "report schedule",
    "report show",
    "send",
    "server drain",
    "server list",
    "server show",
    "server undrain",
    "session add",
    "session adopt",
    "session health",
    "session history",
    "session limits",
    "session list",
    "session logout",
    "session pair",
    "session proxy",
    "session qr",
    "session remove",
    "session restart",
    "session show",
    "session start",
    "session stop",
    "tenant activate",
    "tenant create",
    "tenant deactivate",
    "tenant delete",
    "tenant list",
    "tenant restore",
    "tenant retention",
    "tenant settings",
    "tenant show",
    "tenant update",
    "tenant use",
    "user activate",
    "user add",
    "user deactivate",
    "user forget-password",
    "user invite",
    "user list",
    "user remove",
    "user role",
    "user show",
    "user update",
    "whoami",
    "workspace add",
    "workspace bind",
    "workspace list",
    "workspace remove",
    "workspace show",
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
