"""Looks after the sessions of one WAHA server: what people want against what is, one list call a poll."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from daemon.configuring import Setups
from daemon.controls import Controls
from daemon.deadlines import RESTLESS_TIMES, RESTLESS_WITHIN, Plan, observations, plan
from daemon.loops import Crew
from daemon.misplaced import Misplaced
from daemon.numbers import LimitsHeard
from daemon.polling import Poller
from daemon.servers import Server
from database import in_database
from database.notifications import Wakeup
from operations import controlling, observing
from operations.observing import PollLease, Wanted
from settings import DaemonSettings
from settings.logs import get_logger
from waha.payloads import SessionInfo

log = get_logger(__name__)

# However often it is woken, by webhooks of all its sessions say: WAHA is asked once a second at most, and this process
# is at it for a fifth of its time.
_PAUSE_SECONDS = 1.0
_SHARE_OF_TIME = 0.2


class Reconciler:
    """One server, as long as this daemon holds its lease."""

    def __init__(self, server: Server, daemon: DaemonSettings, wakeup: Wakeup, operators: Collection[str] = ()) -> None:
        self._server = server
        self._poll_seconds = daemon.poll_seconds
        # Missed by two polls, a daemon is taken for dead.
        self._lease_seconds = max(3 * daemon.poll_seconds, 5)
        self._token: UUID = uuid4()
        self._held_until = 0.0
        self._next_at = 0.0
        self._poller = Poller(server)
        self._misplaced = Misplaced(server.name, operators)
        self._limits = LimitsHeard(server.name)
        self._setups = Setups(server, operators)
        self._controls = Controls(server, wakeup)
        self.wakeup = wakeup

    @property
    def crew(self) -> Crew:
        """The control calls under way."""
        return self._controls.crew

    async def step(self) -> bool:
        """Look, but not right after the last time."""
        await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
        began_at = time.monotonic()
        await self.look()
        ended_at = time.monotonic()
        busy = (ended_at - began_at) / _SHARE_OF_TIME
        self._next_at = ended_at + min(max(_PAUSE_SECONDS, busy), self._poll_seconds)
        return False

    async def look(self, now: datetime | None = None) -> None:
        """Ask WAHA, write what is new, begin what is to be done; without `now` by PostgreSQL's clock."""
        if not await self._holds():
            return
        poll = await self._poller.poll(now or datetime.now(UTC))
        if poll is None:
            return
        wanted = await in_database(observing.sessions_of, self._server.name, now=now)
        wanted = await self._misplaced.look(wanted, poll)
        wanted = await self._compare(wanted, poll.sessions, poll.at)
        await self._limits.hear(poll.sessions.values())
        await self._setups.look(wanted, poll.sessions, now)
        await self._act(wanted, poll.sessions, now)

    async def hand_over(self) -> None:
        """Let another daemon look after the server at once; without it they would wait for the end of the lease."""
        await in_database(observing.release_server, PollLease(self._server.name, self._token))

    async def _holds(self) -> bool:
        """Take or renew the right to look after the server; while half of it is left, nothing is written."""
        asked_at = time.monotonic()
        if asked_at < self._held_until - self._lease_seconds / 2:
            return True
        lease = timedelta(seconds=self._lease_seconds)
        taken = await in_database(observing.lease_server, self._server.name, token=self._token, lease=lease)
        self._held_until = asked_at + self._lease_seconds if taken is not None else 0.0
        return taken is not None

    async def _compare(self, wanted: list[Wanted], seen: Mapping[str, SessionInfo], at: datetime) -> list[Wanted]:
        """Write what differs from what is known, and give the sessions as they are known then."""
        fresh = await asyncio.to_thread(observations, wanted, seen)
        if not fresh:
            return wanted
        moved = await in_database(observing.record_poll, self._server.name, fresh, at=at)
        if moved:
            log.info("sessions changed", server=self._server.name, sessions=len(moved))
        status_of = {one.session_id: one.status for one in moved}
        return [
            replace(one, status=status_of[one.session_id], status_for=timedelta(0))
            if one.session_id in status_of
            else one
            for one in wanted
        ]

    async def _act(self, wanted: list[Wanted], seen: Mapping[str, SessionInfo], now: datetime | None) -> None:
        since = (now or datetime.now(UTC)) - RESTLESS_WITHIN
        restless = await in_database(observing.restless, self._server.name, since=since, times=RESTLESS_TIMES)
        found = await asyncio.to_thread(plan, wanted, seen, restless)
        await self._note(found, now)
        await self._controls.begin(found.steps, on_trial=found.failing_together, now=now)

    async def _note(self, found: Plan, now: datetime | None) -> None:
        if found.settled:
            ids = [session.session_id for session in found.settled]
            await in_database(controlling.settle, self._server.name, ids)
        for session, cause in found.stuck:
            log.warning("session hangs", session_id=session.session_id, reason=cause)
            await in_database(controlling.begin_stuck, session, cause, now=now)
        for session in found.freed:
            await in_database(controlling.end_stuck, session, now=now)
        for session, kind in found.given_up:
            if await in_database(controlling.give_up, session, kind, now=now):
                log.error("session is not restarted again today", session_id=session.session_id, trouble=kind.value)
