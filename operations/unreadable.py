"""Rows that no key opens: said once a process, since they are looked at every few seconds."""

from __future__ import annotations

from uuid import UUID

from operations.encryption import CannotDecrypt
from settings.logs import get_logger

log = get_logger(__name__)

_said: set[UUID] = set()


def say(row: UUID, sentence: str, error: CannotDecrypt, **facts: object) -> None:
    """Write to the log that a row cannot be read, unless that was written since it could be."""
    if row not in _said:
        _said.add(row)
        log.error(sentence, reason=str(error), **facts)


def forget(row: UUID) -> None:
    """The row can be read: the next time that it cannot is news."""
    _said.discard(row)
