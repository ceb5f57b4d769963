"""Asks one WAHA server how it and its sessions are, in two calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.servers import Server
from database import in_database
from models import ServerState
from operations import observing
from settings.logs import get_logger
from waha.errors import WahaError, WahaKeyRefused
from waha.payloads import ServerVersion, SessionInfo

log = get_logger(__name__)


@dataclass(frozen=True)
class Poll:
    """What a server told.

    Args:
        at: when it was asked; it may have been otherwise a moment later.
        sessions: by their name on WAHA, without those that another WAHA with the same database runs: they are STOPPED
            here whatever they are there.
        anothers: the names of these, and the WAHA process that runs each.
    """

    at: datetime
    sessions: Mapping[str, SessionInfo]
    anothers: Mapping[str, str]


class Poller:
    """One server; what it is stays as it is while it runs, so that is asked for once a start."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._version: tuple[datetime, ServerVersion] | None = None

    async def poll(self, at: datetime) -> Poll | None:
        """All sessions of the server, and write what the server is; None when it did not answer."""
        name, client = self._server.name, self._server.client
        try:
            status = await client.server_status()
            version = await self._version_since(status.started_at)
            sessions = await client.list_sessions()
        except WahaKeyRefused as error:
            sentence = (
                f"{error.sentence} A WAHA without a strong key of its own makes a new one at every start: "
                f"compare its WAHA_API_KEY with waha.servers.{name}.api_key."
            )
            await self._record(ServerState.KEY_REFUSED, at, error_message=sentence)
            return None
        except WahaError as error:
            await self._record(ServerState.DOWN, at, error_message=error.sentence)
            return None
        await self._record(ServerState.UP, at, version=version, started_at=status.started_at)
        return _sorted(at, sessions, version.worker)

    async def _version_since(self, started_at: datetime) -> ServerVersion:
        if self._version is None or self._version[0] != started_at:
            self._version = started_at, await self._server.client.version()
        return self._version[1]

    async def _record(
        self,
        state: ServerState,
        at: datetime,
        *,
        error_message: str | None = None,
        version: ServerVersion | None = None,
        started_at: datetime | None = None,
    ) -> None:
        before, restarted = await in_database(
            observing.record_server,
            self._server.name,
            state,
            error_message=error_message,
            version=version.version if version else None,
            engine=version.engine if version else None,
            start_timestamp=int(started_at.timestamp() * 1000) if started_at else None,
            worker_id=version.worker if version else None,
            at=at,
        )
        if before != state:
            say = log.info if state is ServerState.UP else log.error
            say("WAHA server changed", server=self._server.name, state=state.value, reason=error_message)
        if restarted:
            log.warning("WAHA was restarted: webhooks that it had yet to repeat are lost", server=self._server.name)


def _sorted(at: datetime, sessions: list[SessionInfo], worker: str | None) -> Poll:
    own: dict[str, SessionInfo] = {}
    anothers: dict[str, str] = {}
    for info in sessions:
        if worker and info.assigned_worker and info.assigned_worker != worker:
            anothers[info.name] = info.assigned_worker
        else:
            own[info.name] = info
    return Poll(at, own, anothers)
