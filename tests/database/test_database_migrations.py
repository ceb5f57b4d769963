from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import CliRunner

from database import MigrationRefused, migrations
from database.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
FIRST = '''
UP = """
CREATE TABLE fruits (name text CHECK (name LIKE 'a%'));
CREATE FUNCTION grow() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 100 % 7; END $$;
INSERT INTO fruits VALUES ('apple');
"""
DOWN = "DROP FUNCTION grow(); DROP TABLE fruits;"
'''
SECOND = """
UP = "ALTER TABLE fruits ADD COLUMN colour text; DO $$ BEGIN RAISE NOTICE 'colours are empty'; END $$"
DOWN = "ALTER TABLE fruits DROP COLUMN colour"
"""
BROKEN = """
UP = "CREATE TABLE left_behind (); SELECT no_such_function()"
DOWN = "SELECT 1"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "001_fruits.py").write_text(FIRST)
    (tmp_path / "002_colours.py").write_text(SECOND)
    return tmp_path


def ask(url: str, sql: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        return row[0] if row else None


def exists(url: str, table: str) -> bool:
    return ask(url, f"SELECT to_regclass('{table}') IS NOT NULL") is True


def test_migrations_run_once_in_their_order(empty_url: str, directory: Path) -> None:
    assert migrations.pending(empty_url, directory) == ["001_fruits", "002_colours"]

    assert migrations.migrate(empty_url, directory) == ["001_fruits", "002_colours"]

    assert migrations.migrate(empty_url, directory) == []
    assert ask(empty_url, "SELECT grow()") == 2
    assert ask(empty_url, "SELECT count(*) FROM fruits WHERE colour IS NULL") == 1


def test_what_a_migration_says_is_passed_on(empty_url: str, directory: Path) -> None:
    lines: list[str] = []

    migrations.migrate(empty_url, directory, say=lines.append)

    assert any("colours are empty" in line for line in lines)
    assert any(line.startswith("002_colours applied in") for line in lines)


def test_rollbacks_go_back_one_at_a_time(empty_url: str, directory: Path) -> None:
    migrations.migrate(empty_url, directory)

    taken_back = [migrations.rollback(empty_url, directory) for _ in range(3)]

    assert taken_back == ["002_colours", "001_fruits", None]
    assert not exists(empty_url, "fruits")


def test_a_migration_can_be_run_after_its_rollback(empty_url: str, directory: Path) -> None:
    migrations.migrate(empty_url, directory)
    migrations.rollback(empty_url, directory)

    assert migrations.migrate(empty_url, directory) == ["002_colours"]


def test_a_migration_that_fails_leaves_nothing_behind_and_keeps_those_before(empty_url: str, directory: Path) -> None:
    (directory / "003_broken.py").write_text(BROKEN)

    with pytest.raises(psycopg2.Error, match="no_such_function"):
        migrations.migrate(empty_url, directory)

    assert not exists(empty_url, "left_behind")
    assert exists(empty_url, "fruits")
    assert migrations.pending(empty_url, directory) == ["003_broken"]


def test_processes_that_migrate_at_once_take_turns(empty_url: str, directory: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: migrations.migrate(empty_url, directory), range(4)))

    assert sorted(map(len, done)) == [0, 0, 0, 2]


def test_a_database_ahead_of_the_code_is_left_alone(empty_url: str, directory: Path) -> None:
    migrations.migrate(empty_url, directory)
    (directory / "002_colours.py").unlink()

    for act in (migrations.migrate, migrations.rollback):
        with pytest.raises(MigrationRefused, match="ahead of this code, which does not know 002_colours"):
            act(empty_url, directory)


def test_a_migration_edited_after_it_ran_is_refused(empty_url: str, directory: Path) -> None:
    migrations.migrate(empty_url, directory)
    (directory / "001_fruits.py").write_text(FIRST + "\n# a second thought\n")

    with pytest.raises(MigrationRefused, match="Edited after it ran: 001_fruits"):
        migrations.migrate(empty_url, directory)


def test_a_migration_without_a_way_back_is_refused(empty_url: str, directory: Path) -> None:
    (directory / "003_one_way.py").write_text('UP = "SELECT 1"')

    with pytest.raises(MigrationRefused, match="003_one_way needs two strings"):
        migrations.migrate(empty_url, directory)


def test_the_repositorys_own_migrations_go_up_down_and_up_again(empty_url: str) -> None:
    names = migrations.migrate(empty_url)

    for name in reversed(names):
        assert migrations.rollback(empty_url) == name

    assert migrations.migrate(empty_url) == names


def test_the_command_prints_a_line_for_each_migration(empty_url: str) -> None:
    names = migrations.pending(empty_url)

    up = CliRunner().invoke(main, ["migrate", "--url", empty_url])
    again = CliRunner().invoke(main, ["migrate", "--url", empty_url])
    down = CliRunner().invoke(main, ["rollback", "--url", empty_url])

    applied = [line.split(" applied in ")[0] for line in up.output.splitlines() if " applied in " in line]
    assert applied == names
    assert again.output == "Nothing to migrate, the database is up to date\n"
    assert down.output.splitlines()[-1] == (f"{names[-1]} rolled back" if names else "Nothing to roll back")


def test_the_command_ends_with_a_sentence_when_there_is_no_postgresql() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "database", "migrate", "--url", "postgresql://nobody@127.0.0.1:1/nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr.startswith("Error: PostgreSQL says:")
    assert "Traceback" not in result.stderr
