"""How long ago, as people type it: `30m`, `2h`, `3d`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from bot.commands.command import Option, Turn
from operations.sql import database_now
from slack.mrkdwn import escape

SINCE = Option("since", "AGO", "2h")
UNTIL = Option("until", "AGO", "30m")

_AGO = re.compile(r"(\d{1,4}) ?(m|h|d)[a-z]*")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def ago(turn: Turn, option: str) -> datetime | None:
    """The moment that an option of the command names; None where it was not given.

    Raises:
        BadInput: it is no duration.
    """
    typed = turn.asked.option(option)
    if typed is None:
        return None
    found = _AGO.fullmatch(typed.strip().lower())
    if found is None:
        raise turn.command.misused(
            f"`{escape(typed)}` is not how long ago: write a number with `m`, `h` or `d`, such as `--{option} 2h`."
        )
    return database_now() - int(found[1]) * _UNITS[found[2]]


def window(turn: Turn) -> tuple[datetime | None, datetime | None]:
    """`--since` and `--until`.

    Raises:
        BadInput: one is no duration, or nothing lies between them.
    """
    since, until = ago(turn, SINCE.name), ago(turn, UNTIL.name)
    if since is not None and until is not None and since >= until:
        raise turn.command.misused("Nothing lies between these: `--since` must be longer ago than `--until`.")
    return since, until
