"""Keeps the homes of people who look at them up to date."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from daemon.loops import Crew
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import home_views
from operations.home_facts import Waiting
from operations.home_views import NOT_BEFORE
from settings.logs import get_logger

log = get_logger(__name__)

_TOGETHER = 20


class News(Wakeup):
    """Rings when sessions or incidents change, and remembers it for as long as a home may have to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._rung_at: datetime | None = None

    def ring(self) -> None:
        self._rung_at = datetime.now(UTC)
        super().ring()

    def heard(self, now: datetime) -> bool:
        """Whether something may have changed since a home was last looked at."""
        return self._rung_at is not None and now - self._rung_at <= 2 * NOT_BEFORE


class Homes:
    """Looks at the homes that are due, and publishes those that would show something else."""

    def __init__(self, wakeup: News, operators: Collection[str]) -> None:
        self._operators = operators
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self, now: datetime | None = None) -> bool:
        at = now or datetime.now(UTC)
        views = await in_database(home_views.claim, _TOGETHER, has_news=self.wakeup.heard(at), now=at)
        waiting = Waiting(at)
        for view in views:
            try:
                if await in_database(home_views.refresh, view, operators=self._operators, now=at, waiting=waiting):
                    log.info("home published", team_id=view.team_id, user_id=view.user_id)
            except DatabaseUnavailable:
                raise
            except Exception:  # one person's home keeps nobody else's from being shown
                log.exception("home cannot be shown", team_id=view.team_id, user_id=view.user_id)
        return len(views) == _TOGETHER
