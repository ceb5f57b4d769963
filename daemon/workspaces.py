"""The Slack workspaces that this daemon reaches: a client for each, its limits, and its channels read again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from daemon.catchup_channels import ChannelReader
from daemon.loops import LOOK_EVERY_SECONDS, Crew, repeat
from daemon.posts import Poster
from daemon.slack_health import SlackHealth
from database import in_database
from database.notifications import Wakeup
from operations import workspaces
from operations.workspaces import Connected
from settings import SlackSettings
from settings.logs import get_logger
from slack.client import SlackClient
from slack.pacing import Pacing

log = get_logger(__name__)

# What Slack answers where the app is gone for good; any other refusal may be mended without new tokens.
GONE = frozenset({"account_inactive", "token_revoked"})


@dataclass
class Outlet:
    """One workspace on the way to Slack: Slack counts its limits there.

    `since` is when its token was given, `refused` is Slack's word for that token, `health` whether Slack answers here.
    """

    poster: Poster
    pacing: Pacing
    team_id: str = ""
    since: datetime | None = None
    refused: str = ""
    health: SlackHealth = field(default_factory=SlackHealth)


@dataclass
class Outlets:
    """Through which client a post goes. `own` has the token of the settings, and serves `own_teams`.

    As long as Slack has not said which these are, they are those that are nobody else's. `known_elsewhere` are all
    workspaces that were ever connected besides, `added` those of them that are now.
    """

    own: Outlet
    own_teams: frozenset[str] = frozenset()
    added: dict[str, Outlet] = field(default_factory=dict)
    known_elsewhere: frozenset[str] = frozenset()

    def of(self, team_id: str) -> Outlet | None:
        """None where the app is not, or where its token is not known here yet."""
        if team_id in self.added or team_id in self.known_elsewhere:
            return self.added.get(team_id)
        return self.own if not self.own_teams or team_id in self.own_teams else None

    def __iter__(self) -> Iterator[Outlet]:
        yield self.own
        yield from self.added.values()

    @property
    def health(self) -> SlackHealth:
        """Whether Slack is reached: not where the workspace of the settings fails, or every other one does.

        One workspace of several that fails is that workspace's trouble.
        """
        others = [outlet.health for outlet in self.added.values()]
        since = [health.failing_since for health in others if health.failing_since is not None]
        if self.own.health.failing_since is not None or not others or len(since) < len(others):
            return self.own.health
        return next(health for health in others if health.failing_since == max(since))

    def refusals(self) -> list[str]:
        """Where nothing can be posted, for whoever asks how this daemon is."""
        own = "of the settings"  # its id is not known where Slack has refused its token from the start
        return [f"workspace {outlet.team_id or own}: {outlet.refused}" for outlet in self if outlet.refused]


class Workspaces:
    """Keeps to what the table says: a new workspace is served without a restart, and one that went is left alone.

    Args:
        outlets: what the relays post through.
        open_client: makes a client for a bot token, which lives as long as the daemon.
        new_reader: makes what reads a workspace's channels again.
        stopping: set when the daemon stops.
    """

    def __init__(
        self,
        outlets: Outlets,
        slack: SlackSettings,
        wakeup: Wakeup,
        *,
        open_client: Callable[[str], Awaitable[SlackClient]],
        new_outlet: Callable[[SlackClient, str], Outlet],
        new_reader: Callable[[SlackClient], ChannelReader],
        stopping: asyncio.Event,
    ) -> None:
        self._outlets = outlets
        self._operators = slack.operators
        self._open_client = open_client
        self._new_outlet = new_outlet
        self._new_reader = new_reader
        self._stopping = stopping
        self._readers: dict[str, tuple[ChannelReader, asyncio.Task[None]]] = {}
        # Of readers of workspaces that are not served any more.
        self._left: list[Crew] = []
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self) -> bool:
        """Take over what changed; it is also looked for when nobody tells."""
        served = {one.team_id: one for one in await in_database(workspaces.active)}
        for team_id in self._outlets.added.keys() - served.keys():
            self._close(team_id)
        self._outlets.known_elsewhere = frozenset(await in_database(workspaces.team_ids))
        for one in served.values():
            known = self._outlets.added.get(one.team_id)
            if known is None or known.since != one.active_since:
                self._close(one.team_id)
                try:
                    await self._open(one)
                except Exception:  # those behind it are served all the same, and this one is tried again
                    log.exception("a workspace cannot be served", team_id=one.team_id)
        await in_database(workspaces.tell_of_losses, self._operators)
        return False

    async def finish(self) -> None:
        """Wait for what the readers have in flight; the daemon stops."""
        for reader, reading in self._readers.values():
            reader.wakeup.ring()
            await asyncio.wait({reading})
            await reader.crew.finish()
        for crew in self._left:
            await crew.finish()

    async def _open(self, one: Connected) -> None:
        client = await self._open_client(one.tokens.bot_token)
        outlet = self._new_outlet(client, one.team_id)
        outlet.since = one.active_since
        self._outlets.added[one.team_id] = outlet
        reader = self._new_reader(client)
        reading = repeat(
            f"channel reader {one.team_id}",
            reader.step,
            wakeup=reader.wakeup,
            stopping=self._stopping,
            every_seconds=LOOK_EVERY_SECONDS,
        )
        self._readers[one.team_id] = reader, asyncio.create_task(reading)
        log.info("workspace is served", team_id=one.team_id)

    def _close(self, team_id: str) -> None:
        """What is in flight there ends by itself, by Slack's refusal or well."""
        if self._outlets.added.pop(team_id, None) is None:
            return
        reader, reading = self._readers.pop(team_id)
        reading.cancel()
        self._left.append(reader.crew)
        log.info("workspace is not served any more", team_id=team_id)
