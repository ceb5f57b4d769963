"""One PostgreSQL cluster in a directory: its files, how it is made and how it is started."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2

from database.binaries import Binaries
from database.errors import EmbeddedPostgresFailed
from database.privileges import NOBODY, Identity, becoming, hand_over

# What we connect as. The cluster's superuser `postgres` would bypass row-level security.
LOGIN = "switchboard"
DATABASE = "switchboard"
SUPERUSER = "postgres"
# A unix socket's path holds 104 bytes on macOS and 108 on Linux, of which `/.s.PGSQL.5432` and a zero take 15.
LONGEST_SOCKET_DIR = 88
FIRST_VERSION_WITH_BUILTIN_LOCALES = 17

_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Cluster:
    """`durable` is False for tests only: fast, and lost when the machine goes down."""

    data_dir: Path
    durable: bool = True

    @property
    def users_file(self) -> Path:
        """Locked shared by every user; who locks it exclusively knows that all are gone."""
        return self.data_dir.with_name(f"{self.data_dir.name}.users")

    @property
    def keeper_file(self) -> Path:
        """Locked exclusively by the keeper for as long as it lives."""
        return self.data_dir.with_name(f"{self.data_dir.name}.keeper")

    @property
    def failure_file(self) -> Path:
        """One sentence, left by a keeper that could not do its work."""
        return self.data_dir.with_name(f"{self.data_dir.name}.failure")

    @property
    def log_file(self) -> Path:
        """What the keeper and PostgreSQL say."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    @property
    def socket_dir(self) -> Path:
        """The data directory itself, which is private; below /tmp when its path is too long for a socket."""
        if len(os.fsencode(self.data_dir)) <= LONGEST_SOCKET_DIR:
            return self.data_dir
        name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        # Not TMPDIR: every process has to come to the same place.
        return Path(f"/tmp/switchboard-{os.geteuid()}-{name}")  # noqa: S108

    def url(self, login: str = LOGIN, database: str = DATABASE) -> str:
        """How to connect; there is no TCP port, and no password since the socket is private."""
        return f"postgresql://{login}@/{database}?host={quote(str(self.socket_dir), safe='')}"


def prepare(cluster: Cluster, binaries: Binaries, identity: Identity) -> None:
    """Make the directories and, the first time, the cluster.

    Raises:
        EmbeddedPostgresFailed: it cannot be made, or another version of PostgreSQL made it.
    """
    for directory in (cluster.data_dir, cluster.socket_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_foreign(directory)
        directory.chmod(0o700)
        hand_over(directory, identity)
    version_file = cluster.data_dir / "PG_VERSION"
    if version_file.exists():
        _check_version(cluster, int(version_file.read_text(encoding="ascii")), binaries.major_version)
    else:
        _initialise(cluster, binaries, identity)


def start(cluster: Cluster, binaries: Binaries, identity: Identity) -> subprocess.Popen[bytes]:
    """PostgreSQL as a child of this process, writing to our standard output."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket_dir),
        "unix_socket_permissions": "0700",
        "port": "5432",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
    } | ({} if cluster.durable else _NOT_DURABLE)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return subprocess.Popen(  # noqa: S603 -- found by us
        [binaries.program("postgres"), "-D", str(cluster.data_dir), *options],
        env=binaries.environment,
        cwd=cluster.data_dir,
        preexec_fn=becoming(identity),  # noqa: PLW1509 -- the keeper has one thread
    )


def make_login_and_database(cluster: Cluster) -> None:
    """Make what is missing; repeating it changes nothing.

    CREATEROLE lets the first migration make the two roles that bot and daemon take on.
    """
    connection = psycopg2.connect(cluster.url(SUPERUSER, "postgres"), connect_timeout=2)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (LOGIN,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {LOGIN} LOGIN NOSUPERUSER CREATEROLE")
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {LOGIN}")
    finally:
        connection.close()


def _initialise(cluster: Cluster, binaries: Binaries, identity: Identity) -> None:
    command = [binaries.program("initdb"), "-D", str(cluster.data_dir), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
    command += _locale_options(binaries)
    if not cluster.durable:
        command.append("--no-sync")
    made = subprocess.run(  # noqa: S603 -- found by us
        command,
        env=binaries.environment,
        cwd=cluster.data_dir,
        preexec_fn=becoming(identity),
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise EmbeddedPostgresFailed(f"initdb could not make {cluster.data_dir}: {made.stderr.strip()}")


def _locale_options(binaries: Binaries) -> list[str]:
    """Sorting that an update of the operating system does not change, where PostgreSQL offers it."""
    if binaries.major_version >= FIRST_VERSION_WITH_BUILTIN_LOCALES:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=en_US.UTF-8"]


def _check_version(cluster: Cluster, made_by: int, installed: int) -> None:
    if made_by != installed:
        raise EmbeddedPostgresFailed(
            f"{cluster.data_dir} was made by PostgreSQL {made_by} and PostgreSQL {installed} is installed: "
            f"dump it with version {made_by}, move the directory away, and restore with version {installed}"
        )


def _refuse_foreign(directory: Path) -> None:
    """Below /tmp anybody may have been there first."""
    ours = {os.geteuid(), NOBODY} if os.geteuid() == 0 else {os.geteuid()}
    if directory.stat().st_uid not in ours:
        raise EmbeddedPostgresFailed(f"{directory} belongs to another user: remove it or choose another place")
