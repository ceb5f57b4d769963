"""Everybody who is known is looked up again: after nobody listened, when a change may have been missed, and daily.

A command and a click look by themselves. Whoever only replies in threads is never looked up otherwise: the daemon's
inbox asks the network nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from bot.outsiders import ask
from database import DatabaseUnavailable, in_database
from operations import slack_people
from operations.standing import Person
from settings.logs import get_logger
from slack.client import SlackClient
from slack.errors import SlackError, SlackRefused

# Younger than this is what somebody has just been asked about.
AFTER_A_GAP = timedelta(minutes=1)
DAILY = timedelta(days=1)
LOOK_EVERY_SECONDS = 3600.0
# `users.info` may be asked for a hundred times a minute, and commands need some of them.
PAUSE_SECONDS = 1.0

log = get_logger(__name__)


class RollCall:
    """Looks again. `is_served` says whose token there is, and `client_of` gives the client for it."""

    def __init__(self, client_of: Callable[[str], SlackClient], is_served: Callable[[str], bool]) -> None:
        self._client_of = client_of
        self._is_served = is_served
        self._gap = asyncio.Event()

    def after_gap(self) -> None:
        """Nobody listened for a while."""
        self._gap.set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            older_than = AFTER_A_GAP
            try:
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await self._gap.wait()
            except TimeoutError:
                older_than = DAILY
            self._gap.clear()
            try:
                await self._look(older_than)
            except (SlackError, TimeoutError, DatabaseUnavailable) as error:
                log.warning("people are looked up again later", reason=str(error))

    async def _look(self, older_than: timedelta) -> None:
        for person in await in_database(slack_people.not_asked_for, older_than):
            if self._is_served(person.team_id):
                await self._look_at(person)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _look_at(self, person: Person) -> None:
        try:
            await ask(person, self._client_of(person.team_id))
        except SlackRefused as error:
            # The next one may be answered.
            log.warning("Slack does not say who somebody is", reason=str(error))
