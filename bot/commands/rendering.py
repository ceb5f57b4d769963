"""Sentences name commands as `session list`; a person reads `/wa session list`, whatever the command is called here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.commands.command import Command


def with_root(text: str, root: str, table: Sequence[Command]) -> str:
    """Put `root` before everything in backticks that begins with a command's name.

    A lone noun is left alone: "session `send`" is a session of that name, while `send NUMBER TEXT` is the command.
    """
    with_verb = "|".join(re.escape(command.name) for command in table if command.verb)
    alone = "|".join(re.escape(command.name) for command in table if not command.verb)
    return re.sub(rf"`(?=(?:{with_verb})[ `]|(?:{alone}) |help`)", f"`{root} ", text)
