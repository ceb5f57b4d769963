"""`python -m sandbox`: the tour, the commands that drive a running sandbox, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 200
CUSTOMER = "+4915123456789"
STATE = Path("var/sandbox/state.json")


@asynccontextmanager
async def sandbox(directory: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m sandbox` in a directory of its own, where it keeps what it makes."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        *arguments,
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.communicate()


async def run(directory: Path, *arguments: str) -> str:
    async with asyncio.timeout(DEADLINE_SECONDS), sandbox(directory, *arguments) as process:
        written, _ = await process.communicate()
    assert process.returncode == 0, written.decode()
    return written.decode()


def processes_of(directory: Path) -> dict[int, str]:
    """Whoever has the directory among its arguments or variables: bot, daemon, keeper, PostgreSQL."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            about = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(directory).encode() in about:
            found[int(entry.name)] = command
    return found


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    read = ""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while words not in read:
            line = await process.stdout.readline()
            assert line, f"it ended without saying {words!r}:\n{read}"
            read += line.decode()
    return read


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up in /proc")
async def test_the_tour_passes_and_a_sandbox_can_be_driven_and_ended(tmp_path: Path) -> None:
    places = [tmp_path / "tour", tmp_path / "up"]
    for place in places:
        place.mkdir()
    tour = asyncio.create_task(run(places[0], "tour", "--engine", "NOWEB"))  # beside the other: both mostly wait

    async with sandbox(places[1], "up") as process:
        await read_until(process, "readyz")
        await _drive(places[1])
        before = processes_of(places[1])
        process.send_signal(signal.SIGINT)
        said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()
    assert "Everything is stopped." in said.decode()
    assert {"bot", "daemon"} <= {command.split()[-1] for command in before.values()}
    assert any("postgres" in command for command in before.values())
    assert processes_of(places[1]) == {}
    assert not (places[1] / STATE).exists()
    assert "17 steps in" in await tour


async def _drive(directory: Path) -> None:
    """As the signpost of `up` says."""
    await run(directory, "phone", CUSTOMER, "Thank you!")
    await _shown(directory, ("show", "channel", "support"), "Thank you!")
    await run(directory, "slack", "--user", "ana", "--thread", "LAST", "You are welcome")
    await _shown(directory, ("show", "phone", CUSTOMER), "You are welcome")
    assert "/wa session list" in await run(directory, "slack", "--user", "ana", "/wa help")
    homes = json.loads(await run(directory, "show", "channel", "support", "--json"))
    assert homes["messages"]


async def _shown(directory: Path, command: tuple[str, ...], words: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while words not in await run(directory, *command):
            pass
