"""The audit as people read it: newest first, filtered, a page at a time from where the last one ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from database import set_tenant
from operations.errors import BadInput
from operations.sql import clean, first, rows, value

PAGE = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 2_000
_COLUMNS = "id, created_at, actor, action, subject_table, subject_id, subject_name, before, after, source"


@dataclass(frozen=True)
class Entry:
    """Somebody did something to a row; `before` and `after` hold what changed of it."""

    id: UUID
    created_at: datetime
    actor: str
    action: str
    subject_table: str
    subject_id: UUID | None
    subject_name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    source: str


@dataclass(frozen=True)
class Filters:
    """Which entries: those of a tenant, or without one those of the installation.

    Args:
        actor: `T1/U1`.
        action: how it begins, such as `user` or `user.role`.
        subject: an id of a row, or a part of the name that it had.
        subjects: ids of rows; None: whichever.
    """

    tenant_id: UUID | None
    actor: str = ""
    action: str = ""
    subject: str = ""
    subjects: tuple[UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "tenant_id": _text(self.tenant_id),
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "subjects": None if self.subjects is None else [str(one) for one in self.subjects],
            "since": _text(self.since),
            "until": _text(self.until),
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        subjects = kept["subjects"]
        return cls(
            tenant_id=UUID(kept["tenant_id"]) if kept["tenant_id"] else None,
            actor=kept["actor"],
            action=kept["action"],
            subject=kept["subject"],
            subjects=None if subjects is None else tuple(UUID(one) for one in subjects),
            since=_time(kept["since"]),
            until=_time(kept["until"]),
        )

    @property
    def condition(self) -> tuple[str, dict[str, Any]]:
        """As SQL, with its parameters. Row-level security shows the installation's entries to everybody: named here."""
        facts: dict[str, Any] = {
            "tenant_id = %(tenant)s": self.tenant_id,
            "actor = %(actor)s": self.actor,
            "starts_with(action, %(action)s)": self.action,
            "created_at >= %(since)s": self.since,
            "created_at <= %(until)s": self.until,
        }
        parts = [part for part, given in facts.items() if given]
        if self.tenant_id is None:
            parts.append("tenant_id IS NULL")
        if self.subjects is not None:
            parts.append("subject_id = ANY (%(subjects)s)")
        if self.subject:
            parts.append(
                "(subject_id::text = lower(%(subject)s) OR strpos(lower(subject_name), lower(%(subject)s)) > 0)"
            )
        return " AND ".join(parts), {
            "tenant": self.tenant_id,
            "actor": clean(self.actor),
            "action": clean(self.action),
            "since": self.since,
            "until": self.until,
            "subjects": list(self.subjects or ()),
            "subject": clean(self.subject),
        }


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: behind an entry (`older`), or before it."""

    older: bool
    at: datetime
    entry_id: UUID

    def __str__(self) -> str:
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        return f"{'o' if self.older else 'n'}{microseconds}-{self.entry_id.hex}"

    @classmethod
    def read(cls, typed: str) -> Self | None:
        """The cursor that a button carries; None for "", the first page.

        Raises:
            BadInput: it is none of ours.
        """
        if not typed:
            return None
        try:
            microseconds, _, entry_id = typed[1:].rpartition("-")
            at = _EPOCH + timedelta(microseconds=int(microseconds))
            return cls({"o": True, "n": False}[typed[0]], at, UUID(entry_id))
        except (KeyError, ValueError, OverflowError) as error:
            raise BadInput("This button does not say which page it shows. Ask for the audit again.") from error


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and where those before and behind them begin; None where there are none."""

    entries: list[Entry]
    newer: Cursor | None
    older: Cursor | None


def page(filters: Filters, cursor: Cursor | None = None, *, limit: int = PAGE) -> Page:
    """The newest entries, or those next to the cursor."""
    _begin(filters)
    found = _next(filters, cursor, limit + 1)
    is_more, found = len(found) > limit, found[:limit]
    goes_back = cursor is not None and not cursor.older
    if goes_back:
        found.reverse()
    has_newer, has_older = (is_more, True) if goes_back else (cursor is not None, is_more)
    return Page(
        found,
        newer=Cursor(False, found[0].created_at, found[0].id) if found and has_newer else None,
        older=Cursor(True, found[-1].created_at, found[-1].id) if found and has_older else None,
    )


def count(filters: Filters, *, most: int) -> int:
    """How many entries there are, counted up to `most`."""
    _begin(filters)
    condition, parameters = filters.condition
    counted = f"SELECT count(*) FROM (SELECT 1 FROM audit_entries WHERE {condition} LIMIT %(most)s) AS found"  # noqa: S608 - words of ours
    return int(value(counted, parameters | {"most": most}))


def all_of(filters: Filters, *, most: int) -> Iterator[Entry]:
    """Up to `most` entries, newest first, fetched some at a time."""
    _begin(filters)
    cursor: Cursor | None = None
    while most > 0 and (found := _next(filters, cursor, min(most, _AT_ONCE))):
        yield from found
        most -= len(found)
        cursor = Cursor(True, found[-1].created_at, found[-1].id)


def subjects_of(tenant_id: UUID, slack_user_id: str) -> tuple[UUID, ...]:
    """The rows of a tenant that a Slack user is or was offered to be, also when they were removed."""
    set_tenant(tenant_id)
    found = first(
        _Ids,
        "SELECT array_agg(id)::text[] AS ids FROM ("
        "SELECT user_id AS id FROM slack_identities WHERE tenant_id = %(tenant)s AND slack_user_id = %(user)s "
        "UNION SELECT id FROM invitations WHERE tenant_id = %(tenant)s AND slack_user_id = %(user)s) AS theirs",
        {"tenant": tenant_id, "user": slack_user_id},
    )
    return tuple(UUID(one) for one in (found.ids if found else None) or ())


@dataclass(frozen=True)
class _Ids:
    ids: Sequence[str] | None


def _begin(filters: Filters) -> None:
    if filters.tenant_id is not None:
        set_tenant(filters.tenant_id)


def _next(filters: Filters, cursor: Cursor | None, limit: int) -> list[Entry]:
    condition, parameters = filters.condition
    is_older = cursor is None or cursor.older
    if cursor is not None:
        condition += f" AND (created_at, id) {'<' if is_older else '>'} (%(at)s, %(entry)s)"
        parameters |= {"at": cursor.at, "entry": cursor.entry_id}
    direction = "DESC" if is_older else "ASC"
    return rows(
        Entry,
        f"SELECT {_COLUMNS} FROM audit_entries WHERE {condition} "  # noqa: S608 - words of ours
        f"ORDER BY created_at {direction}, id {direction} LIMIT %(limit)s",
        parameters | {"limit": limit},
    )


def _text(found: UUID | datetime | None) -> str | None:
    if found is None:
        return None
    return found.isoformat() if isinstance(found, datetime) else str(found)


def _time(kept: str | None) -> datetime | None:
    return datetime.fromisoformat(kept) if kept else None
