"""Posts what must appear in Slack: in order inside a lane, lanes in parallel, paced to what Slack allows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from daemon.drawings import Drawings
from daemon.loops import Crew
from daemon.posts import AtMostOnce, Poster, needs_look_up, outdated_receipts
from daemon.workspaces import GONE, Outlet, Outlets
from database import DatabaseUnavailable, in_database
from database.notifications import Wakeup
from operations import made_files, relaying, workspaces
from operations.refused_posts import Refusal
from operations.relaying import Full, LeasedPost
from settings import DeliverySettings
from settings.logs import get_logger
from slack.errors import (
    SlackError,
    SlackNotSent,
    SlackRateLimited,
    SlackRefused,
    SlackTokenRefused,
    SlackUncertain,
)
from slack.pacing import Budget, Pacing

log = get_logger(__name__)

_AT_ONCE = 16
# A slow channel leaves places to the others: with so many under way it gets no more, and so many are taken together.
_AT_ONCE_IN_A_CHANNEL = 4
_TAKEN_TOGETHER = 8
# Receipts have places of their own: a Slack that is slow with reactions holds up nothing that was written.
_RECEIPTS_AT_ONCE = 4
_TOKEN_PAUSE = timedelta(seconds=30)
_LOOK_AGAIN_AFTER = timedelta(seconds=5)
_UPLOAD = timedelta(seconds=60)
# What belongs to the place, and what stands there and is to go.
_WAIT_FOR_THE_PLACE = frozenset({"post", "delete"})
# What belongs into such a thread begins a new one. Which Slack answers for a deleted root is not documented.
_THREAD_IS_GONE = frozenset({"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"})
# A file that was reserved and never completed is none for Slack.
_IS_NOT_THERE = _THREAD_IS_GONE | {"file_not_found"}
_TRIES_OF_FILES = 5
# Of a post at which Slack fails, while it takes others; the lane does not wait for more. Each takes a lease.
_MOST_FAILURES = 10
_TOOK_OTHERS_WITHIN = timedelta(minutes=2)
_BUDGETS = {"react": Budget.REACTION, "update": Budget.UPDATE, "delete": Budget.UPDATE, "publish": Budget.UPDATE}


class Relay:
    """Posts on their way to Slack; or, with `of_receipts`, the receipts on people's messages."""

    def __init__(
        self,
        outlets: Outlets,
        delivery: DeliverySettings,
        wakeup: Wakeup,
        *,
        operators: Collection[str] = (),
        of_receipts: bool = False,
    ) -> None:
        self._outlets = outlets
        self._call = timedelta(seconds=delivery.slack_timeout_seconds)
        # A look-up and the post itself, with the opening of a direct conversation before it.
        self._margin = timedelta(seconds=delivery.lease_margin_seconds)
        self._lease = 3 * self._call + self._margin
        self._give_up_after = timedelta(hours=delivery.give_up_after_hours)
        self._operators = operators
        self._of_receipts = of_receipts
        self._under_way: Counter[str] = Counter()
        self.wakeup = wakeup
        # By the clock of the loop: when Slack last took something in a workspace within a budget.
        self._took_at: dict[tuple[str, Budget], float] = {}
        self.crew = Crew(_RECEIPTS_AT_ONCE if of_receipts else _AT_ONCE, wakeup)

    async def step(self) -> bool:
        if self.crew.free <= 0:
            return False
        now = datetime.now(UTC)
        budget = Budget.REACTION if self._of_receipts else Budget.POST
        if wait := min(outlet.pacing.delay_until("", now, budget) for outlet in self._outlets):
            self._look_again_in(wait)
            return False
        full = self._full(now)
        limit = min(self.crew.free, _TAKEN_TOGETHER)
        leased = await in_database(relaying.lease, limit, self._lease, self._lease + _UPLOAD, full=full)
        for post in leased:
            self._under_way[post.slack_channel_id] += 1
            self.crew.start(self._relay(post), post_id=str(post.post_id), kind=post.kind)
        waits = [
            wait
            for outlet in self._outlets
            for channel in full.channels
            if (wait := outlet.pacing.delay_until(channel, now))
        ]
        if waits and not leased:
            self._look_again_in(min(waits))
        return bool(leased)

    def _full(self, now: datetime) -> Full:
        """What is not ours, or would only wait for Slack's limits and hold a place of the crew meanwhile."""
        if self._of_receipts:
            return Full(posts=True)
        busy = {channel for channel, posts in self._under_way.items() if posts >= _AT_ONCE_IN_A_CHANNEL}
        full = (channel for outlet in self._outlets for channel in outlet.pacing.full_channels(now))
        return Full(channels=tuple(busy.union(full)), reactions=True)

    def _look_again_in(self, pause: timedelta) -> None:
        asyncio.get_running_loop().call_later(pause.total_seconds(), self.wakeup.ring)

    async def _relay(self, post: LeasedPost) -> None:
        try:
            await self._settle(post)
        finally:
            self._under_way[post.slack_channel_id] -= 1
            if not self._under_way[post.slack_channel_id]:
                del self._under_way[post.slack_channel_id]

    async def _settle(self, post: LeasedPost) -> None:
        outlet = self._outlets.of(post.slack_team_id)
        if outlet is None:
            await in_database(relaying.record_without_workspace, post, _LOOK_AGAIN_AFTER)
            return
        try:
            await self._deliver(post, outlet)
        except _CannotLookUp as error:
            await in_database(relaying.record_postponed, post, error.pause, str(error))
            log.warning("unknown outcome could not be looked up", post_id=post.post_id, reason=str(error))
        except _LookUpRefused as refused:
            await self._refused(post, refused.error, is_unknown=True)
        except AtMostOnce:
            await in_database(relaying.record_parked, post, "It may have been shown; it is shown at most once.")
            log.warning("private word may have been lost", post_id=post.post_id)
        except SlackError as error:
            await self._failed(post, error, outlet)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # nobody would look at it again, and its lane would never go on
            await self._park(post, Refusal(type(error).__name__, f"{type(error).__name__}: {error}"[:500]))
            log.exception("post cannot be made", post_id=post.post_id, kind=post.kind)

    def _note_health(self, error: SlackError, outlet: Outlet) -> None:
        """A token that is refused, where there are others, is its workspace's trouble and no outage of Slack."""
        is_refused = isinstance(error, SlackTokenRefused) and not self._outlets.added
        if is_refused or isinstance(error, SlackNotSent | SlackUncertain):
            outlet.health.failed(error.sentence, datetime.now(UTC))
        else:
            outlet.health.answered()

    async def _failed(self, post: LeasedPost, error: SlackError, outlet: Outlet) -> None:
        self._note_health(error, outlet)
        match error:
            case SlackRateLimited():
                now = datetime.now(UTC)
                outlet.pacing.limited(
                    post.slack_channel_id, now + error.retry_after, now, _budget_of(post, error.method)
                )
                await self._delay(post, error.retry_after, error.sentence)
            case SlackNotSent():
                await in_database(relaying.record_not_posted, post, error.sentence)
                log.warning("post not made, trying again", post_id=post.post_id, reason=error.sentence)
            case SlackTokenRefused():
                await in_database(relaying.record_delayed, post, _TOKEN_PAUSE, error.sentence)
                await self._note_refusal(post, error, outlet)
            case SlackRefused():
                await self._refused(post, error)
            case _ if "file" in post.payload and post.attempts >= _TRIES_OF_FILES:
                # Slack takes some files and never shows them; the lane does not wait for that.
                await self._park(
                    post, Refusal("not_shared", "Slack took the file and does not show it.", "Ask for it again.")
                )
            case _:
                await in_database(
                    relaying.record_unknown,
                    post,
                    error.sentence,
                    is_its_own=self._takes_others(post),
                    give_up_after=self._give_up_after,
                )
                facts = {"post_id": post.post_id, "reason": error.sentence}
                log.warning("outcome unknown, looked up when the lease ends", **facts)

    async def _note_refusal(self, post: LeasedPost, error: SlackTokenRefused, outlet: Outlet) -> None:
        """A token that is refused stops its workspace and no other."""
        outlet.refused = error.reason
        log.error("Slack refuses our token", team_id=post.slack_team_id, reason=error.reason, next_step=error.next_step)
        # The token of the settings is no workspace's of the table, even where it met a post of one.
        if error.reason in GONE and outlet.since is not None:
            await in_database(workspaces.lost, post.slack_team_id, error.sentence, before=outlet.since)

    async def _deliver(self, post: LeasedPost, outlet: Outlet) -> None:
        found = await self._found(post, outlet)
        if found is not None:
            log.info("unknown outcome looked up", post_id=post.post_id, was_posted=True)
            outlet.health.answered()
            await in_database(relaying.record_posted, post, found)
            return
        if post.failures >= _MOST_FAILURES:
            await self._park(post, Refusal("keeps_failing", "Slack fails at it again and again, and takes others."))
            log.error("Slack fails at a post", post_id=post.post_id, kind=post.kind)
            return
        if "contents" in post.payload and await in_database(made_files.withheld, post, operators=self._operators):
            log.warning("file withheld from who asked for it", post_id=post.post_id)
            return
        if "drawing" in post.payload and not await self._is_drawn(post, outlet.poster.drawings):
            return
        if not await self._has_turn(post, outlet.pacing):
            return
        asked_at = time.monotonic()
        if not await in_database(relaying.begin, post, self._longest(post)):
            return  # what is left of the lease is too short for the call
        if time.monotonic() - asked_at > self._margin.total_seconds():
            log.warning("this process stood still, a post is left to the look-up", post_id=post.post_id)
            return
        made = await self._made(post, outlet.poster)
        outlet.refused = ""
        outlet.health.answered()
        self._took_at[post.slack_team_id, _budget_of(post)] = asyncio.get_running_loop().time()
        if post.kind == "react":
            await in_database(relaying.record_shown, post, str(made))
        else:
            await in_database(relaying.record_posted, post, made)

    async def _is_drawn(self, post: LeasedPost, drawings: Drawings) -> bool:
        """Whether its picture is there; else it is put off until it may be. What cannot be drawn holds up nothing."""
        if wait := drawings.wait_for(post.post_id, post.payload["drawing"]):
            await self._delay(post, wait, "It is being drawn.")
            return False
        if failure := drawings.failure_of(post.post_id):
            log.error("picture not drawn", post_id=post.post_id, reason=failure)
            await in_database(relaying.record_parked, post, f"It could not be drawn: {failure}")
            return False
        return True

    def _takes_others(self, post: LeasedPost) -> bool:
        """Whether Slack lately took what is like this post: then its failure is no outage."""
        took_at = self._took_at.get((post.slack_team_id, _budget_of(post)))
        now = asyncio.get_running_loop().time()
        return took_at is not None and now - took_at < _TOOK_OTHERS_WITHIN.total_seconds()

    async def _made(self, post: LeasedPost, poster: Poster) -> str | None:
        """Its ts where Slack gives one, or the receipt that is shown now."""
        try:
            async with asyncio.timeout(self._longest(post).total_seconds()):
                return await (poster.show_receipt(post) if post.kind == "react" else poster.make(post))
        except TimeoutError as error:
            raise SlackUncertain(post.kind, "It took longer than its lease allows.") from error

    def _longest(self, post: LeasedPost) -> timedelta:
        """How long the calls of a post may take together."""
        if "file" in post.payload:
            return _UPLOAD + 2 * self._call
        # A direct conversation is opened first; a receipt takes another's place; blocks may have to be left out.
        # A thread is read before what stands in it is deleted.
        opens = post.kind in {"direct", "react"} or not post.payload.keys().isdisjoint({"of", "direct"})
        calls = 1 + opens + bool(post.payload.get("blocks"))
        calls += 2 * bool(post.payload.get("thread"))
        return calls * self._call

    async def _found(self, post: LeasedPost, outlet: Outlet) -> str | None:
        if not needs_look_up(post):
            return None
        now = datetime.now(UTC)
        if wait := outlet.pacing.delay_until("", now, Budget.LOOKUP):
            raise _CannotLookUp("Slack's limit", wait)
        outlet.pacing.spend("", now, Budget.LOOKUP)
        try:
            return await outlet.poster.look_up(post)
        except SlackTokenRefused as error:
            self._note_health(error, outlet)
            await self._note_refusal(post, error, outlet)
            raise _CannotLookUp(error.sentence) from error
        except SlackRateLimited as error:
            outlet.pacing.limited("", now + error.retry_after, now, Budget.LOOKUP)
            raise _CannotLookUp(error.sentence, max(error.retry_after, _LOOK_AGAIN_AFTER)) from error
        except SlackRefused as error:
            if error.reason in _IS_NOT_THERE:
                return None
            raise _LookUpRefused(error) from error
        except SlackError as error:
            self._note_health(error, outlet)
            raise _CannotLookUp(error.sentence) from error

    async def _has_turn(self, post: LeasedPost, pacing: Pacing) -> bool:
        """Take a turn within Slack's limits; without one the lease is given back until there is one."""
        now, budgets = datetime.now(UTC), [_budget_of(post)]
        # Each receipt that is or may be shown is taken away to make room for the present one.
        budgets += [Budget.REACTION_REMOVAL] * len(outdated_receipts(post))
        delay = max(pacing.delay_until(post.slack_channel_id, now, budget) for budget in budgets)
        if delay:
            await self._delay(post, delay, "Slack's limit")
            return False
        for budget in budgets:
            pacing.spend(post.slack_channel_id, now, budget)
        return True

    async def _delay(self, post: LeasedPost, pause: timedelta, reason: str) -> None:
        await in_database(relaying.record_delayed, post, pause, reason)
        self._look_again_in(pause)

    async def _refused(self, post: LeasedPost, error: SlackRefused, *, is_unknown: bool = False) -> None:
        log.error("post refused", post_id=post.post_id, reason=error.reason, next_step=error.next_step)
        if error.reason in _THREAD_IS_GONE and post.kind == "post" and post.conversation_id is not None:
            await in_database(relaying.forget_thread, post)
            await in_database(relaying.record_delayed, post, timedelta(0), error.sentence)
        elif error.is_about_the_place and post.kind in _WAIT_FOR_THE_PLACE:
            await in_database(
                relaying.record_no_place,
                post,
                f"{error.sentence} {error.next_step}",
                is_unknown=is_unknown,
                operators=self._operators,
                give_up_after=self._give_up_after,
            )
        else:
            sentence = " ".join((error.sentence, *error.details))
            await self._park(post, Refusal(error.reason, sentence, error.next_step))

    async def _park(self, post: LeasedPost, refusal: Refusal) -> None:
        await in_database(relaying.record_refused, post, refusal, operators=self._operators)


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


def _budget_of(post: LeasedPost, method: str = "") -> Budget:
    return Budget.REACTION_REMOVAL if method == Budget.REACTION_REMOVAL.value else _BUDGETS.get(post.kind, Budget.POST)
