"""The house that is shaken: two simulated WAHA servers, a simulated Slack, the bot and two daemons as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.chaos.options import Options
from sandbox.chaos.postgres import Postgres
from sandbox.chaos.supervision import Supervised
from sandbox.configuration import HASTY_DELIVERY, UNWATCHED_NUMBERS, encryption_key, environment, free_port
from sandbox.processes import CHECKOUT, Process, ProcessFailed
from sandbox.slack import SandboxSlack
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp

OPERATOR = "olga"
# WAHA's and Slack's own waits run at this part of their length.
PACE = 0.05
# The simulators share the machine with all the rest: what stands still there for longer than this has effects after the
# end of a lease, which no lease can exclude.
LEASE_MARGIN_SECONDS = 6
# The first server's ids are trusted; each has its webhooks posted to a daemon of its own.
SERVERS = ("gows", "webjs")
DAEMONS = {"daemon a": "gows", "daemon b": "webjs"}
SOCKETS = 2


class House:
    """Everything that runs together; an async context manager that leaves no process behind."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.directory = options.directory.absolute()
        self.whatsapp = WhatsApp(seed=options.seed)
        self.wahas = {
            "gows": SandboxWaha(self.whatsapp, engine="GOWS", pace=PACE, webhook_jitter_seconds=0.01),
            "webjs": SandboxWaha(self.whatsapp, engine="WEBJS", pace=PACE, webhook_jitter_seconds=0.01),
        }
        self.slack = SandboxSlack(pace=PACE)
        self.slack.rate_limits.enforced = options.paced
        self.postgres = Postgres(self.directory / "pg")
        self.ports = {name: free_port() for name in DAEMONS}
        self.processes: dict[str, Supervised] = {}
        self._stack = AsyncExitStack()
        self._watchers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        for waha in self.wahas.values():
            await self._stack.enter_async_context(waha)
        await self._stack.enter_async_context(self.slack)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.postgres.go_on()
        for one in self.processes.values():
            one.process.send(signal.SIGCONT)
        try:
            await asyncio.gather(*(one.stop() for one in self.processes.values()), return_exceptions=True)
            await asyncio.gather(*self._watchers, return_exceptions=True)
        finally:
            await self._stack.aclose()

    async def start(self) -> None:
        """Start the processes, and keep them running from now on.

        Raises:
            ProcessFailed: they were not ready in time.
        """
        for name in ("bot", *DAEMONS):
            supervised = Supervised(name, self._process(name))
            self.processes[name] = supervised
            self._watchers.append(asyncio.create_task(supervised.run(), name=name))
        await self.until(lambda: self.is_ready, "the processes to be ready", 90)

    @property
    def is_ready(self) -> bool:
        connected = len(self.slack.state.socket_mode.connections) >= SOCKETS
        return connected and all(_listens(port) for port in self.ports.values())

    async def until(self, condition: Any, what: str, seconds: float) -> None:
        """Wait for something.

        Raises:
            ProcessFailed: it did not happen, or a process gave up meanwhile.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            self.check()
            if asyncio.get_running_loop().time() > deadline:
                logs = "\n".join(f"— {name} —\n{one.process.last_words()}" for name, one in self.processes.items())
                raise ProcessFailed(f"Waited {seconds:g} s in vain for {what}.\n{logs}")
            await asyncio.sleep(0.05)

    def check(self) -> None:
        """Raises what made a watcher end."""
        for watcher in self._watchers:
            if watcher.done() and not watcher.cancelled() and (failure := watcher.exception()):
                raise failure

    def heal(self) -> None:
        self.slack.heal()
        for waha in self.wahas.values():
            waha.heal()

    def _process(self, name: str) -> Process:
        room = name.split(maxsplit=1)[0]
        config = self.directory / f"{name.replace(' ', '-')}.toml"
        told = environment(config, self._settings(name)) | {"PYTHONPATH": str(CHECKOUT)}
        told |= {key: value for key, value in os.environ.items() if key == "COVERAGE_PROCESS_START"}
        sabotage = self.options.sabotage
        arguments = ["-m", "tests.sabotage.run", sabotage, room] if sabotage else None
        return Process(room, told, config.with_suffix(".log"), arguments=arguments)

    def _settings(self, name: str) -> dict[str, dict[str, Any]]:
        operator = self.slack.person(OPERATOR)
        ports = {server: self.ports[daemon] for daemon, server in DAEMONS.items()}
        return {
            "database": {"url": "embedded", "data_dir": str(self.postgres.data_dir)},
            "security": {"encryption_keys": [encryption_key(self.directory / "encryption.key")]},
            "slack": {
                "bot_token": self.slack.bot_token,
                "app_token": self.slack.app_token,
                "api_url": self.slack.api_url,
                "operators": [f"{self.slack.team_id}/{operator.id}"],
                "pacing": self.options.paced,
            },
            **{
                f"waha.servers.{server}": {
                    "url": waha.url,
                    "api_key": waha.api_key,
                    "webhook_url": f"http://127.0.0.1:{ports[server]}/webhooks/waha/{server}",
                }
                for server, waha in self.wahas.items()
            },
            "daemon": {"port": self.ports.get(name, 0), "poll_seconds": 2},
            "delivery": HASTY_DELIVERY | {"lease_margin_seconds": LEASE_MARGIN_SECONDS},
            "numbers": UNWATCHED_NUMBERS,
            "log": {"format": "json"},
        }

    @property
    def logs(self) -> list[Path]:
        return [one.process.log for one in self.processes.values()]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
