"""A stage whose processes may die: each is started again, as supervisord would, and what a crash left is waited for."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sandbox.processes import Process
from sandbox.slack import SandboxSlack
from sandbox.stage import Stage
from tests.acceptance.acting import Query, set_in
from tests.crashing.passages import ORDER, TRACE, Fate
from tests.crashing.run import ROOM

T = TypeVar("T")

# Slack repeats an event at once, after a minute and after five: of these the first, and 1.2 and 6 s.
_SLACK_PACE = 0.02
_ACK_SECONDS = 1.5
_LOOK_EVERY_SECONDS = 0.02
_START_SECONDS = 60.0
# After the far end is as it should be: the slowest worker looks for work every two seconds.
_PASSED_WITHIN_SECONDS = 6.0

# Nobody holds a lease who is dead, and what he asked for is over on this machine after milliseconds.
_END_LEASES = """
    UPDATE {table} SET {column} = clock_timestamp() + interval '0.7 s'
    WHERE {column} > clock_timestamp() + interval '0.7 s'
"""
_LEASES = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name LIKE '%lease_expires_at'
"""

_OPEN = """
    SELECT 'webhook ' || event_name || coalesce(': ' || error, '') || ' ' || id FROM webhook_events
        WHERE processed_at IS NULL AND parked_at IS NULL
    UNION ALL SELECT 'slack event' || coalesce(': ' || error, '') || ' ' || id FROM slack_events
        WHERE kind = 'event' AND processed_at IS NULL AND parked_at IS NULL
    UNION ALL SELECT 'command ' || id FROM slack_events WHERE kind <> 'event' AND answered_at IS NULL
    UNION ALL SELECT 'message ' || body || ' ' || id FROM messages
        WHERE direction = 'outbound' AND status = 'queued' AND parked_at IS NULL
    UNION ALL SELECT 'post ' || kind || coalesce(': ' || error, '') || ' ' || id FROM slack_posts
        WHERE posted_at IS NULL AND parked_at IS NULL
    UNION ALL SELECT 'action ' || kind || ' ' || id FROM waha_actions WHERE done_at IS NULL AND parked_at IS NULL
"""
_GAPS = """
    SELECT place FROM catch_ups WHERE lease_expires_at > clock_timestamp()
    UNION ALL SELECT c.place FROM catch_ups c LEFT JOIN waha_sessions s ON s.external_session_id = c.place
        WHERE (c.caught_up_to IS NULL OR c.requested_at > c.caught_up_to) AND (c.side = 'slack' OR s.status = 'working')
"""


@dataclass(frozen=True)
class Order:
    """The NUMBER-th passage of `name` is to meet its fate."""

    fate: Fate
    number: int
    name: str


class NotPassed(AssertionError):
    """Nothing came to the point where it should have died."""


