"""A whole Switchboard on one machine: simulated Slack and WAHA in this process, the bot and the daemon as real ones."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from sandbox.configuration import HASTY_DELIVERY, UNWATCHED_NUMBERS, Tables, encryption_key, environment, free_port
from sandbox.processes import Process, ProcessFailed
from sandbox.slack import SandboxSlack
from sandbox.waha import Control, EngineName, SandboxWaha
from sandbox.whatsapp import WhatsApp

T = TypeVar("T")

OPERATOR = "olga"
WAHA = "main"
# WAHA's waits at a tenth of their length. Webhooks are repeated for long enough to outlast a restart of the daemon.
PACE = 0.1
_DATABASE_ENDS_WITHIN_SECONDS = 15.0
SIGNING_SECRET = "sandbox-signing-secret"  # noqa: S105 - of a Slack that is simulated


class Stage:
    """Everything that runs together; an async context manager that leaves no process behind.

    Args:
        directory: for the database, the logs and the state file; made if need be.
        engine: the WhatsApp engine of the simulated WAHA.
        database_url: a PostgreSQL of yours instead of the embedded one; it must be empty.
        slack_mode: how Slack reaches the bot.
    """

    def __init__(
        self,
        directory: Path,
        *,
        engine: EngineName = "GOWS",
        database_url: str = "embedded",
        slack_mode: Literal["socket", "http"] = "socket",
    ) -> None:
        self.directory = directory.absolute()
        self.whatsapp = WhatsApp()
        self.waha = SandboxWaha(self.whatsapp, engine=engine, pace=PACE)
        self.control = Control(self.waha)
        self.slack = SandboxSlack(pace=PACE)
        self.daemon_port = free_port()
        self.bot_port = free_port()
        self.slack_mode = slack_mode
        self._database_url = database_url
        self._stack = AsyncExitStack()
        self.bot: Process
        self.daemon: Process

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        for part in (self.waha, self.control, self.slack):
            await self._stack.enter_async_context(part)
        if self.slack_mode == "http":
            self.slack.deliver_by_http(f"http://127.0.0.1:{self.bot_port}/slack/events", SIGNING_SECRET)
        told = environment(self.directory / "config.toml", self._settings())
        self.bot = Process("bot", told, self.directory / "bot.log")
        self.daemon = Process("daemon", told, self.directory / "daemon.log")
        self._write_state()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in (self.bot, self.daemon):
                await process.stop()
            await self._wait_for_database_to_end()
        finally:
            self.state_file.unlink(missing_ok=True)
            await self._stack.aclose()

    @property
    def state_file(self) -> Path:
        return self.directory / "state.json"

    async def start(self) -> None:
        """Start both processes and wait until they work.

        Raises:
            ProcessFailed: one ended, or was not ready in time.
        """
        await self.bot.start()
        await self.daemon.start()
        await self.until(self._slack_reaches_the_bot, "the bot to listen to Slack", 60)
        await self.until_ready()

    async def until_ready(self) -> None:
        await self.until(self._daemon_listens, "the daemon to listen", 60)

    async def until(self, condition: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
        """Wait for something at the far end.

        Raises:
            ProcessFailed: it did not happen, or a process ended meanwhile.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := condition()):
            for process in (self.bot, self.daemon):
                if process.pid is not None and not process.is_running:
                    raise ProcessFailed(f"{process.room} ended while waiting for {what}.\n{process.last_words()}")
            if asyncio.get_running_loop().time() > deadline:
                logs = "\n".join(f"— {one.room} —\n{one.last_words()}" for one in (self.bot, self.daemon))
                raise ProcessFailed(f"Waited {seconds:g} s in vain for {what}.\n{logs}")
            await asyncio.sleep(0.02)
        return found

    def _slack_reaches_the_bot(self) -> bool:
        if self.slack_mode == "http":
            return _listens(self.bot_port)
        return len(self.slack.state.socket_mode.connections) >= 2  # noqa: PLR2004 - two connections, so that one may break

    def _daemon_listens(self) -> bool:
        return _listens(self.daemon_port)

    def _settings(self) -> Tables:
        operator = self.slack.person(OPERATOR)
        return {
            "database": {"url": self._database_url, "data_dir": str(self.directory / "postgres")},
            "security": {"encryption_keys": [encryption_key(self.directory / "encryption.key")]},
            "slack": {
                "bot_token": self.slack.bot_token,
                "app_token": self.slack.app_token,
                "mode": self.slack_mode,
                "signing_secret": SIGNING_SECRET,
                "port": self.bot_port,
                "api_url": self.slack.api_url,
                "operators": [f"{self.slack.team_id}/{operator.id}"],
            },
            f"waha.servers.{WAHA}": {
                "url": self.waha.url,
                "api_key": self.waha.api_key,
                "webhook_url": f"http://127.0.0.1:{self.daemon_port}/webhooks/waha/{WAHA}",
            },
            "daemon": {"port": self.daemon_port, "poll_seconds": 1},
            "delivery": HASTY_DELIVERY,
            "numbers": UNWATCHED_NUMBERS,
        }

    def _write_state(self) -> None:
        state = {
            "slack": {"url": self.slack.url},
            "waha": {WAHA: {"url": self.waha.url, "control_url": self.control.url}},
            "daemon": {"url": f"http://127.0.0.1:{self.daemon_port}"},
        }
        self.state_file.write_text(json.dumps(state, indent=2))

    async def _wait_for_database_to_end(self) -> None:
        """The embedded PostgreSQL stops by itself after its last user, and its keeper after it."""
        deadline = asyncio.get_running_loop().time() + _DATABASE_ENDS_WITHIN_SECONDS
        while self._database_is_kept() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)

    def _database_is_kept(self) -> bool:
        """The keeper holds a lock for as long as it lives."""
        lock_file = self.directory / "postgres.keeper"
        if not lock_file.exists():
            return False
        with lock_file.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
