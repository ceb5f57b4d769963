"""How long ago, as people type it: `30m`, `2h`, `3d`; or on which day: `2026-11-01`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bot.commands.command import Option, Turn
from operations.sql import database_now
from slack.mrkdwn import escape

SINCE = Option("since", "AGO", "2h")
UNTIL = Option("until", "AGO", "30m")

_AGO = re.compile(r"(\d{1,4}) ?(m|h|d)[a-z]*")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def ago(turn: Turn, option: str, *, or_else: str = "") -> datetime | None:
    """The moment that an option of the command names; None where it was not given.

    `or_else` ends the refusal, with what else may be written.

    Raises:
        BadInput: it is no duration.
    """
    typed = turn.asked.option(option)
    if typed is None:
        return None
    found = _AGO.fullmatch(typed.strip().lower())
    if found is None:
        raise turn.command.misused(
            f"`{escape(typed)}` is not how long ago: write a number with `m`, `h` or `d`, such as "
            f"`--{option} 2h`{or_else}."
        )
    return database_now() - int(found[1]) * _UNITS[found[2]]


def moment(turn: Turn, option: str, *, is_end: bool = False) -> datetime | None:
    """The same, where a day may be named as well; it begins and ends in UTC, and `is_end` means its end.

    Raises:
        BadInput: it is neither.
    """
    typed = (turn.asked.option(option) or "").strip()
    if not _DAY.fullmatch(typed):
        return ago(turn, option, or_else=f", or a day, such as `{database_now():%Y-%m-%d}`")
    try:
        day = datetime.strptime(typed, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise turn.command.misused(f"There is no day `{escape(typed)}`.") from None
    return day + timedelta(days=1) if is_end else day


def window(turn: Turn) -> tuple[datetime | None, datetime | None]:
    """`--since` and `--until`.

    Raises:
        BadInput: one is no duration, or nothing lies between them.
    """
    since, until = ago(turn, SINCE.name), ago(turn, UNTIL.name)
    if since is not None and until is not None and since >= until:
        raise turn.command.misused("Nothing lies between these: `--since` must be longer ago than `--until`.")
    return since, until
