"""The bot says that it runs, and how many sockets to Slack it has: for the doctor and the metrics."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from uuid import UUID

from database import in_database
from models import ProcessKind, uuid7
from operations import processes
from settings.logs import get_logger

log = get_logger(__name__)


async def beat(sockets: Callable[[], Awaitable[int | None]]) -> None:
    """Until it is cancelled, which is the end of the bot. `sockets` is None where Slack posts to us."""
    process_id, name = uuid7(), f"{socket.gethostname()}:{os.getpid()}"
    try:
        while True:
            await _say(process_id, name, await sockets())
            await asyncio.sleep(processes.BEAT_SECONDS)
    finally:
        try:
            await in_database(processes.end, process_id)
        except Exception as error:  # noqa: BLE001 - it is found out by its silence
            log.debug("the bot could not say that it ends", reason=str(error))


async def _say(process_id: UUID, name: str, sockets: int | None) -> None:
    facts = {} if sockets is None else {"sockets": sockets}
    try:
        await in_database(processes.beat, process_id, ProcessKind.BOT, name, facts=facts)
    except Exception as error:  # noqa: BLE001 - it is said again at the next beat
        log.warning("the bot could not say that it runs", reason=str(error))
