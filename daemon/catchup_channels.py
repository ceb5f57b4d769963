"""Reads what was written in Slack while nobody listened: the roots of a channel, then the threads that changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, TypeVar

from daemon.catchup import Interrupted
from daemon.loops import Crew, until
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from models import Cause
from operations import catching_up, missed_replies
from operations.catching_up import LeasedChannel
from operations.missed_replies import Thread
from settings.logs import get_logger
from slack.answers import Identity
from slack.client import SlackClient
from slack.errors import SlackError, SlackRateLimited, SlackRefused
from slack.pacing import Bucket, Rate

log = get_logger(__name__)

T = TypeVar("T")

_A_PAGE = 999
# Tier 3, fifty a minute for each method, less what the relay needs to look posts up.
_READING = Rate(timedelta(seconds=1.3), burst=10)
# A longer pause is not waited for: the channel is given back.
_LONGEST_WAIT = timedelta(seconds=30)
_REFUSED_PAUSE = timedelta(minutes=5)
_ASK_AGAIN_SECONDS = 10.0


class ChannelReader:
    """The channels of the workspace, one at a time."""

    def __init__(
        self,
        slack: SlackClient,
        wakeup: Wakeup,
        stopping: asyncio.Event,
        *,
        every: timedelta,
        ask_after: timedelta,
        is_paced: bool,
    ) -> None:
        self._slack = slack
        self._stopping = stopping
        self._every = every
        self._ask_after = ask_after
        self._turns = {method: Bucket(_READING) for method in ("history", "replies")} if is_paced else {}
        self._identity: Identity | None = None
        # By thread, its latest reply that was read by a catch-up that has not come to its end: not read twice for it.
        self._read_already: dict[str, float] = {}
        self.wakeup = wakeup
        self.crew = Crew(1, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0 or self._stopping.is_set():
            return False
        identity = await self._who_am_i()
        if identity is None:
            return False
        leased = await in_database(catching_up.lease_channel, identity.team_id, every=self._every)
        if leased is not None:
            self.crew.start(self._read(leased, identity), channel_id=leased.slack_channel_id)
        return leased is not None

    async def _who_am_i(self) -> Identity | None:
        """Slack says it once; from then on it can be read, so what was written while we were not there is asked for."""
        if self._identity is None:
            try:
                identity = await self._slack.auth_test()
            except SlackError as error:
                log.debug("Slack cannot be read yet", reason=error.sentence)
                await until(self._stopping, _ASK_AGAIN_SECONDS)
                return None
            await in_database(catching_up.request, team_id=identity.team_id)
            self._identity = identity
        return self._identity

    async def _read(self, channel: LeasedChannel, identity: Identity) -> None:
        facts = {"channel_id": channel.slack_channel_id, "cause": channel.cause}
        try:
            await self._catch_up(channel, identity)
        except SlackRateLimited as error:
            await in_database(catching_up.postpone, channel, error.sentence, pause=error.retry_after, is_asked=True)
            log.warning("Slack asks for a pause, catching up goes on after it", **facts)
        except SlackError as error:
            pause = _REFUSED_PAUSE if isinstance(error, SlackRefused) else None
            await in_database(catching_up.postpone, channel, error.sentence, pause=pause)
            log.warning("channel not caught up with, trying again", reason=error.sentence, **facts)
        except Interrupted as interrupted:
            await in_database(catching_up.go_on, channel)
            log.info("catching up ends early", reason=str(interrupted), **facts)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            await in_database(catching_up.postpone, channel, f"{type(error).__name__}: {error}"[:500])
            log.exception("channel cannot be caught up with", **facts)

    async def _catch_up(self, channel: LeasedChannel, identity: Identity) -> None:
        threads = await in_database(missed_replies.threads_of, channel)
        changed = await self._changed(channel, threads, identity)
        replies = edits = 0
        for thread_ts, latest in changed.items():
            if self._read_already.get(thread_ts) == latest:
                continue
            written = await self._written(channel, thread_ts)
            found = await in_database(missed_replies.store, channel, thread_ts, written, ask_after=self._ask_after)
            replies, edits = replies + found.replies, edits + found.edits
            if latest <= channel.until.timestamp():
                self._read_already[thread_ts] = latest
        await in_database(catching_up.complete_channel, channel)
        self._read_already.clear()
        if replies or edits:
            # An event is repeated for minutes: with a socket that is up, what is found after that says that none came.
            say = log.error if channel.cause == Cause.QUIET else log.warning
            reason = "no event told of it: is the bot connected?" if channel.cause == Cause.QUIET else "nobody listened"
            say(
                "replies recovered",
                channel_id=channel.slack_channel_id,
                replies=replies,
                edits=edits,
                threads=len(changed),
                reason=reason,
            )

    async def _changed(
        self, channel: LeasedChannel, threads: Mapping[str, Thread], identity: Identity
    ) -> dict[str, float]:
        """Roots and their latest replies, the latest first, where that is later than the last catch-up."""
        since = channel.since.timestamp()
        # Also without threads: the first one's root may be posted and not recorded.
        oldest = min(since, *(float(ts) for ts in threads)) if threads else since

        def changed(root: dict[str, Any]) -> tuple[str, float] | None:
            latest = float(root.get("latest_reply") or 0)
            # A root of ours whose post is not recorded yet will be a conversation's.
            is_ours = root["ts"] in threads or root.get("user") == identity.user_id
            is_changed = is_ours and not _is_ours_alone(root, identity) and latest > since
            return (str(root["ts"]), latest) if is_changed else None

        found = await self._picked(changed, channel, oldest=oldest - 1)
        return dict(sorted(found, key=itemgetter(1), reverse=True))

    async def _written(self, channel: LeasedChannel, thread_ts: str) -> list[dict[str, Any]]:
        """What was written in a thread since the last catch-up, up to where this one ends."""

        def written(message: dict[str, Any]) -> dict[str, Any] | None:
            return message if float(message["ts"]) <= channel.until.timestamp() else None

        try:
            return await self._picked(written, channel, oldest=channel.since.timestamp(), thread_ts=thread_ts)
        except SlackRefused as error:
            if error.reason != "thread_not_found":
                raise
            return []  # deleted since its root was read

    async def _picked(
        self,
        pick: Callable[[dict[str, Any]], T | None],
        channel: LeasedChannel,
        *,
        oldest: float,
        thread_ts: str | None = None,
    ) -> list[T]:
        """What `pick` keeps of each message: a channel's roots are too many to be held as a whole."""
        turn = self._turn(channel, "history" if thread_ts is None else "replies")
        while True:
            pages = self._slack.history(
                channel.slack_channel_id, oldest=f"{oldest:.6f}", thread_ts=thread_ts, limit=_A_PAGE, turn=turn
            )
            try:
                return [kept async for message in pages if (kept := pick(message)) is not None]
            except SlackRateLimited as error:
                if error.retry_after > _LONGEST_WAIT:
                    raise
                await self._pause(error.retry_after)

    def _turn(self, channel: LeasedChannel, method: str) -> Callable[[], Awaitable[None]]:
        """Wait until Slack allows the next call, and go on only as long as the channel is ours."""

        async def turn() -> None:
            bucket = self._turns.get(method)
            if bucket is not None:
                await self._pause(bucket.delay(datetime.now(UTC)))
                bucket.take(datetime.now(UTC))
            if not await in_database(catching_up.renew, channel):
                raise Interrupted("Another daemon reads on.")

        return turn

    async def _pause(self, pause: timedelta) -> None:
        if await until(self._stopping, pause.total_seconds()):
            raise Interrupted("The daemon stops.")


def _is_ours_alone(root: Mapping[str, Any], identity: Identity) -> bool:
    """Nobody but us ever wrote in the thread; of many writers a root tells the number and some."""
    return root.get("reply_users_count") == 1 and root.get("reply_users") == [identity.user_id]