class MortalStage(Stage):
    """A stage on which waiting goes on while a process is dead."""

    def __init__(self, directory: Path, *, database_url: str) -> None:
        super().__init__(directory, database_url=database_url)
        self.slack = SandboxSlack(pace=_SLACK_PACE, ack_seconds=_ACK_SECONDS)

    async def until(self, condition: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
        """Wait for something, whoever dies meanwhile.

        Raises:
            AssertionError: it did not happen.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := condition()):
            assert asyncio.get_running_loop().time() < deadline, f"waited {seconds:g} s in vain for {what}"
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return found


class Life:
    """A room's process: traced, killed where it is ordered, started again; `deaths` that nobody ordered are kept."""

    def __init__(self, room: str, stage: MortalStage, rows: Query) -> None:
        self.room = room
        self.unasked: list[str] = []
        self.orders: list[Order] = []
        self.starts = self.due_starts = 0
        self._is_told_to_end = False
        self._stage = stage
        self._rows = rows
        self._trace = stage.directory / f"{room}.trace"
        self._trace.touch()
        self.order = stage.directory / f"{room}.order"
        kept = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
        self.process = Process(
            "tests.crashing.run",
            kept
            | {
                "SWITCHBOARD_CONFIG": str(stage.directory / "config.toml"),
                "PYTHONUNBUFFERED": "1",
                ROOM: room,
                TRACE: str(self._trace),
                ORDER: str(self.order),
            },
            stage.directory / f"{room}.log",
        )

    @property
    def is_ready(self) -> bool:
        """A bot listens on both its connections; a daemon works on what it finds."""
        if not self.process.is_running:
            return False
        if self.room == "bot":
            # The connections of one that died are there for a moment more.
            return "bot listens" in self._since_start() and len(self._stage.slack.state.socket_mode.connections) == 2
        return "daemon works" in self._since_start()

    def _since_start(self) -> str:
        log = self.process.log
        with log.open("rb") as written:
            written.seek(self._log_at_start)
            return written.read(20_000).decode(errors="replace")

    async def start(self) -> None:
        self._log_at_start = self.process.log.stat().st_size if self.process.log.exists() else 0
        await self.process.start()
        self.starts += 1

    async def keep_alive(self) -> None:
        """Start it again whenever it has ended, for ever."""
        while True:
            while self.process.is_running:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
            code = await self.process.stop()
            if code != -signal.SIGKILL and not (code == 0 and self._is_told_to_end):
                self.unasked.append(f"the {self.room} ended by itself with {code}\n{self.process.last_words(40)}")
                await asyncio.sleep(0.5)
            self._end_leases()
            self._is_told_to_end = False
            self.give_next_order()
            await self.start()

    def _end_leases(self) -> None:
        # The bot has turns at answers; all else is the daemon's.
        mine = [one for one in self._rows(_LEASES) if (one[0] == "slack_events") == (self.room == "bot")]
        for table, column in mine:
            self._rows(_END_LEASES.format(table=table, column=column))

    async def end(self, number: signal.Signals) -> None:
        """End it as somebody else would, who tells nobody; returns when it was started again."""
        assert self.process.pid is not None
        before, self._is_told_to_end = self.starts, number == signal.SIGTERM
        self.due_starts += number == signal.SIGKILL
        os.kill(self.process.pid, number)
        await self._stage.until(lambda: self.starts > before, f"a new {self.room}", 40)

    def give_next_order(self) -> None:
        """Each is given to the process that comes after the one before."""
        if self.orders:
            order = self.orders.pop(0)
            written = self.order.with_suffix(".new")
            written.write_text(f"{order.fate} {order.number} {order.name}")
            written.rename(self.order)

    @property
    def has_orders(self) -> bool:
        return bool(self.orders) or self.order.exists()

    def withdraw_orders(self) -> None:
        self.orders.clear()
        self.order.unlink(missing_ok=True)

    def trace_from(self, begin: int) -> list[str]:
        """What was passed since the trace had this length."""
        with self._trace.open() as trace:
            trace.seek(begin)
            return trace.read().splitlines()

    @property
    def traced(self) -> int:
        return self._trace.stat().st_size


class Theatre:
    """The stage, both lives, and the row of the matrix that is being played."""

    def __init__(self, stage: MortalStage, rows: Query) -> None:
        self.stage = stage
        self.rows = rows
        self.lives = {room: Life(room, stage, rows) for room in ("bot", "daemon")}
        self._forgiven: Counter[str] = Counter()

    async def ready(self) -> None:
        """Both are up."""
        try:
            await self.stage.until(
                lambda: all(life.is_ready for life in self.lives.values()), "both processes", _START_SECONDS
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.last_words()}") from None

    def last_words(self) -> str:
        return "\n".join(f"— {room} —\n{life.process.last_words()}" for room, life in self.lives.items())

    def order(self, room: str, *orders: Order) -> None:
        """From here on; the second is for the successor of whom the first killed."""
        life = self.lives[room]
        life.due_starts = life.starts + sum(order.fate is Fate.KILL for order in orders)
        life.orders = list(orders)
        life.give_next_order()

    async def carried_out(self, room: str) -> None:
        """All orders are, and whoever died of it has a successor.

        Raises:
            NotPassed: nobody came there; they are withdrawn.
        """
        life = self.lives[room]
        with suppress(AssertionError):
            await self.stage.until(lambda: life.is_ready or not life.has_orders, "the process", _START_SECONDS)
            await self.stage.until(lambda: not life.has_orders, "a passage", _PASSED_WITHIN_SECONDS)
        if not life.has_orders:
            await self.stage.until(lambda: life.starts >= life.due_starts, f"a new {room}")
        else:
            left = life.order.read_text() if life.order.exists() else str(life.orders)
            life.withdraw_orders()
            raise NotPassed(f"nothing passed {left}")

    async def settled(self, seconds: float = 90.0) -> None:
        """Both processes are up, nothing waits in a table, and neither Slack nor WAHA has anything to tell again."""
        await self.ready()
        deadline = asyncio.get_running_loop().time() + seconds
        while waiting := self._waiting():
            assert asyncio.get_running_loop().time() < deadline, f"still waiting after {seconds:g} s: {waiting}"
            await asyncio.sleep(0.1)

    async def caught_up(self) -> None:
        """No gap is left that would be read for later, by the clock: its passages would be taken for another's."""
        try:
            await self.stage.until(lambda: not self.rows(_GAPS), "everything to be caught up with", _START_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.rows(_GAPS)}") from None

    def forgive(self) -> None:
        """What waits now is an earlier row's fault."""
        self._forgiven = Counter(self._waiting_at_all())

    def clear(self) -> None:
        """Take back what a row that failed left switched on."""
        self.stage.waha.heal()
        self.stage.slack.heal()
        for life in self.lives.values():
            life.withdraw_orders()

    def _waiting(self) -> list[str]:
        return sorted((Counter(self._waiting_at_all()) - self._forgiven).elements())

    def _waiting_at_all(self) -> list[str]:
        return [*self._untold(), *(str(what) for (what,) in self.rows(_OPEN))]

    def _untold(self) -> list[str]:
        events = [one for one in self.stage.slack.state.events.deliveries if not (one.acknowledged or one.given_up)]
        posted = {entry.body: entry.status for entry in self.stage.waha.journal.webhooks}
        webhooks = [status for status in posted.values() if status != 200]
        return [f"{len(events)} Slack events"] * bool(events) + [f"{len(webhooks)} webhooks"] * bool(webhooks)


@asynccontextmanager
async def theatre(directory: Path, database_url: str, rows: Query) -> AsyncIterator[Theatre]:
    """Both processes at work, and started again whenever they die."""
    async with MortalStage(directory, database_url=database_url) as stage:
        # A lease lasts as long as a call may take, and a second.
        set_in(stage, "delivery", send_timeout_seconds=2, slack_timeout_seconds=1, lease_margin_seconds=1)
        opened = Theatre(stage, rows)
        for life in opened.lives.values():
            await life.start()
        keepers = [asyncio.create_task(life.keep_alive()) for life in opened.lives.values()]
        try:
            await opened.ready()
            yield opened
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for life in opened.lives.values():
                await life.process.stop()


def _is_foreign(name: str) -> bool:
    return name.upper().startswith("SWITCHBOARD_") or name.upper().endswith("_PROXY")
