"""Every secret under the first key: in small transactions, while bot and daemons run, and again after a crash.

It works as the owner of the tables, across tenants. An envelope is replaced where it still is the one that was opened,
so that nothing that somebody writes meanwhile is lost.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from database import connection, transaction
from models.tenant_settings import ENCRYPTABLE
from operations.encryption import VERSION, CannotDecrypt, KeyRing
from operations.envelopes import ENVELOPE, sealed_json
from operations.errors import Conflict
from operations.keys import put_in_use
from operations.sealed_columns import SEALED_COLUMNS, SealedColumn
from operations.sql import changed, first, rows, value

AT_ONCE = 200
# Between the sealing of a value and its statement: what a process does without waiting for anybody.
SETTLES_WITHIN = timedelta(seconds=2)
# Ours are over long before.
ENDS_WITHIN = timedelta(minutes=5)
_FIRST = UUID(int=0)
_LOOK_EVERY_SECONDS = 0.05

Say = Callable[[str], None]


@dataclass
class Rotation:
    """What a run did.

    Args:
        sealed_anew: values that were under another key.
        sealed_first: values that were plain, and that their tenant wants encrypted.
        unopened: a sentence for each value that no key opens.
        retired: ids of keys under which nothing is encrypted any more.
    """

    sealed_anew: int = 0
    sealed_first: int = 0
    unopened: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Envelope:
    id: UUID
    envelope: str


@dataclass(frozen=True)
class _Plain:
    id: UUID
    tenant_id: UUID
    found: Any


@dataclass(frozen=True)
class _Count:
    key_id: str
    number: int


@dataclass(frozen=True)
class _Process:
    name: str


@dataclass(frozen=True)
class _Transaction:
    process: str
    seconds: int


@contextmanager
def alone() -> Iterator[None]:
    """Keep a second run away, also one on another machine.

    Raises:
        Conflict: one is at work.
    """
    with connection():
        if not value("SELECT pg_try_advisory_lock(hashtextextended('rotate keys', 2))"):
            raise Conflict("Keys are being rotated already, by another process.")
        try:
            yield
        finally:
            value("SELECT pg_advisory_unlock(hashtextextended('rotate keys', 2))")


def rotate(
    ring: KeyRing, say: Say, *, settles_within: timedelta = SETTLES_WITHIN, ends_within: timedelta = ENDS_WITHIN
) -> Rotation:
    """Encrypt under the first key what is under another, and what a tenant wants encrypted and is not.

    Call it with others kept away (`alone`), as the owner of the tables; `ring` is what this process encrypts with.

    Raises:
        Conflict: a transaction that may have written under another key did not end within `ends_within`.
    """
    done = Rotation()
    with transaction():
        put_in_use(ring.key_ids[0])
    for column in SEALED_COLUMNS:
        _rotate_column(column, ring, done, say)
    for name in ENCRYPTABLE:
        _seal_field(name, done, say)
    # What was under way under the old key when the new one came is committed by then.
    _wait_for_transactions(settles_within, ends_within, say)
    for column in SEALED_COLUMNS:
        _rotate_column(column, ring, done, say)
    done.retired = _retire(ring)
    return done


def counts() -> Counter[str]:
    """How many values are encrypted under which key."""
    found: Counter[str] = Counter()
    for column in SEALED_COLUMNS:
        with transaction():
            counted = rows(
                _Count,
                f"SELECT split_part({column.read}, '.', 2) AS key_id, count(*) AS number FROM {column.table} "  # noqa: S608 - names of ours
                f"WHERE {column.read} IS NOT NULL GROUP BY 1",
            )
        found.update({one.key_id: one.number for one in counted})
    return found


def with_another_first(key_id: str) -> list[str]:
    """The bots and daemons that run and were started with another key in front, as PostgreSQL's list calls them."""
    with transaction():
        running = rows(
            _Process,
            "SELECT DISTINCT application_name AS name FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name ~ '^switchboard/(bot|daemon)/' ORDER BY 1",
        )
    return [one.name for one in running if not one.name.endswith(f"/{key_id}")]


def _rotate_column(column: SealedColumn, ring: KeyRing, done: Rotation, say: Say) -> None:
    before, after = done.sealed_anew, _FIRST
    while batch := _under_other_keys(column, ring, after):
        with transaction():
            done.sealed_anew += sum(_replace(column, one, ring, done) for one in batch)
        after = batch[-1].id
    if done.sealed_anew > before:
        say(f"{column}: {done.sealed_anew - before} encrypted anew")


