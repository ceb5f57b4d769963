"""Looks after incidents: what is the matter with sessions and servers is begun, joined, told and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from daemon.loops import Crew
from database import in_database
from database.notifications import Wakeup
from operations import telling
from operations.telling import Due
from operations.telling_operators import look_after_installation
from settings.logs import get_logger

log = get_logger(__name__)

# An incident is open for days, as of a phone that nobody finds: what did not change is looked at this often.
RESTS_SECONDS = 30.0
# Each change of any session wakes; what comes in a burst is seen in one look.
PAUSE_SECONDS = 0.5


class Looks:
    """Which tenants this daemon has looked at as they are now; times are seconds of any clock that only goes on."""

    def __init__(self) -> None:
        self._looked: dict[UUID, tuple[str, float]] = {}

    def to_look_at(self, due: Sequence[Due], at: float) -> list[UUID]:
        """Those of whom something changed, is young, or was not looked at for long; they count as looked at."""
        known = self._looked
        self._looked = {one.tenant_id: known[one.tenant_id] for one in due if one.tenant_id in known}
        found = [one for one in due if one.is_young or self._is_another(one, at)]
        self._looked.update({one.tenant_id: (one.mark, at) for one in found})
        return [one.tenant_id for one in found]

    def _is_another(self, one: Due, at: float) -> bool:
        mark, looked_at = self._looked.get(one.tenant_id, ("", 0.0))
        return mark != one.mark or at - looked_at >= RESTS_SECONDS


class Incidents:
    """Every daemon looks, a tenant at a time under its lock: whoever comes second finds it told."""

    def __init__(self, wakeup: Wakeup, *, operators: Collection[str]) -> None:
        self._operators = operators
        self._looks = Looks()
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self) -> bool:
        told = await self._look(look_after_installation)
        due = await in_database(telling.due)
        for tenant_id in self._looks.to_look_at(due, asyncio.get_running_loop().time()):
            told += await self._look(telling.look_after, tenant_id)
        if told:
            log.info("incidents told", messages=told)
        return False

    async def _look(self, look_after: Callable[..., int], *tenant: UUID) -> int:
        try:
            return await in_database(look_after, *tenant, operators=self._operators)
        except Exception:  # one tenant's trouble, or the operators', keeps nobody else's from being told
            log.exception("incidents are not looked after", tenant_id=tenant[0] if tenant else None)
            return 0
