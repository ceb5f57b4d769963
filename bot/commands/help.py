from __future__ import annotations

from collections.abc import Sequence

from bot.commands.command import Command, Turn
from operations.errors import BadInput
from operations.permissions import who_may
from operations.slack_inbox import Answer
from slack.mrkdwn import escape


def help_command(table: Sequence[Command]) -> Command:
    """`help` over a table that does not hold it yet."""

    def run(turn: Turn) -> Answer:
        topic = turn.asked.word(0).lower() if turn.asked.words else ""
        return Answer(_about(topic, table) if topic else _overview(table))

    return Command(
        noun="help",
        verb="",
        takes=("TOPIC",),
        summary="what can be asked for",
        example="help session",
        permission=None,
        run=run,
    )


def _overview(table: Sequence[Command]) -> str:
    lines = [f"• `{command.usage}`: {command.summary}" for command in table]
    nouns = ", ".join(f"`help {noun}`" for noun in _nouns(table))
    return "\n".join(
        [
            "*WhatsApp from Slack.* You can ask for:",
            *lines,
            f"Each takes `--tenant NAME` where it is not clear which tenant is meant. More about: {nouns}.",
        ]
    )


def _about(topic: str, table: Sequence[Command]) -> str:
    found = [command for command in table if command.noun == topic]
    if not found:
        nouns = ", ".join(f"`help {noun}`" for noun in _nouns(table))
        raise BadInput(f"There is no help about `{escape(topic)}`. There is: {nouns}.")
    return "\n".join([f"*{topic.capitalize()}*", *(_lines(command) for command in found)])


def _lines(command: Command) -> str:
    who = f" For {who_may(command.permission)}." if command.permission is not None else ""
    return f"• `{command.usage}`: {command.summary}.{who}\n      For example: `{command.example}`"


def _nouns(table: Sequence[Command]) -> list[str]:
    return list(dict.fromkeys(command.noun for command in table))
