"""How long one poll of all WAHA servers takes with thousands of sessions, what it calls and what it writes.

    .venv/bin/python -m benchmarks.sweep

A PostgreSQL of its own, commits flushed to disk, and simulated WAHA servers in a process of their own. The peer does
what one would write first: a transaction a session, which reads its row, compares, and writes. Each round is polled
by both, in turns; a row that was written is one whose `xmin` is of the round.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Self
from uuid import UUID

import click
import structlog

from benchmarks.inbox import postgres
from daemon.reconciler import Reconciler
from daemon.servers import Server, session_config
from database import as_owner, connection, database, in_database, tenant_transaction, transaction
from database.notifications import Wakeup
from models import WahaSession
from operations.controlling import Creation
from operations.observing import observe_status
from operations.sql import rows
from sandbox.waha import SandboxWaha
from sandbox.whatsapp import WhatsApp
from settings import DaemonSettings
from waha.client import WahaClient

TENANTS = 50
SHARE_CHANGED = 10  # every tenth
QUIET_ROUNDS = 5
_ROWS = """
INSERT INTO tenants (id, name) SELECT md5('t' || n)::uuid, 'Tenant ' || n FROM generate_series(0, %(tenants)s - 1) n
    ON CONFLICT DO NOTHING;
INSERT INTO waha_sessions (id, tenant_id, external_session_id, name, server, engine, desired_state)
    SELECT md5(name)::uuid, md5('t' || n %% %(tenants)s)::uuid, name, name, server, 'GOWS', 'running'
    FROM generate_series(1, %(each)s) n, unnest(%(servers)s::text[]) server,
        LATERAL (SELECT server || '-' || n AS name) named;
ANALYZE
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migratehistory'"


