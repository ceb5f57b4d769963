"""When each WAHA server was last heard: what tells webhooks that do not arrive from an account that is quiet."""

from __future__ import annotations

from collections.abc import Collection

from database import transaction
from operations.sql import changed

# Each server's time is written no oftener, however many webhooks it posts.
EVERY_SECONDS = 10.0


def note(servers: Collection[str]) -> int:
    """Webhooks of these servers arrived just now; how many rows were written."""
    with transaction():
        return changed(
            "UPDATE waha_servers SET last_webhook_at = clock_timestamp() "
            "WHERE name = ANY (%s) AND coalesce(last_webhook_at < clock_timestamp() - %s * interval '1 second', true)",
            (sorted(servers), EVERY_SECONDS),
        )
