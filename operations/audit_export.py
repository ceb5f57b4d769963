"""The audit as a file: CSV for a spreadsheet, JSON lines for a program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from operations.audit_pages import Entry, Filters, all_of

KIND: Final = "audit"
MOST = 50_000
"""What is older than so many entries is left out: the file is held in memory while it is sent."""

_COLUMNS = ("time", "actor", "action", "subject_table", "subject_id", "subject_name", "before", "after", "source", "id")
# What a spreadsheet takes for a formula.
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


def promised(filters: Filters, form: Format) -> dict[str, Any]:
    """What the post says of the file; `until` is to be set, so that it is the same whenever it is made."""
    return {"kind": KIND, "format": form.value, "filters": filters.as_json()}


def content(promise: Mapping[str, Any], tenant_id: UUID) -> bytes:
    """The file, in the tenant's transaction."""
    entries = all_of(replace(Filters.of(promise["filters"]), tenant_id=tenant_id), most=MOST)
    return as_csv(entries) if promise["format"] == Format.CSV else as_json_lines(entries)


def as_csv(entries: Iterable[Entry]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for entry in entries:
        row = _row(entry)
        writer.writerow([_cell(row[column]) for column in _COLUMNS])
    return text.getvalue().encode()


def as_json_lines(entries: Iterable[Entry]) -> bytes:
    lines = b"".join(json.dumps(_row(entry), ensure_ascii=False).encode() + b"\n" for entry in entries)
    return lines or b"\n"  # Slack takes no empty file


def _row(entry: Entry) -> dict[str, Any]:
    row = asdict(entry)
    row["time"] = row.pop("created_at").astimezone(UTC).isoformat().replace("+00:00", "Z")
    row["id"] = str(entry.id)
    row["subject_id"] = str(entry.subject_id) if entry.subject_id is not None else None
    return {column: row[column] for column in _COLUMNS}


def _cell(found: Any) -> str:
    if found is None:
        return ""
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text
