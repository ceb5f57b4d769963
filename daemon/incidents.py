"""Looks after incidents: what is the matter with sessions and servers is begun, joined, told and ended."""

from __future__ import annotations

from collections.abc import Collection

from daemon.loops import Crew
from database import in_database
from database.notifications import Wakeup
from operations import telling
from operations.telling_operators import look_after_installation
from settings.logs import get_logger

log = get_logger(__name__)


class Incidents:
    """Every daemon looks, a tenant at a time under its lock: whoever comes second finds it told."""

    def __init__(self, wakeup: Wakeup, *, operators: Collection[str]) -> None:
        self._operators = operators
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self) -> bool:
        told = await in_database(look_after_installation, operators=self._operators)
        for tenant_id in await in_database(telling.due):
            try:
                told += await in_database(telling.look_after, tenant_id, operators=self._operators)
            except Exception:  # one tenant's trouble keeps nobody else's from being told
                log.exception("incidents of a tenant are not looked after", tenant_id=tenant_id)
        if told:
            log.info("incidents told", messages=told)
        return False
