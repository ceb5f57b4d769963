"""What was observed of sessions and servers in the time of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from operations.report_facts import Period
from operations.sql import rows
from operations.uptime import Change, Window


@dataclass(frozen=True)
class _Check:
    session_id: UUID
    observed_at: datetime
    status: str


# What was observed in this time, and what was so when it began.
_CHECKS = """
    SELECT session_id, observed_at, status FROM session_checks
    WHERE tenant_id = %(tenant)s AND observed_at > %(since)s AND observed_at <= %(until)s
    UNION ALL
    SELECT c.session_id, c.observed_at, c.status FROM waha_sessions s CROSS JOIN LATERAL (
        SELECT session_id, observed_at, status FROM session_checks
        WHERE tenant_id = %(tenant)s AND session_id = s.id AND observed_at <= %(since)s
        ORDER BY observed_at DESC LIMIT 1
    ) c
    WHERE s.tenant_id = %(tenant)s AND s.deleted_at IS NULL
    ORDER BY observed_at
"""


def changes(tenant_id: UUID, period: Period) -> dict[UUID, list[Change]]:
    """By session, each status with the time from which it was so."""
    found: dict[UUID, list[Change]] = defaultdict(list)
    for one in rows(_Check, _CHECKS, {"tenant": tenant_id, "since": period.since, "until": period.until}):
        found[one.session_id].append((one.observed_at, one.status))
    return found


@dataclass(frozen=True)
class _Away:
    server: str
    begin: datetime
    end: datetime


# As incidents remember it; what has just begun may not be one yet, or is told to other tenants.
_AWAY = """
    SELECT server, began_at AS begin, coalesce(ended_at, %(until)s) AS end FROM incidents
    WHERE (tenant_id = %(tenant)s OR tenant_id IS NULL) AND session_id IS NULL AND server = ANY (%(servers)s)
        AND kind IN ('server_away', 'key_refused') AND coalesce(ended_at >= %(since)s, true)
    UNION ALL
    SELECT name, state_changed_at, %(until)s FROM waha_servers
    WHERE name = ANY (%(servers)s) AND state IN ('down', 'key_refused') AND state_changed_at IS NOT NULL
"""


def away(tenant_id: UUID, servers: Collection[str], period: Period) -> dict[str, list[Window]]:
    """By server, when it did not answer, or refused our key."""
    found: dict[str, list[Window]] = defaultdict(list)
    parameters = {"tenant": tenant_id, "servers": list(servers), "since": period.since, "until": period.until}
    for one in rows(_Away, _AWAY, parameters):
        found[one.server].append((one.begin, one.end))
    return found
