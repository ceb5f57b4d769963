"""All that is kept about one customer, as one file that a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from database import database
from operations import private_fields
from operations.customers import Known, grown, messages_of
from operations.sql import database_now

KIND: Final = "contact"
MOST = 50_000
"""More messages than this are left out, and the file says so: it is held in memory while it is sent."""

_CONTACT = "id, name, msisdn, lid, metadata, created_at, updated_at, deleted_at"
_CONVERSATION = (
    "id, session_id, title, state, slack_team_id, slack_channel_id, slack_thread_ts, last_inbound_at, created_at, "
    "deleted_at"
)
_MESSAGE = (
    "id, conversation_id, created_at, direction, from_msisdn, to_msisdn, chat_id, message_type, body, status, sent_at, "
    "delivered_at, read_at, error_message, media_url, waha_message_id, metadata, raw_payload"
)
_POST = "created_at, posted_at, slack_channel_id, payload->>'text' AS text"
_ENTRY = "created_at, actor, action, subject_table, subject_id, before, after, source"

Row = dict[str, Any]


def promised(known: Known) -> dict[str, Any]:
    """What the post says of the file: by rows, so that no number stands in it, unless there is none but of groups."""
    return {
        "kind": KIND,
        "contacts": [str(one) for one in known.contacts],
        "conversations": [str(one) for one in known.conversations],
        "chat_ids": [] if known.contacts or known.conversations else list(known.chat_ids),
    }


def content(promise: Mapping[str, Any], tenant_id: UUID) -> bytes:
    """The file, in the tenant's transaction; of what was erased meanwhile it holds nothing."""
    contacts, conversations = (tuple(UUID(one) for one in promise[key]) for key in ("contacts", "conversations"))
    known = grown(tenant_id, Known(contacts, conversations, tuple(promise["chat_ids"])))
    return (json.dumps(_gathered(tenant_id, known), ensure_ascii=False, indent=2, default=_text) + "\n").encode()


def _gathered(tenant_id: UUID, known: Known) -> Row:
    messages = _messages(tenant_id, known)
    own = set(known.conversations)
    ids = [*known.contacts, *known.conversations, *(one["id"] for one in messages)]
    return {
        "made_at": database_now(),
        "chat_ids": list(known.chat_ids),
        "contacts": [
            _opened(one, "contacts", "metadata") for one in _rows_of("contacts", _CONTACT, tenant_id, known.contacts)
        ],
        "conversations": [
            conversation | {"messages": [one for one in messages if one["conversation_id"] == conversation["id"]]}
            for conversation in _rows_of("conversations", _CONVERSATION, tenant_id, known.conversations)
        ],
        "messages_in_groups": [one for one in messages if one["conversation_id"] not in own],
        "left_out": f"messages beyond the first {MOST:,}" if len(messages) == MOST else None,
        "said_in_slack": _select(
            f"SELECT {_POST} FROM slack_posts WHERE tenant_id = %s AND conversation_id = ANY (%s) "  # noqa: S608 - words of ours
            "AND message_id IS NULL AND kind = 'post' ORDER BY created_at, id",
            (tenant_id, list(known.conversations)),
        ),
        "audit": _select(
            f"SELECT {_ENTRY} FROM audit_entries WHERE tenant_id = %s AND subject_id = ANY (%s) "  # noqa: S608 - words of ours
            "ORDER BY created_at, id",
            (tenant_id, ids),
        ),
    }


def _messages(tenant_id: UUID, known: Known) -> list[Row]:
    statement, parameters = messages_of(tenant_id, known, _MESSAGE)
    found = _select(f"{statement} ORDER BY created_at, id LIMIT {MOST}", parameters)
    return [_opened(one, "messages", "raw_payload") for one in found]


def _rows_of(table: str, columns: str, tenant_id: UUID, ids: tuple[UUID, ...]) -> list[Row]:
    return _select(
        f"SELECT {columns} FROM {table} WHERE tenant_id = %s AND id = ANY (%s) ORDER BY created_at, id",  # noqa: S608 - words of ours
        (tenant_id, list(ids)),
    )


def _opened(row: Row, table: str, column: str) -> Row:
    return row | {column: private_fields.opened(row[column], table=table, column=column, row=row["id"])}


def _select(statement: str, parameters: Any) -> list[Row]:
    cursor = database.execute_sql(statement, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _text(found: Any) -> str:
    if isinstance(found, datetime):
        return found.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(found)