def _under_other_keys(column: SealedColumn, ring: KeyRing, after: UUID) -> list[_Envelope]:
    with transaction():
        return rows(
            _Envelope,
            f"SELECT id, {column.read} AS envelope FROM {column.table} "  # noqa: S608 - names of ours
            f"WHERE id > %s AND split_part({column.read}, '.', 2) <> %s ORDER BY id LIMIT %s",
            (after, ring.key_ids[0], AT_ONCE),
        )


def _replace(column: SealedColumn, one: _Envelope, ring: KeyRing, done: Rotation) -> int:
    try:
        secret = ring.decrypt(one.envelope, table=column.table, column=column.column, row=one.id)
    except CannotDecrypt as error:
        if str(error) not in done.unopened:
            done.unopened.append(str(error))
        return 0
    anew = ring.encrypt(secret, table=column.table, column=column.column, row=one.id)
    return changed(
        f"UPDATE {column.table} SET {column.column} = {column.write} WHERE id = %s AND {column.read} = %s",  # noqa: S608 - names of ours
        (anew, one.id, one.envelope),
    )


def _seal_field(name: str, done: Rotation, say: Say) -> None:
    """Encrypt what was written before its tenant wanted it so."""
    before, after = done.sealed_first, _FIRST
    while batch := _plain(name, after):
        with transaction():
            done.sealed_first += sum(_seal(name, one) for one in batch)
        after = batch[-1].id
    if done.sealed_first > before:
        say(f"{name}: {done.sealed_first - before} encrypted for the first time")


def _plain(name: str, after: UUID) -> list[_Plain]:
    table, _, column = name.partition(".")
    with transaction():
        return rows(
            _Plain,
            f"SELECT o.id, o.tenant_id, o.{column} AS found FROM {table} o JOIN tenants t ON t.id = o.tenant_id "  # noqa: S608 - names of ours
            f"WHERE t.settings -> 'encrypted_fields' ? %s AND o.id > %s AND o.{column} <> '{{}}' "
            f"AND NOT starts_with(coalesce(o.{column} ->> '{ENVELOPE}', ''), '{VERSION}') ORDER BY o.id LIMIT %s",
            (name, after, AT_ONCE),
        )


def _seal(name: str, one: _Plain) -> int:
    table, _, column = name.partition(".")
    sealed = sealed_json(one.found, table=table, column=column, row=one.id)
    return changed(
        f"UPDATE {table} SET {column} = %s WHERE id = %s AND {column} = %s",  # noqa: S608 - names of ours
        (json.dumps(sealed), one.id, json.dumps(one.found)),
    )


def _wait_for_transactions(settles_within: timedelta, ends_within: timedelta, say: Say) -> None:
    """Until everything that writes now has ended, and what was sealed and not written yet besides."""
    time.sleep(settles_within.total_seconds())
    begun = value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    give_up_at = time.monotonic() + ends_within.total_seconds()
    said = ""
    while value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") < begun:
        if time.monotonic() > give_up_at:
            raise Conflict(
                f"No key is taken out of use: what was begun before has not ended yet{_oldest_writer()}. "
                "Run this again when it has."
            )
        if not said:
            said = f"Waiting for the end of what was begun before{_oldest_writer()}."
            say(said)
        time.sleep(_LOOK_EVERY_SECONDS)


def _oldest_writer() -> str:
    """Nothing where PostgreSQL's list has none: a prepared transaction belongs to no process."""
    found = first(
        _Transaction,
        "SELECT coalesce(NULLIF(application_name, ''), 'process ' || pid) AS process, "
        "extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds "
        "FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY age(backend_xid) DESC LIMIT 1",
    )
    return f", a transaction of {found.process}, for {found.seconds} seconds now" if found is not None else ""


def _retire(ring: KeyRing) -> list[str]:
    needed = [ring.key_ids[0], *counts()]
    with transaction():
        return [
            str(one.key_id)
            for one in rows(
                _Retired,
                "UPDATE keys_in_use SET retired_at = clock_timestamp() "
                "WHERE retired_at IS NULL AND key_id <> ALL (%s) RETURNING key_id",
                (needed,),
            )
        ]


@dataclass(frozen=True)
class _Retired:
    key_id: str
