"""How fast a relay may call Slack, so that it is seldom told to slow down. No clock: the time is handed in.

Slack allows about one post a second in a channel with short bursts and several hundred posts a minute in a workspace;
50 reactions or updates (Tier 3) and 20 removed reactions (Tier 2) a minute. Each kind of call has its own budget, so
receipts never hold up messages. The budgets are one process's: Slack's own 429 covers what several do together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

NO_DELAY = timedelta(0)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
FORGET_ABOVE = 1_000


@dataclass(frozen=True, slots=True)
class Rate:
    """One call each `interval` in the long run, up to `burst` at once after a rest."""

    interval: timedelta
    burst: int

    def __post_init__(self) -> None:
        if self.burst < 1:
            raise ValueError("A rate lets at least one call through.")


@dataclass(slots=True)
class Bucket:
    """Tokens, kept as the one time at which the bucket will be full again."""

    rate: Rate
    full_at: datetime = LONG_AGO

    def delay(self, now: datetime) -> timedelta:
        """How long until one token is there."""
        room = self.rate.interval * (self.rate.burst - 1)
        return max(NO_DELAY, self.full_at - now - room)

    def take(self, now: datetime) -> None:
        self.full_at = max(self.full_at, now) + self.rate.interval


class Budget(Enum):
    """Calls that Slack counts apart from each other."""

    POST = "chat.postMessage"
    UPDATE = "chat.update"
    REACTION = "reactions.add"
    REACTION_REMOVAL = "reactions.remove"
    LOOKUP = "conversations.replies"


IN_CHANNEL = {Budget.POST: Rate(timedelta(seconds=1), burst=3)}
_TIER_2 = Rate(timedelta(seconds=3), burst=5)
_TIER_3 = Rate(timedelta(seconds=1.2), burst=10)
IN_WORKSPACE = {
    Budget.POST: Rate(timedelta(milliseconds=300), burst=20),
    Budget.UPDATE: _TIER_3,
    Budget.REACTION: _TIER_3,
    Budget.REACTION_REMOVAL: _TIER_2,
    Budget.LOOKUP: _TIER_3,
}


@dataclass(slots=True)
class _Spent:
    workspace: Bucket
    channels: dict[str, Bucket] = field(default_factory=dict)
    paused_until: datetime = LONG_AGO
    paused_channels: dict[str, datetime] = field(default_factory=dict)


class Pacing:
    """The budgets of one workspace.

    Ask `delay_until`, and `spend` when the call is made; `pause` when Slack answered 429. A switched-off pacing
    delays nothing but what Slack itself asked for.
    """

    def __init__(self, *, switched_on: bool = True) -> None:
        self._switched_on = switched_on
        self._spent = {budget: _Spent(Bucket(rate)) for budget, rate in IN_WORKSPACE.items()}

    def delay_until(self, channel: str, now: datetime, budget: Budget = Budget.POST) -> timedelta:
        """How long a call about `channel` has to wait from `now`; zero when it may go."""
        spent = self._spent[budget]
        paused_until = max(spent.paused_until, spent.paused_channels.get(channel, LONG_AGO))
        pause = max(NO_DELAY, paused_until - now)
        if not self._switched_on:
            return pause
        lanes = (spent.workspace, spent.channels.get(channel))
        return max(pause, *(lane.delay(now) for lane in lanes if lane is not None))

    def spend(self, channel: str, now: datetime, budget: Budget = Budget.POST) -> None:
        if not self._switched_on:
            return
        spent = self._spent[budget]
        spent.workspace.take(now)
        if budget in IN_CHANNEL:
            self._forget_full_buckets(spent, now)
            spent.channels.setdefault(channel, Bucket(IN_CHANNEL[budget])).take(now)

    def full_channels(self, now: datetime) -> list[str]:
        """Channels in which nothing may be posted at `now`."""
        spent = self._spent[Budget.POST]
        return [channel for channel in {**spent.channels, **spent.paused_channels} if self.delay_until(channel, now)]

    def limited(self, channel: str, until: datetime, now: datetime, budget: Budget = Budget.POST) -> None:
        """Slack answered 429. For posts that means the channel first, and the workspace when another follows."""
        spent = self._spent[budget]
        others = {name for name, end in spent.paused_channels.items() if end > now and name != channel}
        if budget not in IN_CHANNEL or others:
            self.pause(until, budget)
        spent.paused_channels = {name: spent.paused_channels[name] for name in others} | {channel: until}

    def pause(self, until: datetime, budget: Budget = Budget.POST) -> None:
        """Hold back all calls of `budget`: a 429 covers a method in the whole workspace. Never shortens a pause."""
        spent = self._spent[budget]
        spent.paused_until = max(spent.paused_until, until)

    @staticmethod
    def _forget_full_buckets(spent: _Spent, now: datetime) -> None:
        if len(spent.channels) >= FORGET_ABOVE:
            spent.channels = {channel: lane for channel, lane in spent.channels.items() if lane.full_at > now}
