"""How the handling of an inbox row may end, besides well. Each takes back what the handling changed."""

from __future__ import annotations

from datetime import timedelta

import peewee

from database import DatabaseUnavailable
from operations.sql import clean

NOT_THE_EVENTS_FAULT = (DatabaseUnavailable, peewee.OperationalError, peewee.InterfaceError)
"""PostgreSQL is away, or asks to begin again; anything else that is raised is about the row."""

LOOK_AGAIN_AFTER = timedelta(seconds=1)

# PostgreSQL calls these operational too: a value that is larger than an index takes, a statement that took too long.
_TOO_LARGE, TOOK_TOO_LONG = "54", "57014"


def is_the_rows_fault(error: Exception) -> bool:
    """Whether the row itself may be why it failed."""
    return not isinstance(error, NOT_THE_EVENTS_FAULT) or _code(error).startswith((_TOO_LARGE, TOOK_TOO_LONG))


def took_too_long(error: Exception) -> bool:
    """Whether PostgreSQL ended a statement: the row's fault only where it handles others meanwhile."""
    return _code(error) == TOOK_TOO_LONG


def _code(error: Exception) -> str:
    return getattr(getattr(error, "orig", None), "pgcode", None) or ""


def reason_of(error: Exception) -> str:
    """What is kept with a row that failed: the first line, since those below it may repeat what people wrote."""
    first_line = next(iter(str(error).splitlines()), "")
    return clean(f"{type(error).__name__}: {first_line}"[:500])


class NotYet(Exception):
    """It cannot be told yet what the row means; it is looked at again soon, and no attempt is counted."""


class Early(Exception):
    """It is about a message that is not here yet: it steps aside for a while, so that the message can come.

    `about` names what it waits for; whoever brings that calls `lanes.call_back`.
    """

    def __init__(self, about: str) -> None:
        super().__init__("What it is about is not here yet.")
        self.about = about


class Parked(Exception):
    """It cannot be handled, now or later; the sentence is kept with the row, for a person."""
