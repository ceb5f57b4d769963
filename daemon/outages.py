"""Notices that Slack or PostgreSQL cannot be reached, and tells it by another way than Slack, once each way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from daemon.loops import Crew
from daemon.second_channel import SecondChannel
from daemon.slack_health import SlackHealth
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import outages
from operations.outages import LASTS
from operations.telling_words import lasted
from settings.logs import get_logger
from slack.errors import SlackError, SlackNotSent, SlackTokenRefused, SlackUncertain

log = get_logger(__name__)

# A call failed and nothing is tried again, since what it was about was posted by others or is parked: Slack is asked.
_ASK_AFTER = timedelta(seconds=30)
# Longer than whatever is tried again waits for its lease to end: then nothing here asks Slack any more.
_ASK_AT_LAST_AFTER = timedelta(minutes=3)


def _now() -> datetime:
    return datetime.now(UTC)


class Outages:
    """What Slack's outage is, all daemons agree on in the table; of PostgreSQL's each one has its own view.

    Args:
        health: what this daemon knows of Slack at the moment.
        ask_slack: a call that changes nothing, for when nobody else calls.
    """

    def __init__(
        self,
        health: Callable[[], SlackHealth],
        channel: SecondChannel,
        wakeup: Wakeup,
        *,
        ask_slack: Callable[[], Awaitable[object]] | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._health = health
        self._ask_slack = ask_slack
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
        health = self._health()
        if health.failed_at is not None:
            await self._prove(health, health.failed_at)
        if health.failing_since is not None and health.away(self._clock()):
            await self._begin(health, health.failing_since)
        if await in_database(outages.end):
            log.info("Slack is reached again")
        outage = await in_database(outages.to_tell)
        if outage is None or not await self._channel.tell(outages.sentence(outage)):
            return False
        await in_database(outages.told, outage)
        return True

    async def _prove(self, health: SlackHealth, failed_at: datetime) -> None:
        """What Slack took since, from whichever daemon, or that it answers now, ends what failed here once."""
        posted_at = await in_database(outages.last_posted)
        if posted_at is not None and posted_at > failed_at:
            health.answered()
            return
        quiet = self._clock() - failed_at
        if self._ask_slack is None or quiet < _ASK_AFTER:
            return
        if quiet < _ASK_AT_LAST_AFTER and await in_database(outages.do_posts_wait, now=self._clock()):
            return
        try:
            await self._ask_slack()
        except (SlackNotSent, SlackUncertain, SlackTokenRefused) as error:
            health.failed(error.sentence, self._clock())
        except SlackError:
            health.answered()
        else:
            health.answered()

    async def _begin(self, health: SlackHealth, failing_since: datetime) -> None:
        reason, now = health.reason, self._clock()
        if await in_database(outages.begin, reason, since=failing_since, now=now):
            log.error("Slack cannot be reached", reason=reason, since=failing_since.isoformat())

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
