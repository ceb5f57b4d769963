"""Carries out what is to be done about the sessions of one server: several at once, few enough, one call a session."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from daemon.deadlines import Step, pause_after
from daemon.loops import Crew
from daemon.servers import Server, session_config
from database import in_database
from database.notifications import Wakeup
from operations import controlling
from settings.logs import get_logger
from waha.errors import SessionExists, WahaBusy, WahaError, WahaUncertain

log = get_logger(__name__)

AT_ONCE = 10
# Longer than the longest control call, so that no session has two calls at once, of two daemons neither.
_CLAIM = timedelta(seconds=60)
# A browser at each start: more at once and the machine is out of memory.
_BETWEEN_BROWSERS = timedelta(seconds=5)
# While sessions fail together, a few restarts show whether restarting helps; they work again, or the others would not.
_BETWEEN_TRIALS = timedelta(seconds=30)
_FIRST_LOOK, _LAST_LOOK = timedelta(seconds=10), timedelta(minutes=5)
_MADE_WHEN_BUSY_WITHIN = 2 * _LAST_LOOK
_BROWSERS = frozenset({"WEBJS"})
_NOT_REACHED = frozenset({502, 503})


@dataclass
class _Pace:
    """When the next one may begin."""

    between: timedelta
    next_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        return self.next_at is None or now >= self.next_at

    def began(self, now: datetime) -> None:
        self.next_at = now + self.between


class Controls:
    """The control calls of one server that are under way."""

    def __init__(self, server: Server, wakeup: Wakeup) -> None:
        self._server = server
        self._wakeup = wakeup
        self.crew = Crew(AT_ONCE, wakeup)
        self._under_way: set[UUID] = set()
        self._uncertain: dict[UUID, int] = {}
        self._busy_at: dict[UUID, datetime] = {}
        self._browsers = _Pace(_BETWEEN_BROWSERS)
        self._trials = _Pace(_BETWEEN_TRIALS)

    async def begin(self, steps: Collection[Step], *, on_trial: bool, now: datetime | None = None) -> int:
        """Begin as many as may be begun now, and return how many; the rest is found again by the next poll.

        `on_trial`: so many sessions fail that restarts are tried out one after another.
        """
        chosen = self._choose(steps, now or datetime.now(UTC), on_trial=on_trial)
        if not chosen:
            return 0
        ids = [step.wanted.session_id for step in chosen]
        claimed = await in_database(controlling.claim, self._server.name, ids, lease=_CLAIM, now=now)
        for step in chosen:
            if step.wanted.session_id in claimed:
                self._under_way.add(step.wanted.session_id)
                self.crew.start(self._carry_out(step, now), verb=step.verb, session_id=str(step.wanted.session_id))
        return len(claimed)

    def _choose(self, steps: Collection[Step], now: datetime, *, on_trial: bool) -> list[Step]:
        chosen: list[Step] = []
        for step in steps:
            if len(chosen) >= self.crew.free:
                break
            if step.wanted.session_id not in self._under_way and self._may_begin(step, now, on_trial=on_trial):
                chosen.append(step)
        return chosen

    def _may_begin(self, step: Step, now: datetime, *, on_trial: bool) -> bool:
        paces = []
        if step.verb != "stop" and step.wanted.engine in _BROWSERS:
            paces.append(self._browsers)
        if step.verb == "restart" and on_trial:
            paces.append(self._trials)
        if not all(pace.is_over(now) for pace in paces):
            return False
        for pace in paces:
            pace.began(now)
            asyncio.get_running_loop().call_later(pace.between.total_seconds(), self._wakeup.ring)
        return True

    async def _carry_out(self, step: Step, now: datetime | None) -> None:
        try:
            await self._try(step, now)
        finally:
            self._under_way.discard(step.wanted.session_id)

    async def _try(self, step: Step, now: datetime | None) -> None:
        session = step.wanted
        if self._was_made_when_busy(step, now or datetime.now(UTC)):
            await self._done(step, now, is_answered=False)
            return
        try:
            await self._call(step)
        except SessionExists:
            pass  # an earlier call that we never heard of created it
        except WahaUncertain as unknown:
            if step.verb == "restart" and _may_be_done(unknown):
                # Counted and paced as made: one that takes longer than we wait would have no limit otherwise.
                log.warning("restart not answered", session_id=session.session_id, reason=unknown.sentence)
                await self._done(step, now, is_answered=False)
                return
            # The next poll shows what became of it, so it is no attempt.
            self._busy_at[session.session_id] = now or datetime.now(UTC)
            pause = self._look_again(session.session_id)
            log.info("session is seen to again", verb=step.verb, session_id=session.session_id, reason=unknown.sentence)
            await in_database(controlling.tried, session, pause=pause, counts=False, now=now)
            return
        except WahaError as failed:
            log.warning("session not controlled", verb=step.verb, session_id=session.session_id, reason=failed.sentence)
            pause = pause_after("start", session.control_attempts)
            await in_database(controlling.tried, session, pause=pause, error=failed.sentence, now=now)
            return
        await self._done(step, now)

    async def _done(self, step: Step, now: datetime | None, *, is_answered: bool = True) -> None:
        session = step.wanted
        self._uncertain.pop(session.session_id, None)
        log.info("session controlled", verb=step.verb, session_id=session.session_id, is_answered=is_answered)
        if step.verb == "restart" and step.kind is not None:
            await in_database(controlling.restarted, session, step.kind, is_answered=is_answered, now=now)
        elif step.verb == "start":
            await in_database(controlling.started_again, session, now=now)
        tries = session.restarts_today if step.verb == "restart" else session.control_attempts
        await in_database(controlling.tried, session, pause=pause_after(step.verb, tries), now=now)

    def _was_made_when_busy(self, step: Step, now: datetime) -> bool:
        """Whether a restart moved its session though WAHA said that it was busy: it may keep the lock for too long."""
        busy_at = self._busy_at.pop(step.wanted.session_id, None)
        if step.verb != "restart" or busy_at is None or step.wanted.status_for is None:
            return False
        return now - step.wanted.status_for > busy_at > now - _MADE_WHEN_BUSY_WITHIN

    def _look_again(self, session_id: UUID) -> timedelta:
        """10 s, 20 s … up to 5 minutes, each up to half longer, so that not all that were busy come back at once."""
        before = self._uncertain[session_id] = self._uncertain.get(session_id, -1) + 1
        pause: timedelta = min(_FIRST_LOOK * 2 ** min(before, 10), _LAST_LOOK)
        return pause * random.uniform(1.0, 1.5)  # noqa: S311 - no secret

    async def _call(self, step: Step) -> None:
        client, session = self._server.client, step.wanted
        name = session.external_session_id
        match step.verb:
            case "create":
                creation = await in_database(controlling.creation_of, session.tenant_id, session.session_id)
                if creation is not None:
                    await client.create_session(name, session_config(creation, self._server), start=True)
            case "start":
                await client.start_session(name)
            case "restart":
                await client.restart_session(name)
            case "stop":
                await client.stop_session(name)


def _may_be_done(unknown: WahaUncertain) -> bool:
    """Whether WAHA may have carried out what it gave no answer to; busy, or behind a bad gateway, it has not begun."""
    return not isinstance(unknown, WahaBusy) and unknown.http_status not in _NOT_REACHED
