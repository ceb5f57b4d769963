"""Notices sessions of ours that run on a server which is not their own. Nothing is stopped because of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from daemon.polling import Poll
from daemon.session_setup import mark_of
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
        await self._of_others({name: mark for name in poll.sessions.keys() - names if (mark := _runs_as(poll, name))})
        for name in (names & poll.anothers.keys()) - self._said:
            self._said.add(name)
            log.error("another WAHA runs the session", server=self._server, worker=poll.anothers[name])
            await in_database(
                controlling.run_by_another, self._server, name, poll.anothers[name], operators=self._operators
            )
        return [one for one in wanted if one.external_session_id not in poll.anothers]

    async def _of_others(self, runs: Mapping[str, str]) -> None:
        """What runs here with a mark, by name, may be another Switchboard's; what is new is looked up."""
        new = runs.keys() - self._looked_up
        self._looked_up = frozenset(runs)
        if not new:
            return
        found = await in_database(
            controlling.elsewhere, self._server, {name: runs[name] for name in new}, operators=self._operators
        )
        for one in found:
            log.error("session runs on a server that is not its own", session_id=one.session_id, server=self._server)


def _runs_as(poll: Poll, name: str) -> str:
    """The mark of a session of a Switchboard that runs; "" of one that does not, or has none.

    A name tells nothing: each WAHA may have a session called `default`, with an account of somebody else.
    """
    info = poll.sessions[name]
    return mark_of(info.config) if info.waha_status != "STOPPED" else ""
