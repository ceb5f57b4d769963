"""What a tenant keeps no longer: messages with their texts, and entries of its audit, deleted by age once a day.

In small batches, each with its entry in the audit: whoever dies in between has deleted what the audit says, and the
next run goes on. A message to which something is still to happen stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from database import set_tenant, tenant_transaction, transaction
from models import Tenant
from models.tenant_settings import TenantSettings
from operations import audit
from operations.errors import NotFound
from operations.sql import changed, database_now, first, rows, try_lock, value

AT = time(3, 47, tzinfo=UTC)
"""When it runs: not on the hour, when reports are due."""

ACTOR = "system: retention"
_AT_ONCE = 500

# What waits, is under way, or is not confirmed by WhatsApp; or is still to be shown in Slack.
_SETTLED = """
    m.status <> 'queued' AND m.lease_token IS NULL AND NOT (m.status = 'sent' AND m.awaits_ack_since IS NOT NULL)
    AND NOT EXISTS (
        SELECT 1 FROM slack_posts p
        WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id AND p.posted_at IS NULL AND p.parked_at IS NULL
    )
"""


@dataclass(frozen=True)
class Keeping:
    """How long a tenant keeps what; None: for ever."""

    tenant_id: UUID
    keep_messages_days: int | None
    keep_audit_days: int | None


@dataclass(frozen=True)
class Plan:
    """What would go now, and of the old messages those that stay because something is still to happen to them."""

    keeping: Keeping
    messages: int
    oldest_message: datetime | None
    unsettled: int
    entries: int
    runs_at: datetime


@dataclass(frozen=True)
class _Old:
    settled: int
    unsettled: int
    oldest: datetime | None


def all_keeping() -> list[Keeping]:
    """The tenants that do not keep everything."""
    with transaction():
        return rows(Keeping, "SELECT * FROM retention_settings()")


def plan(tenant_id: UUID) -> Plan:
    """A dry run.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    set_tenant(tenant_id)
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    settings = TenantSettings.of(tenant.settings)
    keeping = Keeping(tenant_id, settings.keep_messages_days, settings.keep_audit_days)
    old, entries, now = None, 0, database_now()
    if keeping.keep_messages_days is not None:
        old = _old_messages(tenant_id, now - timedelta(days=keeping.keep_messages_days))
    if keeping.keep_audit_days is not None:
        before = now - timedelta(days=keeping.keep_audit_days)
        counted = "SELECT count(*) FROM audit_entries WHERE tenant_id = %s AND created_at < %s"
        entries = int(value(counted, (tenant_id, before)))
    return Plan(
        keeping,
        messages=old.settled if old is not None else 0,
        oldest_message=old.oldest if old is not None else None,
        unsettled=old.unsettled if old is not None else 0,
        entries=entries,
        runs_at=next_run(now),
    )


def next_run(now: datetime) -> datetime:
    today = datetime.combine(now.astimezone(UTC).date(), AT)
    return today if now < today else today + timedelta(days=1)


def steps(keeping: Keeping) -> Iterator[str]:
    """The kinds of rows that go, in their order."""
    if keeping.keep_messages_days is not None:
        yield from ("messages", "slack_posts", "inboxes")
    if keeping.keep_audit_days is not None:
        yield "audit_entries"


def delete_some(keeping: Keeping, step: str, *, limit: int = _AT_ONCE) -> int:
    """Delete one batch; 0 when nothing is left, or another daemon is at it."""
    days = keeping.keep_audit_days if step == "audit_entries" else keeping.keep_messages_days
    if days is None:
        return 0
    with tenant_transaction(keeping.tenant_id):
        if not try_lock(f"retention:{keeping.tenant_id}"):
            return 0
        before = database_now() - timedelta(days=days)
        gone = _DELETE[step](keeping.tenant_id, before, limit)
        if gone:
            subject = Tenant(id=keeping.tenant_id, name=_name_of(keeping.tenant_id))
            after = {"rows": step, "count": gone, "before": before.isoformat()}
            audit.record(ACTOR, "retention.delete", subject, tenant_id=keeping.tenant_id, after=after)
    return gone


def _old_messages(tenant_id: UUID, before: datetime) -> _Old | None:
    return first(
        _Old,
        f"SELECT count(*) FILTER (WHERE {_SETTLED}) AS settled, count(*) FILTER (WHERE NOT ({_SETTLED})) AS unsettled, "  # noqa: S608 - words of ours
        f"min(m.created_at) FILTER (WHERE {_SETTLED}) AS oldest FROM messages m "
        "WHERE m.tenant_id = %s AND m.created_at < %s",
        (tenant_id, before),
    )


@dataclass(frozen=True)
class _Id:
    id: UUID


def _messages(tenant_id: UUID, before: datetime, limit: int) -> int:
    """A message that somebody works on is locked, and stays for the next day."""
    old = rows(
        _Id,
        f"SELECT m.id FROM messages m WHERE m.tenant_id = %s AND m.created_at < %s AND {_SETTLED} "  # noqa: S608 - words of ours
        "ORDER BY m.created_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (tenant_id, before, limit),
    )
    return int(value("SELECT delete_messages(%s::uuid[])", ([one.id for one in old],))) if old else 0


def _posts(_tenant_id: UUID, before: datetime, limit: int) -> int:
    return int(value("SELECT delete_old_posts(%s, %s)", (before, limit)))


def _inboxes(tenant_id: UUID, before: datetime, limit: int) -> int:
    """What arrived is emptied: the key stays until the clean-up takes it, so that nothing is taken in twice."""
    return sum(
        changed(
            f"UPDATE {table} SET body = %s WHERE id = ANY (ARRAY(SELECT id FROM {table} WHERE tenant_id = %s "  # noqa: S608 - names of ours
            "AND processed_at IS NOT NULL AND created_at < %s AND body <> %s LIMIT %s))",
            (empty, tenant_id, before, empty, limit),
        )
        for table, empty in (("webhook_events", b""), ("slack_events", b'{"event": {}}'))
    )


def _entries(_tenant_id: UUID, before: datetime, limit: int) -> int:
    return int(value("SELECT prune_audit(%s, %s)", (before, limit)))


def _name_of(tenant_id: UUID) -> str:
    return str(value("SELECT name FROM tenants WHERE id = %s", (tenant_id,)) or "")


_DELETE = {"messages": _messages, "slack_posts": _posts, "inboxes": _inboxes, "audit_entries": _entries}
