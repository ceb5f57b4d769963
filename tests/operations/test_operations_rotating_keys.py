"""Every place that holds a secret comes under the first key, whoever writes there meanwhile."""

# ruff: noqa: S608 - names of tables and columns are ours

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest

from operations import keys, rotating_keys
from operations.encryption import KeyRing, use_keys
from operations.errors import Conflict
from operations.keys import KeyFile
from operations.rotating_keys import Rotation
from operations.sealed_columns import SEALED_COLUMNS, SealedColumn
from tests.conftest import MigratedDatabase
from tests.models.catalog import Catalog, read_catalog
from tests.models.rows_of_tenants import insert, parents_first, row_id, row_of
from tests.operations.builders import World, together

OLD, NEW, LOST = os.urandom(32), os.urandom(32), os.urandom(32)
BOTH = KeyRing([NEW, OLD])
ACME = UUID("a" * 32)
AT_ONCE = timedelta(0)
# An active workspace has a token.
NEEDED = {"slack_workspaces": {"bot_token": ""}}


@pytest.fixture
def catalog(migrated_database: MigratedDatabase) -> Catalog:
    """The catalog of a database with a row in every table, committed."""
    with closing(psycopg2.connect(migrated_database.url)) as owner, owner.cursor() as writer:
        found = read_catalog(writer)
        for table in parents_first(found):
            insert(writer, table, row_of(found, table, ACME) | NEEDED.get(table, {}))
        owner.commit()
    return found


def plant(world: World, column: SealedColumn, key: bytes) -> str:
    """Put a secret into a column of the row that every table has; returns the envelope."""
    row = row_id(ACME, column.table)
    envelope = KeyRing([key]).encrypt(str(column).encode(), table=column.table, column=column.column, row=row)
    if column.path:
        # jsonb_set makes the last object on its way, and no other.
        around = json.dumps({column.path[0]: {}} if len(column.path) > 1 else {})
        value = f"coalesce(NULLIF({column.column}, '{{}}'), %s)"
        world.sql(f"UPDATE {column.table} SET {column.column} = {value} WHERE id = %s", around, row)
    world.sql(f"UPDATE {column.table} SET {column.column} = {column.write} WHERE id = %s", envelope, row)
    return envelope


def planted(world: World, column: SealedColumn) -> str:
    return str(world.value(f"SELECT {column.read} FROM {column.table} WHERE id = %s", row_id(ACME, column.table)))


def rotate(world: World, ring: KeyRing = BOTH) -> tuple[Rotation, list[str]]:
    said: list[str] = []
    use_keys(ring)
    with world.migrated.owner():
        return rotating_keys.rotate(ring, said.append, settles_within=AT_ONCE), said


def test_every_place_of_a_secret_comes_under_the_first_key(world: World, catalog: Catalog) -> None:
    for column in SEALED_COLUMNS:
        plant(world, column, OLD)

    done, said = rotate(world)

    alone = KeyRing([NEW])
    opened = {
        str(column): alone.decrypt(
            planted(world, column), table=column.table, column=column.column, row=row_id(ACME, column.table)
        ).decode()
        for column in SEALED_COLUMNS
    }
    assert opened == {str(column): str(column) for column in SEALED_COLUMNS}
    assert done.sealed_anew == len(SEALED_COLUMNS)
    assert "waha_servers.webhook_hmac_key: 1 encrypted anew" in said


def test_what_is_under_the_first_key_is_left_alone(world: World, catalog: Catalog) -> None:
    before = [plant(world, column, NEW) for column in SEALED_COLUMNS]

    done, said = rotate(world)

    assert (done.sealed_anew, said) == (0, [])
    assert [planted(world, column) for column in SEALED_COLUMNS] == before


def test_a_value_that_no_key_opens_is_named_without_it_and_the_others_are_done(world: World, catalog: Catalog) -> None:
    lost, other = SEALED_COLUMNS[0], SEALED_COLUMNS[1]
    envelope = plant(world, lost, LOST)
    plant(world, other, OLD)

    done, _ = rotate(world)

    row = row_id(ACME, lost.table)
    assert done.unopened == [f"No encryption key of the settings opens waha_servers.webhook_hmac_key of row {row}."]
    assert planted(world, lost) == envelope
    assert done.sealed_anew == 1


def test_a_key_is_retired_when_nothing_is_under_it_and_not_before(world: World, catalog: Catalog) -> None:
    old, new, lost = (KeyRing([key]).key_ids[0] for key in (OLD, NEW, LOST))
    world.sql("DELETE FROM keys_in_use")
    for key_id in (old, lost):
        world.sql("INSERT INTO keys_in_use (id, key_id) VALUES (%s, %s)", uuid4(), key_id)
    plant(world, SEALED_COLUMNS[0], OLD)
    plant(world, SEALED_COLUMNS[1], LOST)

    done, _ = rotate(world)

    assert done.retired == [old]
    needed = world.sql("SELECT key_id FROM keys_in_use WHERE retired_at IS NULL ORDER BY key_id")
    assert needed == [(key_id,) for key_id in sorted([new, lost])]


