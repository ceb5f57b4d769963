"""How the handling of an inbox row may end, besides well. Each takes back what the handling changed."""

from __future__ import annotations

from datetime import timedelta

import peewee

from database import DatabaseUnavailable
from operations.sql import clean

NOT_THE_EVENTS_FAULT = (DatabaseUnavailable, peewee.OperationalError, peewee.InterfaceError)
"""PostgreSQL is away, or asks to begin again; anything else that is raised is about the row."""

LOOK_AGAIN_AFTER = timedelta(seconds=1)


def is_the_rows_fault(error: Exception) -> bool:
    """Whether the row itself is why it failed: also where it is too large, which PostgreSQL calls operational."""
    code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
    return not isinstance(error, NOT_THE_EVENTS_FAULT) or code.startswith("54")


def reason_of(error: Exception) -> str:
    """What is kept with a row that failed: the first line, since those below it may repeat what people wrote."""
    first_line = next(iter(str(error).splitlines()), "")
    return clean(f"{type(error).__name__}: {first_line}"[:500])


class NotYet(Exception):
    """It cannot be told yet what the row means; it is looked at again soon, and no attempt is counted."""


class Parked(Exception):
    """It cannot be handled, now or later; the sentence is kept with the row, for a person."""
