from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.commands.command import Command
from operations.permissions import who_may


def reference(table: Sequence[Command], root: str) -> str:
    """The table of commands as a page of Markdown."""
    sections = [line for command in table for line in _section(command, root)]
    return "\n".join(["# Commands", "", *_intro(root), *sections])


def _intro(root: str) -> Iterator[str]:
    yield f"`{root}` alone shows them in Slack. Whoever asked sees the answer, and nobody else. Every command takes"
    yield "`--tenant NAME`; it is needed only where neither the channel nor the person says which tenant is meant."
    yield ""


def _section(command: Command, root: str) -> Iterator[str]:
    who = who_may(command.permission)
    yield f"## {command.name}"
    yield ""
    yield f"{command.summary[0].upper()}{command.summary[1:]}. For {who}. {command.manner}".rstrip()
    yield ""
    yield "```text"
    yield from (f"{root} {line}" for line in dict.fromkeys((command.usage, command.shown_example)))
    yield "```"
    yield ""
