"""The Events API: what the app subscribed to, delivered until it acknowledges or Slack gives up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack.delivery import Ack, Envelope

if TYPE_CHECKING:
    from sandbox.slack.changes import Changes
    from sandbox.slack.delivery import Delivery
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Channel, Workspace

# Seconds before the first, second and third repetition: at once, a minute, five minutes.
RETRIES = (0.0, 60.0, 300.0)
SUBSCRIPTIONS = frozenset({
    "app_home_opened", "member_joined_channel", "message.channels", "message.groups", "reaction_added",
    "reaction_removed", "channel_archive", "channel_unarchive", "channel_shared",
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


@dataclass
class EventFaults:
    """`lose` drops events as a long outage does; `copies` sends each so often, under event ids of their own or not."""

    lose: bool = False
    copies: int = 1
    same_event_id: bool = False


@dataclass
class EventsApi:
    """Sends events, and repeats those that were not acknowledged; `pace` multiplies the waits between."""

    workspace: Workspace
    app: Delivery
    changes: Changes
    pace: float = 1.0
    subscriptions: frozenset[str] = SUBSCRIPTIONS
    faults: EventFaults = field(default_factory=EventFaults)
    deliveries: list[EventDelivery] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def publish(self, event: Json, channel: Channel) -> None:
        """Tell the app what happened in a channel, if it subscribed and is a member there."""
        event = {**event, "channel": channel.id, "channel_type": channel.kind} if event["type"] == "message" else event
        if self.workspace.app_is_in(channel):
            self.send(event, name=MESSAGES_OF[channel.kind] if event["type"] == "message" else "", channel=channel)

    def send(self, event: Json, *, name: str = "", channel: Channel | None = None) -> None:
        """Tell the app, if it subscribed to `name` (the event's type unless Slack calls the subscription otherwise)."""
        if self.faults.lose or (name or event["type"]) not in self.subscriptions:
            return
        payload = self._payload(event, shared=bool(channel and channel.is_ext_shared))
        for _ in range(self.faults.copies):
            self._start(dict(payload))
            if not self.faults.same_event_id:
                payload["event_id"] = self.workspace.identifiers.new("Ev")

    def _start(self, payload: Json) -> None:
        delivery = EventDelivery(payload)
        self.deliveries.append(delivery)
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: EventDelivery) -> None:
        reason = ""
        for attempt, wait in enumerate((0.0, *RETRIES)):
            if wait:
                await asyncio.sleep(wait * self.pace)
            delivery.attempts = attempt + 1
            outcome = await self.app.send(Envelope("events_api", delivery.payload, attempt, reason))
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
            "token": "deprecated",
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
