"""The real supervisord with this repository's configuration, over two stand-ins for the processes."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import settings

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30

# One write a line: an unbuffered print writes its parts one by one, and supervisord's own lines come between them.
SAY = """
import os, signal, sys
def say(words):
    os.write(1, ("{name} " + words + os.linesep).encode())
"""
STAYS = f"""{SAY}
def stop(*_):
    say("stopped")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
say("runs as " + str(os.getpid()))
signal.pause()
"""
ENDS_WITH_78 = f"""{SAY}
say("says 78")
sys.exit(78)
"""


class Supervised:
    """A supervisord and all that it and its programs have printed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.said = ""

    async def says(self, pattern: str, *, times: int = 1) -> list[str]:
        """Wait until the pattern has been said so often, and give what it caught."""
        assert self._process.stdout
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(caught := re.findall(pattern, self.said)) < times:
                line = await self._process.stdout.readline()
                assert line, f"supervisord ended without saying {pattern}: {self.said}"
                self.said += line.decode()
        return caught

    async def stop(self) -> str:
        if self._process.returncode is None:
            self._process.terminate()
        async with asyncio.timeout(DEADLINE_SECONDS):
            self.said += (await self._process.communicate())[0].decode()
        return self.said


@pytest.fixture
async def supervised(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Supervised]:
    """Started in an empty checkout whose bot and daemon are the two scripts of the parameter."""
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    (tmp_path / "var").mkdir()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    for name, script in request.param.items():
        (tmp_path / f"{name}.py").write_text(script.replace("{name}", name))
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", "supervisord.conf"]
    process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT)
    supervised = Supervised(process)
    yield supervised
    await supervised.stop()


@pytest.mark.parametrize("supervised", [{"daemon": STAYS, "bot": STAYS}], indirect=True)
async def test_a_killed_process_is_started_again(supervised: Supervised) -> None:
    [first] = await supervised.says(r"daemon runs as (\d+)")

    os.kill(int(first), signal.SIGKILL)

    [_, second] = await supervised.says(r"daemon runs as (\d+)", times=2)
    assert second != first


@pytest.mark.parametrize("supervised", [{"daemon": STAYS, "bot": ENDS_WITH_78}], indirect=True)
async def test_a_process_that_refuses_its_settings_is_left_alone(supervised: Supervised) -> None:
    await supervised.says("bot says 78")
    [daemon] = await supervised.says(r"daemon runs as (\d+)")

    # A whole round of ending and starting the other one: time enough to start the bot again, were it done.
    os.kill(int(daemon), signal.SIGKILL)
    await supervised.says("daemon runs as", times=2)

    assert (await supervised.stop()).count("bot says 78") == 1


@pytest.mark.parametrize("supervised", [{"daemon": STAYS, "bot": STAYS}], indirect=True)
async def test_the_bot_is_stopped_before_the_daemon(supervised: Supervised) -> None:
    await supervised.says("(?:daemon|bot) runs as", times=2)

    said = await supervised.stop()

    assert said.index("bot stopped") < said.index("daemon stopped")


def test_a_process_has_longer_to_stop_than_it_promises_to_need() -> None:
    configuration = configparser.RawConfigParser(comment_prefixes=(";",))
    configuration.read(ROOT / "supervisord.conf")

    for program in ("program:bot", "program:daemon"):
        assert configuration.getint(program, "stopwaitsecs") > settings.load(environ={}).daemon.shutdown_seconds