class Overtaken(KeyRing):
    """A ring that is so slow that somebody else writes the row before it is back."""

    world: World

    def decrypt(self, envelope: str, *, table: str, column: str, row: UUID) -> bytes:
        secret = super().decrypt(envelope, table=table, column=column, row=row)
        self.world.sql(f"UPDATE {table} SET {column} = %s WHERE id = %s", "written meanwhile", row)
        return secret


def test_what_somebody_wrote_meanwhile_is_not_lost(world: World, catalog: Catalog) -> None:
    column = SEALED_COLUMNS[0]
    plant(world, column, OLD)
    ring = Overtaken([NEW, OLD])
    ring.world = world

    done, _ = rotate(world, ring)

    assert world.value("SELECT webhook_hmac_key FROM waha_servers") == "written meanwhile"
    assert done.sealed_anew == 0


def test_rows_of_many_batches_are_all_done(world: World, catalog: Catalog) -> None:
    old, number = KeyRing([OLD]), 2 * rotating_keys.AT_ONCE + 1
    ids = [uuid4() for _ in range(number)]
    for one in ids:
        sealed = old.encrypt(b"{}", table="slack_events", column="body", row=one)
        world.sql(
            "INSERT INTO slack_events (id, key, kind, slack_team_id, lane, body) "
            "VALUES (%s, %s, 'command', 'T1', '', %s)",
            one,
            str(one),
            sealed.encode(),
        )

    done, _ = rotate(world)

    assert done.sealed_anew == number
    with world.migrated.owner():
        assert dict(rotating_keys.counts()) == {BOTH.key_ids[0]: number}


def test_what_runs_with_another_key_in_front_is_named(world: World) -> None:
    new = BOTH.key_ids[0]
    processes = [f"switchboard/bot/host:1/{new}", "switchboard/daemon/host:2/0123abcd", "switchboard/daemon/host:3"]
    with ExitStack() as stack:
        for name in [*processes, "switchboard/rotate-keys/host:4"]:
            stack.enter_context(closing(psycopg2.connect(world.migrated.url, application_name=name)))

        assert rotating_keys.with_another_first(new) == processes[1:]


def test_what_writes_for_too_long_is_named_and_no_key_is_taken_out_of_use(world: World, catalog: Catalog) -> None:
    said: list[str] = []
    use_keys(BOTH)
    world.sql("INSERT INTO keys_in_use (id, key_id) VALUES (%s, 'old')", uuid4())
    with closing(psycopg2.connect(world.migrated.url, application_name="the long one")) as other:
        other.cursor().execute("SELECT pg_current_xact_id()")
        with world.migrated.owner(), pytest.raises(Conflict, match="a transaction of the long one, for 0 seconds now"):
            rotating_keys.rotate(BOTH, said.append, settles_within=AT_ONCE, ends_within=AT_ONCE)

    assert world.value("SELECT retired_at IS NULL FROM keys_in_use WHERE key_id = 'old'")


def test_a_crash_while_a_key_is_put_into_the_file_leaves_one_that_all_can_go_on_with(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "postgres.key"
    keys.make_first_key(file)
    ring = KeyFile(file)
    [before] = ring.key_ids
    monkeypatch.setattr(Path, "replace", crash_at(2, Path.replace))

    with pytest.raises(Crash), world.migrated.owner():
        keys.put_new_key_in_front(file)

    in_use = {key_id for (key_id,) in world.sql("SELECT key_id FROM keys_in_use WHERE retired_at IS NULL")}
    assert ring.key_ids[0] == before
    assert in_use - {before} == set(ring.key_ids[1:])
    monkeypatch.undo()
    with world.migrated.owner():
        keys.put_new_key_in_front(file)
    assert ring.key_ids[0] not in in_use


class Crash(Exception):
    """The process ends here."""


def crash_at(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, until it is made for the `number`th time."""
    calls = count(1)

    def run(*arguments: Any) -> Any:
        if next(calls) == number:
            raise Crash
        return call(*arguments)

    return run


def test_a_second_run_at_the_same_time_is_refused_and_one_after_it_is_not(world: World) -> None:
    def run() -> bool:
        with rotating_keys.alone():
            return True

    with rotating_keys.alone(), pytest.raises(Conflict, match="by another process"):
        together(run)

    assert run()
