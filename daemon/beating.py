"""This daemon says that it runs, with which roles: for the doctor and the metrics."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence

from daemon.loops import until
from database import in_database
from models import ProcessKind, uuid7
from operations import processes
from settings.logs import get_logger

log = get_logger(__name__)


async def beat(roles: Sequence[str], stopping: asyncio.Event) -> None:
    """Until the daemon stops; then at once it is not counted any more."""
    process_id, name = uuid7(), f"{socket.gethostname()}:{os.getpid()}"
    while True:
        try:
            await in_database(processes.beat, process_id, ProcessKind.DAEMON, name, roles=roles)
        except Exception as error:  # noqa: BLE001 - the edge of a worker; it is said again at the next beat
            log.warning("this daemon could not say that it runs", reason=str(error))
        if await until(stopping, processes.BEAT_SECONDS):
            break
    try:
        await in_database(processes.end, process_id)
    except Exception as error:  # noqa: BLE001 - it is found out by its silence
        log.debug("this daemon could not say that it ends", reason=str(error))
