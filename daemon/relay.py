"""Posts what must appear in Slack: in order inside a lane, lanes in parallel, paced to what Slack allows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from daemon.loops import Crew
from daemon.posts import AtMostOnce, Poster
from database import in_database
from database.notifications import Wakeup
from operations import relaying
from operations.relaying import LeasedPost
from settings import DeliverySettings
from settings.logs import get_logger
from slack.errors import (
    SlackError,
    SlackNotSent,
    SlackRateLimited,
    SlackRefused,
    SlackTokenRefused,
)
from slack.pacing import Budget, Pacing

log = get_logger(__name__)

_AT_ONCE = 16
_TOKEN_PAUSE = timedelta(seconds=30)
_LOOK_AGAIN_AFTER = timedelta(seconds=5)
_UPLOAD = timedelta(seconds=60)
# Which of them Slack answers for a root that was deleted is not documented.
_THREAD_IS_GONE = frozenset({"thread_not_found", "cannot_reply_to_message"})
# A file that was reserved and never completed is none for Slack.
_IS_NOT_THERE = _THREAD_IS_GONE | {"file_not_found"}


class Relay:
    """Posts on their way to Slack."""

    def __init__(self, poster: Poster, pacing: Pacing, delivery: DeliverySettings, wakeup: Wakeup) -> None:
        self._poster = poster
        self._pacing = pacing
        self._call = timedelta(seconds=delivery.slack_timeout_seconds)
        self._margin = timedelta(seconds=delivery.lease_margin_seconds)
        # A look-up and the post itself, with the opening of a direct conversation before it.
        self._lease = 3 * self._call + self._margin
        self.wakeup = wakeup
        self.crew = Crew(_AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        leased = await in_database(relaying.lease, self.crew.free, self._lease, self._lease + _UPLOAD)
        for post in leased:
            self.crew.start(self._relay(post), post_id=str(post.post_id), kind=post.kind)
        return bool(leased)

    async def _relay(self, post: LeasedPost) -> None:
        try:
            await self._deliver(post)
        except _CannotLookUp as error:
            await in_database(relaying.record_postponed, post, _LOOK_AGAIN_AFTER, str(error))
            log.warning("unknown outcome could not be looked up", post_id=post.post_id, reason=str(error))
        except AtMostOnce:
            await in_database(relaying.record_parked, post, "It may have been shown; it is shown at most once.")
        except SlackRateLimited as error:
            self._pacing.pause(datetime.now(UTC) + error.retry_after, _budget_of(post))
            await in_database(relaying.record_delayed, post, error.retry_after, error.sentence)
        except SlackNotSent as error:
            await in_database(relaying.record_not_posted, post, error.sentence)
            log.warning("post not made, trying again", post_id=post.post_id, reason=error.sentence)
        except SlackTokenRefused as error:
            await in_database(relaying.record_delayed, post, _TOKEN_PAUSE, error.sentence)
            log.error("Slack refuses our token", reason=error.reason, next_step=error.next_step)  # noqa: TRY400
        except SlackRefused as error:
            await self._refused(post, error)
        except SlackError as error:
            await in_database(relaying.record_unknown, post, error.sentence)
            log.warning("outcome unknown, looked up when the lease ends", post_id=post.post_id, reason=error.sentence)

    async def _deliver(self, post: LeasedPost) -> None:
        found = await self._found(post)
        if found is not None:
            log.info("unknown outcome looked up", post_id=post.post_id, was_posted=True)
            await in_database(relaying.record_posted, post, found)
            return
        if not await self._wait_for_turn(post):
            return
        if not await in_database(relaying.begin, post, self._longest(post)):
            return  # what is left of the lease is too short for the call
        if post.kind == "react":
            await in_database(relaying.record_shown, post, await self._poster.show_receipt(post))
        else:
            await in_database(relaying.record_posted, post, await self._poster.make(post))

    def _longest(self, post: LeasedPost) -> timedelta:
        """How long the calls of a post may take together."""
        if "file" in post.payload:
            return _UPLOAD + 2 * self._call
        # A direct conversation is opened first; a receipt takes the last one's place.
        return self._call if post.kind in {"post", "ephemeral"} else 2 * self._call

    async def _found(self, post: LeasedPost) -> str | None:
        try:
            return await self._poster.look_up(post)
        except SlackTokenRefused as error:
            raise _CannotLookUp(error.sentence) from error
        except SlackRefused as error:
            if error.reason in _IS_NOT_THERE:
                return None
            raise  # the channel is closed to us: to ask again and again would stop the lane for ever
        except SlackError as error:
            raise _CannotLookUp(error.sentence) from error

    async def _wait_for_turn(self, post: LeasedPost) -> bool:
        """Wait as long as Slack's limits ask; a long pause gives the lease back instead."""
        budget = _budget_of(post)
        while True:
            now = datetime.now(UTC)
            delay = self._pacing.delay_until(post.slack_channel_id, now, budget)
            if not delay:
                self._pacing.spend(post.slack_channel_id, now, budget)
                return True
            if delay > self._margin / 2:
                await in_database(relaying.record_delayed, post, delay, "Slack's limit")
                return False
            await asyncio.sleep(delay.total_seconds())

    async def _refused(self, post: LeasedPost, error: SlackRefused) -> None:
        if error.reason in _THREAD_IS_GONE and post.conversation_id is not None:
            await in_database(relaying.forget_thread, post)
            await in_database(relaying.record_delayed, post, timedelta(0), error.sentence)
            return
        await in_database(relaying.record_parked, post, f"{error.sentence} {error.next_step}")
        log.error("post refused", post_id=post.post_id, reason=error.reason, next_step=error.next_step)


class _CannotLookUp(Exception):
    """The look-up failed: whether it was posted stays unknown, and it is not posted again before that is clear."""


def _budget_of(post: LeasedPost) -> Budget:
    return Budget.REACTION if post.kind == "react" else Budget.POST
