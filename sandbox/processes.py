"""The bot and the daemon as real processes, started and ended as a supervisor would."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# The setting `daemon.shutdown_seconds`, and what Python needs around it.
END_WITHIN_SECONDS = 30.0


class ProcessFailed(RuntimeError):
    """A process of ours did not do what it should; the message holds the end of its log."""


class Process:
    """`python -m ROOM`, or other `arguments` of python, with its output in `log`."""

    def __init__(
        self, room: str, environment: Mapping[str, str], log: Path, *, arguments: Sequence[str] | None = None
    ) -> None:
        self.room = room
        self.log = log
        self._environment = environment
        self._arguments = ["-m", room] if arguments is None else list(arguments)
        self._running: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._running.pid if self._running is not None else None

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.returncode is None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._arguments,
                cwd=CHECKOUT,
                env=dict(self._environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the sandbox, which then ends its processes in order.
                start_new_session=True,
            )

    async def ended(self) -> int:
        """Wait until it ends by itself or by a signal; its exit code, negative for a signal."""
        return await self._running.wait() if self._running is not None else 0

    def send(self, number: signal.Signals) -> bool:
        """Send a signal and wait for nothing; False when it does not run."""
        if self._running is None or self._running.returncode is not None:
            return False
        self._running.send_signal(number)
        return True

    async def kill(self) -> None:
        """`kill -9`: the process gets no chance to tidy up."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and its exit code.

        Raises:
            ProcessFailed: it did not end in time.
        """
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        if self._running is None:
            return 0
        if self._running.returncode is None:
            self._running.send_signal(number)
        try:
            async with asyncio.timeout(END_WITHIN_SECONDS):
                code = await self._running.wait()
        except TimeoutError:
            self._running.kill()
            await self._running.wait()
            raise ProcessFailed(
                f"{self.room} did not end within {END_WITHIN_SECONDS:g} s.\n{self.last_words()}"
            ) from None
        self._running = None
        return code

    def last_words(self, lines: int = 15) -> str:
        """The end of the log."""
        written = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(written[-lines:])
