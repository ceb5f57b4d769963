"""The Events API: what the app subscribed to, delivered until it acknowledges or Slack gives up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack.delivery import Ack, Envelope, Undelivered
from sandbox.slack.faults import drawn

if TYPE_CHECKING:
    from random import Random

    from sandbox.slack.changes import Changes
    from sandbox.slack.delivery import Delivery
    from sandbox.slack.faults import Span
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Channel, Workspace

# Seconds before the first, second and third repetition: at once, a minute, five minutes.
RETRIES = (0.0, 60.0, 300.0)
SUBSCRIPTIONS = frozenset({
    "app_home_opened", "member_joined_channel", "message.channels", "message.groups", "reaction_added",
    "reaction_removed", "channel_archive", "channel_unarchive", "channel_shared", "user_change",
    "app_uninstalled", "tokens_revoked",
})  # fmt: skip
MESSAGES_OF = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


@dataclass
class EventDelivery:
    """One event on its way to the app."""

    payload: Json
    attempts: int = 0
    acknowledged: bool = False
    given_up: bool = False

    @property
    def event(self) -> Json:
        """What happened."""
        event: Json = self.payload["event"]
        return event


@dataclass(frozen=True)
class EventFaults:
    """What goes wrong with events; `lose`, `lose_acks` and `share` are parts of 1.

    Lost events are never told, as in a long outage; a lost acknowledgement makes Slack repeat the event. Of the others
    `share` are sent in `copies`, under event ids of their own or not, and `late` by so many seconds. Those are also
    swapped with the next event, if one comes within `swap_within` seconds.
    """

    lose: float = 0.0
    lose_acks: float = 0.0
    share: float = 1.0
    copies: int = 1
    same_event_id: bool = False
    late: Span = 0.0
    swap_within: float = 0.0


NONE = EventFaults()


@dataclass
class EventsApi:
    """Sends events, and repeats those that were not acknowledged; `pace` multiplies the waits between."""

    workspace: Workspace
    app: Delivery
    changes: Changes
    random: Random
    pace: float = 1.0
    subscriptions: frozenset[str] = SUBSCRIPTIONS
    faults: EventFaults = NONE
    deliveries: list[EventDelivery] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _next: asyncio.Event = field(default_factory=asyncio.Event)
    _healed: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, event: Json, channel: Channel) -> None:
        """Tell the app what happened in a channel, if it subscribed and is a member there."""
        event = {**event, "channel": channel.id, "channel_type": channel.kind} if event["type"] == "message" else event
        if self.workspace.app_is_in(channel):
            self.send(event, name=MESSAGES_OF[channel.kind] if event["type"] == "message" else "", channel=channel)

    def send(self, event: Json, *, name: str = "", channel: Channel | None = None) -> None:
        """Tell the app, if it subscribed to `name` (the event's type unless Slack calls the subscription otherwise)."""
        if (name or event["type"]) not in self.subscriptions or self._happens(self.faults.lose):
            return
        payload = self._payload(event, shared=bool(channel and channel.is_ext_shared))
        faults = self.faults if self._happens(self.faults.share) else NONE
        passed, self._next = self._next, asyncio.Event()
        for _ in range(faults.copies):
            self._start(dict(payload), faults)
            if not faults.same_event_id:
                payload["event_id"] = self.workspace.identifiers.new("Ev")
        # Whoever waits to be overtaken has been.
        passed.set()

    def heal(self) -> None:
        """Nothing goes wrong any more, and what was held back is told."""
        self.faults = NONE
        self._next.set()
        healed, self._healed = self._healed, asyncio.Event()
        healed.set()

    def _happens(self, part: float) -> bool:
        return part > 0 and (part >= 1 or self.random.random() < part)

    def _start(self, payload: Json, faults: EventFaults) -> None:
        delivery = EventDelivery(payload)
        self.deliveries.append(delivery)
        is_held = bool(faults.late or faults.swap_within)
        work = self._hold(delivery, faults, self._next, self._healed) if is_held else self._deliver(delivery)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(
        self, delivery: EventDelivery, faults: EventFaults, overtaken: asyncio.Event, healed: asyncio.Event
    ) -> None:
        await _set_within(overtaken, faults.swap_within)
        await _set_within(healed, drawn(faults.late, self.random))
        await self._deliver(delivery)

    async def _deliver(self, delivery: EventDelivery) -> None:
        reason = ""
        for attempt, wait in enumerate((0.0, *RETRIES)):
            if wait:
                await asyncio.sleep(wait * self.pace)
            delivery.attempts = attempt + 1
            outcome = await self.app.send(Envelope("events_api", delivery.payload, attempt, reason))
            if isinstance(outcome, Ack) and self._happens(self.faults.lose_acks):
                outcome = Undelivered("timeout")
            delivery.acknowledged = isinstance(outcome, Ack)
            if isinstance(outcome, Ack) or outcome.final:
                break
            reason = outcome.reason
        delivery.given_up = not delivery.acknowledged
        self.changes.announce()

    def _payload(self, event: Json, *, shared: bool) -> Json:
        installation = self.workspace.installation
        authorization = {
            "enterprise_id": None,
            "team_id": installation.team_id,
            "user_id": installation.bot_user,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": installation.verification_token,
            "team_id": installation.team_id,
            "context_team_id": installation.team_id,
            "context_enterprise_id": None,
            "api_app_id": installation.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": self.workspace.identifiers.new("Ev"),
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": shared,
            "event_context": f"4-{self.workspace.identifiers.new('', 'context')}",
        }

    async def close(self) -> None:
        """Stop repeating."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
