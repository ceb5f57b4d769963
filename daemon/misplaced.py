"""Notices sessions of ours that run on a server which is not their own. Nothing is stopped because of it."""

from __future__ import annotations

from collections.abc import Collection

from daemon.polling import Poll
from database import in_database
from operations import controlling
from operations.observing import Wanted
from settings.logs import get_logger

log = get_logger(__name__)


class Misplaced:
    """Of one server, each said once while this daemon looks after it; operators are told once at all."""

    def __init__(self, server: str, operators: Collection[str]) -> None:
        self._server = server
        self._operators = operators
        self._looked_up: frozenset[str] = frozenset()
        self._said: set[str] = set()

    async def look(self, wanted: Collection[Wanted], poll: Poll) -> list[Wanted]:
        """Those of `wanted` that this server tells of truly."""
        names = {one.external_session_id for one in wanted}
        await self._of_others({name for name in poll.sessions.keys() - names if _runs(poll, name)})
        for name in (names & poll.anothers.keys()) - self._said:
            self._said.add(name)
            log.error("another WAHA runs the session", server=self._server, worker=poll.anothers[name])
            await in_database(
                controlling.run_by_another, self._server, name, poll.anothers[name], operators=self._operators
            )
        return [one for one in wanted if one.external_session_id not in poll.anothers]

    async def _of_others(self, runs: set[str]) -> None:
        """What runs here without being ours may be anybody's; what is new is looked up."""
        new = runs - self._looked_up
        self._looked_up = frozenset(runs)
        if not new:
            return
        found = await in_database(controlling.elsewhere, self._server, sorted(new), operators=self._operators)
        for one in found:
            log.error("session runs on a server that is not its own", session_id=one.session_id, server=self._server)


def _runs(poll: Poll, name: str) -> bool:
    return poll.sessions[name].waha_status != "STOPPED"
