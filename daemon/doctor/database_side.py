"""The database, and all that is read from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import psycopg2

from daemon.doctor.checkup import Checkup
from database import MigrationRefused, database, in_database
from database.migrations import pending
from operations import doctor
from operations.findings import Finding, bad, ok
from settings import DatabaseSettings


async def postgres(_: Checkup) -> AsyncIterator[Finding]:
    for check in (doctor.postgres, doctor.connections, doctor.transactions):
        yield await in_database(check)


async def clock(checkup: Checkup) -> AsyncIterator[Finding]:
    asked_at = checkup.now()
    theirs = await in_database(doctor.now_of_database)
    yield doctor.clock(asked_at, checkup.now(), theirs)


async def migrations(checkup: Checkup) -> AsyncIterator[Finding]:
    """Only the owner reads what was done."""
    yield await asyncio.to_thread(_migrations, _owner(checkup.settings.database))


def _owner(settings: DatabaseSettings) -> str:
    return settings.owner_url.get_secret_value() or database.pool.target.url


def _migrations(url: str) -> Finding:
    try:
        waiting = pending(url)
    except MigrationRefused as error:
        return bad("database.migrations", str(error), "deploy the code that the database was migrated by")
    except psycopg2.Error as error:
        said = f"What was migrated cannot be read: {str(error).strip().splitlines()[0]}"
        return bad("database.migrations", said, "set database.owner_url to the role that owns the tables")
    if waiting:
        return bad("database.migrations", f"Not done yet: {', '.join(waiting)}.", "run `make migrate`")
    return ok("database.migrations", "All are done.")


async def keys(checkup: Checkup) -> AsyncIterator[Finding]:
    if checkup.ring is None:
        where = "security.encryption_keys" if not checkup.settings.database.is_embedded else "beside the data"
        fix = f"look at {where}; docs/runbook.md, A key for secrets was lost"
        yield bad("security.keys", "The keys for secrets cannot be read.", fix)
    else:
        yield await in_database(doctor.keys, checkup.ring)


async def work(checkup: Checkup) -> AsyncIterator[Finding]:
    """Who runs, and what waits for them."""
    running, measured = await in_database(doctor.who_and_how_much)
    findings: Iterable[Callable[[], Iterable[Finding]]] = (
        lambda: doctor.who_runs(running),
        lambda: doctor.queues(measured),
        lambda: doctor.looked_after(measured, checkup.settings.waha.servers),
    )
    for found in findings:
        for finding in found():
            yield finding
