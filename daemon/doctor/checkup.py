"""What every check is given, and how one that fails or hangs takes no other with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from database import DatabaseUnavailable
from operations.encryption import KeyRing
from operations.findings import Finding, bad
from settings import Settings
from settings.keys import variable_of
from settings.logs import get_logger

log = get_logger(__name__)

WITHIN_SECONDS = 8.0


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Checkup:
    """One look at everything.

    Args:
        ring: the keys for secrets; None where the database is away, or they cannot be read.
        has_database: whether it is open; without it only what needs none is looked at.
        now: this machine's clock.
    """

    settings: Settings
    ring: KeyRing | None = field(repr=False)
    has_database: bool
    now: Callable[[], datetime] = utc_now


Check = Callable[[Checkup], AsyncIterator[Finding]]


async def look(name: str, check: Check, checkup: Checkup, *, within: float = WITHIN_SECONDS) -> list[Finding]:
    """What a check finds, and that it failed where it did; it raises nothing."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(within):
            async for finding in check(checkup):
                found.append(finding)  # noqa: PERF401 - what was found stands when the rest fails
    except TimeoutError:
        found.append(
            bad(name, f"No end of it within {within:g} s.", "see whether something on the way hangs; try again")
        )
    except DatabaseUnavailable as error:
        found.append(bad(name, f"The database did not answer: {error}", "mend `database.reached` first"))
    except Exception as error:  # the edge of a check
        log.exception("a check of the doctor failed", check=name)
        sentence = f"The check itself failed ({type(error).__name__})."
        found.append(bad(name, sentence, "give the trace in the log to whoever looks after Switchboard"))
    return found


async def together(*findings: Awaitable[list[Finding]]) -> list[Finding]:
    return [finding for found in await asyncio.gather(*findings) for finding in found]


def set_to(*key: str) -> str:
    """`set waha.servers.main.url (SWITCHBOARD_WAHA__SERVERS__MAIN__URL)`."""
    return f"set {'.'.join(key)} ({variable_of(key)})"
