"""What the processes of a sandbox are told: a settings file, an environment without the caller's settings, a port."""

from __future__ import annotations

import base64
import json
import os
import socket
from pathlib import Path
from typing import Any, TypeAlias

Tables: TypeAlias = dict[str, dict[str, Any]]

# Short waits, so that a crash is looked up after seconds and not after a minute.
HASTY_DELIVERY: dict[str, Any] = {"send_timeout_seconds": 4, "lease_margin_seconds": 2, "slack_timeout_seconds": 3}

# Nobody here is watched by WhatsApp: nothing is typed slowly, and as many may be written to as a test wants to.
UNWATCHED_NUMBERS: dict[str, Any] = {"human_like": False, "new_contacts_per_day": 100_000}


def environment(config: Path, settings: Tables) -> dict[str, str]:
    """Write `settings` into `config`; the environment for a process that is to use them and no proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("SWITCHBOARD_") and not name.upper().endswith("_PROXY")
    }
    config.write_text(_as_toml(settings))
    config.chmod(0o600)
    return kept | {"SWITCHBOARD_CONFIG": str(config), "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def encryption_key(path: Path) -> str:
    """A key that lives as long as the directory's database."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(base64.b64encode(os.urandom(32)).decode())
    return path.read_text()


def _as_toml(settings: Tables) -> str:
    # JSON writes strings, numbers and lists of strings as TOML does.
    tables = (
        "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())])
        for name, table in settings.items()
    )
    return "\n\n".join(tables) + "\n"
