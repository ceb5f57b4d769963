"""Keys are changed while everything runs, the change is killed in the middle, and nothing becomes unreadable."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import pytest_asyncio
from psycopg2.extras import execute_values

from operations.encryption import KeyRing
from operations.keys import KeyFile
from sandbox.processes import Process
from sandbox.stage import Stage
from tests.acceptance.acting import Query, Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD, NEW, LOST = os.urandom(32), os.urandom(32), os.urandom(32)
OLD_ID, NEW_ID, LOST_ID = (KeyRing([key]).key_ids[0] for key in (OLD, NEW, LOST))
ROWS = 20_000
BY_KEY = (
    "SELECT split_part(convert_from(body, 'UTF8'), '.', 2) AS key_id, count(*) FROM slack_events "
    "WHERE key LIKE 'planted:%' GROUP BY 1 ORDER BY 2"
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, database_url: str, rows: Query) -> AsyncIterator[Scene]:
    async with Stage(tmp_path_factory.mktemp("keys"), database_url=database_url) as stage:
        use_keys(stage, OLD)
        await stage.start()
        yield Scene(stage, rows)


def use_keys(stage: Stage, *keys: bytes) -> None:
    config = stage.directory / "config.toml"
    line = f"encryption_keys = {json.dumps([base64.b64encode(key).decode() for key in keys])}"
    lines = [line if one.startswith("encryption_keys") else one for one in config.read_text().splitlines()]
    config.write_text("\n".join(lines) + "\n")


async def start_again(scene: Scene, *keys: bytes) -> None:
    for process in (scene.stage.bot, scene.stage.daemon):
        await process.stop()
    use_keys(scene.stage, *keys)
    await scene.stage.start()


def rotation(stage: Stage, name: str) -> Process:
    environment = {"PATH": os.defpath, "SWITCHBOARD_CONFIG": str(stage.directory / "config.toml")}
    arguments = ("-m", "operations", "rotate-keys")
    return Process("operations", environment, stage.directory / f"{name}.log", arguments=arguments)


async def rotated(stage: Stage, name: str) -> tuple[int, str]:
    process = rotation(stage, name)
    await process.start()
    async with asyncio.timeout(60):
        return await process.ended(), process.last_words(100)


def plant_values(database_url: str) -> None:
    """What a large installation has: more than is encrypted anew in an instant."""
    ring = KeyRing([OLD])
    ids = [uuid.uuid4() for _ in range(ROWS)]
    rows = [
        (
            str(one),
            f"planted:{one}",
            ring.encrypt(b"{}", table="slack_events", column="body", row=one).encode(),
        )
        for one in ids
    ]
    with closing(psycopg2.connect(database_url)) as owner, owner.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO slack_events (id, key, body, kind, slack_team_id, lane, processed_at, answered_at) VALUES %s",
            rows,
            template="(%s, %s, %s, 'command', 'T1', '', now(), now())",
            page_size=1000,
        )
        owner.commit()


async def test_a_change_that_is_killed_is_taken_up_again_while_everything_runs(scene: Scene, database_url: str) -> None:
    stage = scene.stage
    acme = await scene.found("Acme", "ana", "support", "+4930901820")
    carla = stage.whatsapp.phone("+4915123456789", name="Carla")
    plant_values(database_url)
    await start_again(scene, NEW, OLD)

    killed = rotation(stage, "killed")
    await killed.start()
    await stage.until(lambda: len(scene.rows(BY_KEY)) == 2, "the first values under the new key")
    await killed.kill()
    in_the_middle = {str(key_id): int(number) for key_id, number in scene.rows(BY_KEY)}
    root = await scene.written(acme, carla, "In the middle of it.")
    scene.reply(acme, root, "Nobody notices.")
    await scene.arrives_once(acme, carla, "Nobody notices.")
    code, said = await rotated(stage, "taken-up")

    assert set(in_the_middle) == {OLD_ID, NEW_ID}
    assert code == 0, said
    assert scene.rows(BY_KEY) == [(NEW_ID, ROWS)]
    assert f"0 values under key {OLD_ID}: it can be taken out of security.encryption_keys." in said
    print(f"killed with {in_the_middle[NEW_ID]:,} of {ROWS:,} values under the new key; then: {said.splitlines()[-3:]}")  # noqa: T201 - shown with -s
    await start_again(scene, NEW)
    await scene.written(acme, carla, "And after it.")
    await scene.ask("ana", f"session show {acme.session}", expect="working")


async def test_a_key_that_the_running_processes_lack_is_not_used(scene: Scene) -> None:
    use_keys(scene.stage, LOST, NEW)

    code, said = await rotated(scene.stage, "too-early")

    assert code == 1
    assert "Start it again with these settings" in said
    assert "switchboard/bot/" in said
    assert "switchboard/daemon/" in said
    assert scene.rows(f"SELECT count(*) FROM keys_in_use WHERE key_id = '{LOST_ID}'") == [(0,)]  # noqa: S608
    use_keys(scene.stage, NEW)


async def test_a_value_that_no_key_opens_is_named_by_its_place(scene: Scene) -> None:
    [(row, before)] = scene.rows("SELECT id, body FROM slack_events WHERE key LIKE 'planted:%' LIMIT 1")
    sealed = KeyRing([LOST]).encrypt(b"{}", table="slack_events", column="body", row=row)
    scene.rows(f"UPDATE slack_events SET body = '{sealed}' WHERE id = '{row}'")  # noqa: S608

    code, said = await rotated(scene.stage, "unopened")

    assert code == 1
    assert f"No encryption key of the settings opens slack_events.body of row {row}." in said
    assert sealed not in said
    scene.rows(f"UPDATE slack_events SET body = '\\x{bytes(before).hex()}' WHERE id = '{row}'")  # noqa: S608


@pytest.mark.parametrize("room", ["bot", "daemon"])
async def test_neither_starts_without_a_key_that_is_needed(room: str, scene: Scene) -> None:
    process = scene.stage.bot if room == "bot" else scene.stage.daemon
    await process.stop()
    use_keys(scene.stage, LOST)

    await process.start()
    code = await process.ended()

    words = process.last_words()
    assert code == 78, words
    assert f"security.encryption_keys lacks a key that was used: {NEW_ID}" in words
    assert "Traceback" not in words
    use_keys(scene.stage, NEW)
    scene.rows(f"DELETE FROM keys_in_use WHERE key_id = '{LOST_ID}'")  # noqa: S608
    await process.start()


async def test_the_file_beside_the_embedded_data_gets_a_new_key_in_front(tmp_path: Path) -> None:
    async with Stage(tmp_path / "stage") as stage:
        use_keys(stage)
        await stage.start()
        file = stage.directory / "postgres.key"
        before = KeyFile(file).key_ids
        scene = Scene(stage, lambda _: [])
        await scene.ask("olga", "tenant create Acme", channel="general", expect="Acme")

        code, said = await rotated(stage, "rotated")

        assert code == 0, said
        after = KeyFile(file).key_ids
        assert after[1:] == before
        assert file.stat().st_mode & 0o777 == 0o600
        assert f"0 values under key {before[0]}: it can be taken out of {file}." in said
        file.write_text(file.read_text().splitlines()[0] + "\n")
        await scene.ask("olga", "tenant list", channel="general", expect="Acme")
        for process in (stage.bot, stage.daemon):
            await process.stop()
        await stage.start()
        await scene.ask("olga", "tenant show Acme", channel="general", expect="Acme")
