"""Everybody who is known is looked up again: after nobody listened, when a change may have been missed, and daily.

A command and a click look by themselves. Whoever only replies in threads is never looked up otherwise: the daemon's
inbox asks the network nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from bot.outsiders import ask, log_unsaid
from database import DatabaseUnavailable, in_database
from operations import slack_people
from operations.standing import Person
from settings.logs import get_logger
from slack.client import SlackClient
from slack.errors import SlackError, SlackRateLimited, SlackRefused

# Younger than this is what somebody has just been asked about.
AFTER_A_GAP = timedelta(minutes=1)
DAILY = timedelta(days=1)
LOOK_EVERY_SECONDS = 3600.0
RETRY_SECONDS = 60.0
# `users.info` may be asked for a hundred times a minute, and commands need some of them.
PAUSE_SECONDS = 1.0

log = get_logger(__name__)


@dataclass(frozen=True)
class _Round:
    """A look at everybody who was not asked about for so long when it began."""

    older_than: timedelta
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def span(self) -> timedelta:
        """How long ago who is still to be looked at was asked about; whoever was since is done with."""
        passed = timedelta(seconds=asyncio.get_running_loop().time() - self.began)
        return min(self.older_than + passed, DAILY)


class RollCall:
    """Looks again. `is_served` says whose token there is, and `client_of` gives the client for it."""

    def __init__(
        self,
        client_of: Callable[[str], SlackClient],
        is_served: Callable[[str], bool],
        *,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._client_of = client_of
        self._is_served = is_served
        self._retry_seconds = retry_seconds
        self._gap = asyncio.Event()

    def after_gap(self) -> None:
        """Nobody listened for a while."""
        self._gap.set()

    async def run(self) -> None:
        """Look for ever; a round in which somebody was not answered for is gone on with soon."""
        left: _Round | None = None
        while True:
            is_gap = await self._gap_within(self._retry_seconds if left is not None else LOOK_EVERY_SECONDS)
            self._gap.clear()
            now = _Round(AFTER_A_GAP) if is_gap else left or _Round(DAILY)
            left = None if await self._is_done(now) else now

    async def _gap_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._gap.wait()
        except TimeoutError:
            return False

    async def _is_done(self, now: _Round) -> bool:
        try:
            return await self._look(now.span())
        except DatabaseUnavailable as error:
            log.warning("people are looked up again later", reason=str(error))
        except Exception:  # nobody waits for this task: it would be over, and nobody would know
            log.exception("people could not be looked up")
        return False

    async def _look(self, older_than: timedelta) -> bool:
        """Ask about everybody; False when somebody has to be asked about again."""
        is_done = True
        for person in await in_database(slack_people.not_asked_for, older_than):
            if self._is_served(person.team_id):
                is_done &= await self._look_at(person)
                await asyncio.sleep(PAUSE_SECONDS)
        return is_done

    async def _look_at(self, person: Person) -> bool:
        try:
            await ask(person, self._client_of(person.team_id))
        except SlackRateLimited as error:
            log_unsaid(error)
            await asyncio.sleep(min(error.retry_after.total_seconds(), RETRY_SECONDS))
            return False
        except (SlackError, TimeoutError) as error:
            log_unsaid(error)
            # It would be refused in a minute as well.
            return isinstance(error, SlackRefused)
        return True
