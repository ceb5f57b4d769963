from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from database import EmbeddedPostgresFailed, cluster, privileges
from database.binaries import find_binaries
from database.cluster import Cluster
from database.embedded import EmbeddedPostgres
from database.privileges import Identity

ROOT = Path(__file__).resolve().parents[2]
# Attaches, says so, and holds on until it is killed or its input ends.
USER = """
import sys; from pathlib import Path; from database.embedded import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
postgres.attach()
print("attached", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, since a socket's path is; open to others, since root may have to become nobody."""
    with tempfile.TemporaryDirectory(prefix="switchboard-tests-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def embedded(directory: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(directory / "postgres", durable=False)
    yield embedded
    embedded.release()
    assert embedded.wait_until_stopped()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.02)


def ask(url: str, sql: str) -> tuple[object, ...]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() or ()
    finally:
        connection.close()


def answers(embedded: EmbeddedPostgres) -> bool:
    return embedded._answers()


def server_pid(embedded: EmbeddedPostgres) -> int:
    return int((embedded.cluster.data_dir / "postmaster.pid").read_text().splitlines()[0])


def keeper_pid(embedded: EmbeddedPostgres) -> int:
    """PostgreSQL's parent."""
    return int(Path(f"/proc/{server_pid(embedded)}/stat").read_text().rpartition(")")[2].split()[1])


def start_user(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait_until_attached(user: subprocess.Popen[str]) -> None:
    assert user.stdout
    assert any(line.strip() == "attached" for line in user.stdout)


def kill(user: subprocess.Popen[str]) -> None:
    user.kill()
    user.communicate()


def test_the_url_leads_to_a_plain_role_that_owns_its_database(embedded: EmbeddedPostgres) -> None:
    url = embedded.attach()

    row = ask(
        url,
        "SELECT current_user::text, rolsuper, rolcreaterole, pg_get_userbyid(datdba)::text,"
        " current_setting('listen_addresses')"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()",
    )

    assert row == ("switchboard", False, True, "switchboard", "")


def test_five_processes_that_start_at_once_share_one_postgresql(directory: Path) -> None:
    users = [start_user(directory / "postgres") for _ in range(5)]

    for user in users:
        wait_until_attached(user)

    keepers = (directory / "postgres.log").read_text().count("keeper: started PostgreSQL")
    for user in users:
        kill(user)
    assert keepers == 1
    assert EmbeddedPostgres(directory / "postgres").wait_until_stopped()


def test_postgresql_outlives_a_killed_user_and_stops_after_the_last(directory: Path) -> None:
    first, second = start_user(directory / "postgres"), start_user(directory / "postgres")
    wait_until_attached(first)
    wait_until_attached(second)
    looking = EmbeddedPostgres(directory / "postgres")

    kill(first)
    survived = answers(looking)
    kill(second)

    assert survived
    assert looking.wait_until_stopped()
    assert not answers(looking)


def test_what_was_written_is_there_after_a_stop(embedded: EmbeddedPostgres) -> None:
    url = embedded.attach()
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 7 AS number")
    connection.close()
    embedded.release()
    assert embedded.wait_until_stopped()

    embedded.attach()

    assert ask(url, "SELECT number FROM kept") == (7,)


def test_a_killed_keeper_takes_postgresql_with_it_and_is_replaced(embedded: EmbeddedPostgres) -> None:
    embedded.attach()
    killed, old_server = keeper_pid(embedded), server_pid(embedded)

    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not embedded._is_kept())
    embedded.ensure()

    wait_until(lambda: answers(embedded) and server_pid(embedded) != old_server)
    assert keeper_pid(embedded) != killed


def test_a_killed_postgresql_is_started_again(embedded: EmbeddedPostgres) -> None:
    embedded.attach()
    old_server = server_pid(embedded)

    os.kill(old_server, signal.SIGKILL)

    wait_until(lambda: answers(embedded) and server_pid(embedded) != old_server)


def test_a_directory_of_another_version_is_refused_in_a_sentence(embedded: EmbeddedPostgres) -> None:
    embedded.cluster.data_dir.mkdir()
    (embedded.cluster.data_dir / "PG_VERSION").write_text("9\n")

    with pytest.raises(EmbeddedPostgresFailed, match="was made by PostgreSQL 9 and PostgreSQL 18 is installed"):
        embedded.attach()


def test_a_path_too_long_for_a_socket_is_no_obstacle(directory: Path) -> None:
    deep = directory / ("d" * 60) / ("e" * 60)
    embedded = EmbeddedPostgres(deep / "postgres", durable=False)

    url = embedded.attach()

    assert ask(url, "SELECT 1") == (1,)
    embedded.release()
    assert embedded.wait_until_stopped()
    embedded.cluster.socket_dir.rmdir()


def test_the_keeper_is_given_none_of_our_secrets(embedded: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_SLACK__BOT_TOKEN", "xoxb-secret")
    embedded.attach()

    for pid in (keeper_pid(embedded), server_pid(embedded)):
        assert b"xoxb-secret" not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_becomes_nobody_where_the_kernel_allows_no_namespace(directory: Path) -> None:
    binaries = privileges.reachable_binaries(find_binaries(), Identity.NOBODY)
    nobodys = Cluster(directory / "postgres", durable=False)

    cluster.prepare(nobodys, binaries, Identity.NOBODY)
    server = cluster.start(nobodys, binaries, Identity.NOBODY)

    socket = nobodys.data_dir / ".s.PGSQL.5432"
    wait_until(socket.exists)
    assert socket.stat().st_uid == privileges.NOBODY
    server.send_signal(signal.SIGINT)
    server.wait(20)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_directory_that_nobody_can_reach_is_refused_in_a_sentence(directory: Path) -> None:
    directory.chmod(0o700)

    with pytest.raises(EmbeddedPostgresFailed, match=r"below a private directory: set database\.data_dir"):
        cluster.prepare(Cluster(directory / "postgres"), find_binaries(), Identity.NOBODY)