@click.command()
@click.option("--sessions", multiple=True, default=(1_000, 10_000), show_default=True)
@click.option("--servers", default=5, show_default=True)
def main(sessions: tuple[int, ...], servers: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    for count in sessions:
        names = [f"waha{number}" for number in range(1, servers + 1)]
        with postgres(), Fleet(names, count // servers) as fleet:
            asyncio.run(_measure(fleet, names, count // servers))


class Fleet:
    """The simulated servers, in another process, so that what they cost is not what is measured."""

    def __init__(self, names: list[str], each: int) -> None:
        self.end, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_run_servers, args=(theirs, names, each), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.addresses: list[tuple[str, str]] = self.end.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("end")
        self._process.join(10)

    def ask(self, what: str) -> Any:
        """`calls` since the last time, a status for every tenth session, or `end`."""
        self.end.send(what)
        return self.end.recv()


def _run_servers(end: Connection, names: list[str], each: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    asyncio.run(_serve(end, names, each))


async def _serve(end: Connection, names: list[str], each: int) -> None:
    async with AsyncExitStack() as stack:
        servers = []
        for name in names:
            waha = await stack.enter_async_context(SandboxWaha(WhatsApp(), worker_id=name))
            server = _server(name, WahaClient(waha.url, waha.api_key))
            called = [f"{name}-{number}" for number in range(1, each + 1)]
            waha.add_idle_sessions({one: session_config(Creation(_id_of(one), {}), server) for one in called})
            servers.append(waha)
        end.send([(waha.url, waha.api_key) for waha in servers])
        while (what := await asyncio.to_thread(end.recv)) != "end":
            if what != "calls":
                for name, waha in zip(names, servers, strict=True):
                    tenth = [f"{name}-{number}" for number in range(1, each + 1, SHARE_CHANGED)]
                    waha.set_status(tenth, what, told=False)
            end.send(sum(len(waha.journal.requests) for waha in servers))
            for waha in servers:
                waha.journal.requests.clear()
        end.send(None)


def _server(name: str, client: WahaClient) -> Server:
    return Server(name, client, f"http://127.0.0.1:1/webhooks/waha/{name}", "k" * 64)


def _id_of(name: str) -> UUID:
    """As the rows have it."""
    return UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())


async def _measure(fleet: Fleet, names: list[str], each: int) -> None:
    await in_database(_make_rows, names, each)
    async with AsyncExitStack() as stack:
        servers = [
            _server(name, await stack.enter_async_context(WahaClient(address, key)))
            for name, (address, key) in zip(names, fleet.addresses, strict=True)
        ]
        polls = [Reconciler(server, DaemonSettings(), Wakeup()) for server in servers]

        async def ours() -> None:
            await asyncio.gather(*(reconciler.look() for reconciler in polls))

        async def naive() -> None:
            await asyncio.gather(*(_one_by_one(server) for server in servers))

        click.echo(f"{each * len(names)} sessions on {len(names)} servers")
        _show("first, all are new", [await _round(fleet, ours)])
        _show("nothing changed", [await _round(fleet, ours) for _ in range(QUIET_ROUNDS)])
        fleet.ask("STARTING")
        _show("a tenth changed", [await _round(fleet, ours)])
        _show("nothing changed, one by one", [await _round(fleet, naive)])
        fleet.ask("WORKING")
        _show("a tenth changed, one by one", [await _round(fleet, naive)])


@dataclass(frozen=True)
class Round:
    """`lag` is the longest time for which the event loop did nothing else."""

    seconds: float
    lag: float
    calls: int
    written: dict[str, int]


async def _round(fleet: Fleet, poll: Callable[[], Awaitable[None]]) -> Round:
    await asyncio.to_thread(fleet.ask, "calls")
    since = await in_database(_transaction_number)
    watching = asyncio.create_task(_longest_lag())
    await asyncio.sleep(0)
    began = time.perf_counter()
    await poll()
    seconds = time.perf_counter() - began
    watching.cancel()
    lag = await watching
    return Round(seconds, lag, await asyncio.to_thread(fleet.ask, "calls"), await in_database(_written_since, since))


async def _longest_lag() -> float:
    longest = 0.0
    try:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - asked - 0.001)
    except asyncio.CancelledError:
        return longest


def _show(what: str, found: list[Round]) -> None:
    seconds = statistics.median(one.seconds for one in found)
    lag = max(one.lag for one in found)
    worst = max(found, key=lambda one: sum(one.written.values()))
    leases = worst.written.pop("waha_servers", 0)
    rows_written = ", ".join(f"{table} {count}" for table, count in worst.written.items()) or "none"
    click.echo(
        f"  {what:29} {seconds:8.3f} s  loop {lag * 1000:5.0f} ms  {found[0].calls:3} calls  "
        f"rows of sessions written: {rows_written}; of servers {leases}"
    )


async def _one_by_one(server: Server) -> None:
    at = datetime.now(UTC)
    await server.client.server_status()
    seen = {info.name: info for info in await server.client.list_sessions()}
    known = await in_database(_known, server.name)
    for session in known:
        if session.external_session_id in seen:
            await in_database(_compare_one, session, seen[session.external_session_id].waha_status, at)


@dataclass(frozen=True)
class _Known:
    tenant_id: UUID
    session_id: UUID
    external_session_id: str


def _known(server: str) -> list[_Known]:
    with transaction():
        return rows(_Known, "SELECT tenant_id, session_id, external_session_id FROM sessions_of_server(%s)", (server,))


def _compare_one(known: _Known, waha_status: str, at: datetime) -> None:
    with tenant_transaction(known.tenant_id):
        session = WahaSession.find(known.session_id)
        if session is not None:
            observe_status(session, waha_status, at=at, source="poll")


def _make_rows(names: list[str], each: int) -> None:
    with as_owner(), connection():
        database.execute_sql("SET ROLE NONE")
        database.execute_sql(_ROWS, {"tenants": TENANTS, "each": each, "servers": names})
        database.execute_sql("RESET ROLE")


def _transaction_number() -> int:
    with transaction():
        return int(database.execute_sql("SELECT pg_current_xact_id()::text").fetchone()[0])


def _written_since(number: int) -> dict[str, int]:
    with as_owner(), connection():
        database.execute_sql("SET ROLE NONE")
        counts = {
            table: database.execute_sql(
                f"SELECT count(*) FROM {table} WHERE xmin::text::bigint > {number}"  # noqa: S608 - a table's name
            ).fetchone()[0]
            for (table,) in database.execute_sql(_TABLES).fetchall()
        }
        database.execute_sql("RESET ROLE")
    return {table: count for table, count in counts.items() if count}


if __name__ == "__main__":
    main()
