"""Sentences name commands as `session list`; a person reads `/wa session list`, whatever the command is called here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.commands.command import Command


def with_root(text: str, root: str, table: Sequence[Command]) -> str:
    """Put `root` before everything in backticks that begins with a command's name.

    A lone noun is left alone: "session `send`" is a session of that name, while `send NUMBER TEXT` is the command.
    """
    names = "|".join(re.escape(command.name) + ("" if command.verb else r"(?= )") for command in table)
    return re.sub(rf"`(?=(?:{names}|help`)(?:[ `]|(?<=`)))", f"`{root} ", text)
