"""Deletes rows that are done with: what arrived, what was posted, what was asked and seen, after some time."""

from __future__ import annotations

from datetime import timedelta

from database import transaction
from operations.sql import database_now, value

# Not the audit, whose keeping is each tenant's own matter.
TABLES = (
    *("webhook_events", "slack_events", "slack_posts", "waha_actions", "session_checks", "incidents"),
    *("page_links", "logins"),
)
# Small enough to end well within the statement time-out, whatever has gathered.
_AT_ONCE = 2_000


def clean_up(table: str, keep: timedelta) -> int:
    """Delete some of the rows of `table` that are done with and older than `keep`; 0 when none is left."""
    with transaction():
        return int(value("SELECT prune(%s, %s, %s)", (table, database_now() - keep, _AT_ONCE)))
