"""How the handling of an inbox row may end, besides well. Each takes back what the handling changed."""

from __future__ import annotations

from datetime import timedelta

import peewee

from database import DatabaseUnavailable

NOT_THE_EVENTS_FAULT = (DatabaseUnavailable, peewee.OperationalError, peewee.InterfaceError)
"""PostgreSQL is away, or asks to begin again; anything else that is raised is about the row."""

LOOK_AGAIN_AFTER = timedelta(seconds=1)


class NotYet(Exception):
    """It cannot be told yet what the row means; it is looked at again soon, and no attempt is counted."""


class Parked(Exception):
    """It cannot be handled, now or later; the sentence is kept with the row, for a person."""
