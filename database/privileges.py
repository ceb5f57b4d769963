"""Running PostgreSQL when we are root, which it refuses, and letting no PostgreSQL outlive its keeper."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from database.binaries import Binaries
from database.errors import EmbeddedPostgresFailed

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Identity(Enum):
    """Whom PostgreSQL runs as."""

    OURSELVES = "ourselves"
    # Root outside is nobody inside: PostgreSQL is content, and nothing on disk changes its owner.
    USER_NAMESPACE = "user namespace"
    # Where the kernel forbids that (a chroot, Docker's default seccomp profile).
    NOBODY = "nobody"


def choose_identity() -> Identity:
    """What this process and this kernel allow."""
    if os.geteuid() != 0:
        return Identity.OURSELVES
    return Identity.USER_NAMESPACE if _namespaces_allowed() else Identity.NOBODY


def becoming(identity: Identity) -> Callable[[], None]:
    """For `preexec_fn`, called in the child between fork and exec. Fork from the main thread only.

    The signal of the parent's death follows the *thread* that forked, and changing the user clears it: it comes last.
    """
    parent = os.getpid()

    def become() -> None:
        if identity is Identity.USER_NAMESPACE:
            _enter_user_namespace()
        elif identity is Identity.NOBODY:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)

    return become


def hand_over(directory: Path, identity: Identity) -> None:
    """Make a directory usable by whom PostgreSQL runs as.

    Raises:
        EmbeddedPostgresFailed: nobody cannot reach it.
    """
    if identity is not Identity.NOBODY:
        return
    if not _reachable_by_all(directory):
        raise EmbeddedPostgresFailed(
            f"We are root and {directory} is below a private directory: set database.data_dir to another place, "
            "or start us as an ordinary user"
        )
    os.chown(directory, NOBODY, NOBODY)


def reachable_binaries(binaries: Binaries, identity: Identity) -> Binaries:
    """The binaries, copied when nobody cannot reach them where they are (a virtual environment below /root)."""
    if identity is not Identity.NOBODY or _reachable_by_all(binaries.directory):
        return binaries
    package = binaries.directory.parent.parent
    edition = (binaries.directory / "postgres").stat().st_mtime_ns
    copy = Path(tempfile.gettempdir()) / f"switchboard-postgres-{os.geteuid()}-{edition}"
    if not copy.exists():
        _copy_whole(package, copy)
    return Binaries(copy / package.name / binaries.directory.relative_to(package))


def _copy_whole(package: Path, copy: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent))
    # The programs look for their libraries in ../../../<package>.libs: the layout has to stay.
    for directory in (package, package.with_name(f"{package.name}.libs")):
        if directory.is_dir():
            shutil.copytree(directory, unfinished / directory.name, symlinks=True)
    unfinished.chmod(0o755)
    unfinished.rename(copy)


def _reachable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def _namespaces_allowed() -> bool:
    try:
        subprocess.run(["/bin/true"], preexec_fn=_enter_user_namespace, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _enter_user_namespace() -> None:
    if _libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "the kernel allows no user namespace")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} 0 1"), ("gid_map", f"{NOBODY} 0 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
