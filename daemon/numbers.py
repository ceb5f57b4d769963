"""Looks after phone numbers: has them measured, and hands on what WAHA tells of their limits."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from database import in_database
from database.notifications import Wakeup
from operations import number_health
from operations.number_health import LimitsTold, Number
from settings import NumberSettings
from settings.logs import get_logger
from waha.payloads import SessionInfo

log = get_logger(__name__)

MEASURE_EVERY_SECONDS = 60.0


class NumberWatch:
    """Measures all numbers in which something happened since they were last measured."""

    def __init__(self, numbers: NumberSettings) -> None:
        self._numbers = numbers
        self.wakeup = Wakeup()

    async def step(self) -> bool:
        found = await in_database(number_health.to_measure)
        measured = 0
        for number in found:
            measured += await self._measure(number)
        if measured:
            log.info("numbers measured", numbers=measured)
        return len(found) == number_health.AT_ONCE and measured > 0

    async def _measure(self, number: Number) -> bool:
        try:
            await in_database(number_health.measure, number, self._numbers)
        except Exception:  # one number's trouble keeps no other from being measured
            log.exception("number not measured", session_id=number.session_id)
            await in_database(number_health.pass_over, number)
            return False
        return True


class LimitsHeard:
    """What a server's poll tells of accounts, kept where it is another than before: a quiet poll writes nothing."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._known: dict[str, LimitsTold] | None = None

    async def hear(self, sessions: Iterable[SessionInfo]) -> None:
        if self._known is None:
            told = await in_database(number_health.told_before, self._server)
            self._known = {one.external_session_id: one for one in told}
        known = self._known
        fresh = [now for now in _limits_in(sessions, known) if now != known.get(now.external_session_id)]
        kept = [one for one in fresh if await self._keep(one)]
        known |= {one.external_session_id: one for one in kept}
        if kept:
            log.info("limits of numbers changed", server=self._server, numbers=len(kept))

    async def _keep(self, told: LimitsTold) -> bool:
        try:
            await in_database(number_health.record_told, self._server, [told])
        except Exception:  # one number's trouble keeps nothing else of its server from being looked after
            log.exception("limits of a number not kept", session=told.external_session_id)
            return False
        return True


def _limits_in(sessions: Iterable[SessionInfo], known: Container[str]) -> Iterator[LimitsTold]:
    """Of accounts of which something is told, or was: of most nothing ever is."""
    for session in sessions:
        me = session.me
        if me is not None and (me.restricted_until or me.capping or session.name in known):
            yield LimitsTold(session.name, me.restricted_until, me.capping)
