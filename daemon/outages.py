"""Notices that Slack or PostgreSQL cannot be reached, and tells it by another way than Slack, once each way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from daemon.loops import Crew
from daemon.second_channel import SecondChannel
from daemon.slack_health import SlackHealth
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import outages
from operations.outages import LASTS
from operations.telling_words import lasted
from settings.logs import get_logger

log = get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Outages:
    """What Slack's outage is, all daemons agree on in the table; of PostgreSQL's each one has its own view."""

    def __init__(
        self, health: SlackHealth, channel: SecondChannel, wakeup: Wakeup, *, clock: Callable[[], datetime] = _now
    ) -> None:
        self._health = health
        self._channel = channel
        self._clock = clock
        self._database_away_since: datetime | None = None
        self._is_database_told = False
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self) -> bool:
        try:
            found = await self._look_at_slack()
        except DatabaseUnavailable as error:
            await self._database_is_away(error)
            return False
        await self._database_is_back()
        return found

    async def _look_at_slack(self) -> bool:
        since, reason = self._health.failing_since, self._health.reason
        if (
            since is not None
            and self._health.away(self._clock())
            and await in_database(outages.begin, reason, since=since, now=self._clock())
        ):
            log.error("Slack cannot be reached", reason=reason, since=since.isoformat())
        if await in_database(outages.end):
            log.info("Slack is reached again")
        outage = await in_database(outages.to_tell)
        if outage is None or not await self._channel.tell(outages.sentence(outage)):
            return False
        await in_database(outages.told, outage)
        return True

    async def _database_is_away(self, error: DatabaseUnavailable) -> None:
        now = self._clock()
        self._database_away_since = since = self._database_away_since or now
        if now - since < LASTS or self._is_database_told:
            return
        log.error("PostgreSQL cannot be reached", reason=str(error), since=since.isoformat())
        self._is_database_told = await self._channel.tell(
            f"Switchboard's daemon cannot reach PostgreSQL since {since:%Y-%m-%d %H:%M:%S} UTC. WAHA keeps what "
            'customers write and tells it again; commands in Slack are answered "not saved". Next: start PostgreSQL, '
            "or look at the network between it and the daemon; nothing else has to be restarted."
        )

    async def _database_is_back(self) -> None:
        if self._database_away_since is None:
            return
        after = lasted(self._clock() - self._database_away_since)
        if self._is_database_told and not await self._channel.tell(
            f"Switchboard's daemon reaches PostgreSQL again, after {after}. What waited is taken up by itself. "
            "Next: nothing."
        ):
            return
        self._database_away_since = None
        self._is_database_told = False
