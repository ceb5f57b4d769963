"""Whole values in envelopes: a JSON value stands as `{"enc": "v1.…"}`, bytes as the envelope itself.

What is read may still be plain: it was written before its column was encrypted, or needs no envelope.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from operations.encryption import VERSION, keys, seal, unseal

ENVELOPE = "enc"


def sealed_json(value: Any, *, table: str, column: str, row: UUID) -> dict[str, str]:
    return {ENVELOPE: seal(json.dumps(value), table=table, column=column, row=row)}


def opened_json(kept: Any, *, table: str, column: str, row: UUID) -> Any:
    """A JSON value as it was before it was sealed.

    Raises:
        CannotDecrypt: none of the keys opens it.
    """
    if not is_sealed(kept):
        return kept
    return json.loads(unseal(kept[ENVELOPE], table=table, column=column, row=row))


def is_sealed(kept: Any) -> bool:
    return isinstance(kept, dict) and kept.keys() == {ENVELOPE} and str(kept[ENVELOPE]).startswith(VERSION)


def sealed_body(raw: bytes, *, table: str, row: UUID) -> bytes:
    """What arrived, for the column `body` of an inbox."""
    return keys().encrypt(raw, table=table, column="body", row=row).encode()


def opened_body(kept: bytes | memoryview, *, table: str, row: UUID) -> bytes:
    """What arrived, as it arrived. JSON never begins as an envelope does.

    Raises:
        CannotDecrypt: none of the keys opens it.
    """
    raw = bytes(kept)
    if not raw.startswith(VERSION.encode()):
        return raw
    return keys().decrypt(raw.decode(), table=table, column="body", row=row)
