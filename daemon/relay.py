"""Posts what must appear in Slack: in order inside a lane, lanes in parallel, paced to what Slack allows."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from daemon.loops import Crew
from daemon.posts import AtMostOnce, Poster
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import relaying
from operations.relaying import Full, LeasedPost
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

    def __init__(
        self,
        poster: Poster,
        pacing: Pacing,
        delivery: DeliverySettings,
        wakeup: Wakeup,
        *,
        operators: Collection[str] = (),
    ) -> None:
        self._poster = poster
        self._pacing = pacing
        self._call = timedelta(seconds=delivery.slack_timeout_seconds)
        # A look-up and the post itself, with the opening of a direct conversation before it.
        self._lease = 3 * self._call + timedelta(seconds=delivery.lease_margin_seconds)
        self._give_up_after = timedelta(hours=delivery.give_up_after_hours)
        self._operators = operators
        self.wakeup = wakeup
        self.crew = Crew(_AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        leased = await in_database(
            relaying.lease, self.crew.free, self._lease, self._lease + _UPLOAD, full=self._full()
        )
        for post in leased:
            self.crew.start(self._relay(post), post_id=str(post.post_id), kind=post.kind)
        return bool(leased)

    def _full(self) -> Full:
        """What would only wait for Slack's limits, and hold a place of the crew meanwhile."""
        now = datetime.now(UTC)
        return Full(
            channels=tuple(self._pacing.full_channels(now)),
            posts=bool(self._pacing.delay_until("", now)),
            reactions=bool(self._pacing.delay_until("", now, Budget.REACTION)),
        )

    async def _relay(self, post: LeasedPost) -> None:
        try:
            await self._deliver(post)
        except _CannotLookUp as error:
            await in_database(relaying.record_postponed, post, error.pause, str(error))
            log.warning("unknown outcome could not be looked up", post_id=post.post_id, reason=str(error))
        except _LookUpRefused as refused:
            await self._refused(post, refused.error, is_unknown=True)
        except AtMostOnce:
            await in_database(relaying.record_parked, post, "It may have been shown; it is shown at most once.")
        except SlackError as error:
            await self._failed(post, error)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # nobody would look at it again, and its lane would never go on
            await in_database(relaying.record_parked, post, f"{type(error).__name__}: {error}"[:500])
            log.exception("post cannot be made", post_id=post.post_id, kind=post.kind)

    async def _failed(self, post: LeasedPost, error: SlackError) -> None:
        match error:
            case SlackRateLimited():
                now = datetime.now(UTC)
                self._pacing.limited(post.slack_channel_id, now + error.retry_after, now, _budget_of(post))
                await self._delay(post, error.retry_after, error.sentence)
            case SlackNotSent():
                await in_database(relaying.record_not_posted, post, error.sentence)
                log.warning("post not made, trying again", post_id=post.post_id, reason=error.sentence)
            case SlackTokenRefused():
                await in_database(relaying.record_delayed, post, _TOKEN_PAUSE, error.sentence)
                log.error("Slack refuses our token", reason=error.reason, next_step=error.next_step)
            case SlackRefused():
                await self._refused(post, error)
            case _:
                await in_database(relaying.record_unknown, post, error.sentence)
                facts = {"post_id": post.post_id, "reason": error.sentence}
                log.warning("outcome unknown, looked up when the lease ends", **facts)

    async def _deliver(self, post: LeasedPost) -> None:
        found = await self._found(post)
        if found is not None:
            log.info("unknown outcome looked up", post_id=post.post_id, was_posted=True)
            await in_database(relaying.record_posted, post, found)
            return
        if not await self._has_turn(post):
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
        except SlackRateLimited as error:
            raise _CannotLookUp(error.sentence, max(error.retry_after, _LOOK_AGAIN_AFTER)) from error
        except SlackRefused as error:
            if error.reason in _IS_NOT_THERE:
                return None
            raise _LookUpRefused(error) from error
        except SlackError as error:
            raise _CannotLookUp(error.sentence) from error

    async def _has_turn(self, post: LeasedPost) -> bool:
        """Take a turn within Slack's limits; without one the lease is given back until there is one."""
        now, budgets = datetime.now(UTC), [_budget_of(post)]
        if post.payload.get("shown"):
            budgets.append(Budget.REACTION_REMOVAL)  # the receipt that is shown makes room for the next
        delay = max(self._pacing.delay_until(post.slack_channel_id, now, budget) for budget in budgets)
        if delay:
            await self._delay(post, delay, "Slack's limit")
            return False
        for budget in budgets:
            self._pacing.spend(post.slack_channel_id, now, budget)
        return True

    async def _delay(self, post: LeasedPost, pause: timedelta, reason: str) -> None:
        await in_database(relaying.record_delayed, post, pause, reason)
        asyncio.get_running_loop().call_later(pause.total_seconds(), self.wakeup.ring)

    async def _refused(self, post: LeasedPost, error: SlackRefused, *, is_unknown: bool = False) -> None:
        if error.reason in _THREAD_IS_GONE and post.conversation_id is not None:
            await in_database(relaying.forget_thread, post)
            await in_database(relaying.record_delayed, post, timedelta(0), error.sentence)
            return
        reason = f"{error.sentence} {error.next_step}"
        if error.is_about_the_place and post.kind == "post":
            await in_database(
                relaying.record_no_place,
                post,
                reason,
                is_unknown=is_unknown,
                operators=self._operators,
                give_up_after=self._give_up_after,
            )
        else:
            await in_database(relaying.record_parked, post, reason)
        log.error("post refused", post_id=post.post_id, reason=error.reason, next_step=error.next_step)


class _CannotLookUp(Exception):
    """The look-up failed: whether it was posted stays unknown, and it is not posted again before that is clear."""

    def __init__(self, sentence: str, pause: timedelta = _LOOK_AGAIN_AFTER) -> None:
        super().__init__(sentence)
        self.pause = pause


class _LookUpRefused(Exception):
    """Slack does not let us look: the channel is closed to us, and what was posted there stays unknown."""

    def __init__(self, error: SlackRefused) -> None:
        super().__init__(str(error))
        self.error = error


def _budget_of(post: LeasedPost) -> Budget:
    return Budget.REACTION if post.kind == "react" else Budget.POST
