"""Ways to mistreat webhooks on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from sandbox.waha.environment import Json
from sandbox.waha.switches import Seconds, Switch

# One that is held back and that nothing overtakes comes after this long.
HELD_AT_MOST_SECONDS = 5.0
STATUS_EVENT = "session.status"


@dataclass(eq=False, kw_only=True)
class WebhookFault(Switch):
    """What happens to events. `event` is the name of those that it is about, and may hold `*`.

    - `duplicate`: posted twice at once, under one event id.
    - `late`: posted `seconds` later.
    - `overtaken`: held back until the receiver has taken `by` later ones of the same chat, or after `seconds`.
    - `lose`: never posted.
    - `message_too`: a webhook that wants `message.any` and not `message` gets both, as when the server has a webhook
      of its own to the same address.
    - `deaf`: nothing but the session's status is posted, though its history grows, until it is stopped or restarted.
    - `twin`: a message comes a second time under the other id of its sender (`@lid`, `@c.us`), as an event of its own.
    """

    kind: Literal["duplicate", "late", "overtaken", "lose", "message_too", "twin", "deaf"]
    event: str = "*"
    by: int = 1
    _held: list[Held] = field(default_factory=list, init=False, repr=False)

    def heal(self) -> None:
        super().heal()
        for held in self._held:
            held.opened.set()

    def is_about_event(self, event: Json) -> bool:
        return (self.event == "*" or fnmatchcase(event["event"], self.event)) and self.is_about(event["session"])

    def hold(self, event: Json) -> Held:
        held = Held(self, lane_of(event), self.by, self.draw_seconds() or HELD_AT_MOST_SECONDS)
        self._held = [*(one for one in self._held if not one.opened.is_set()), held]
        return held


@dataclass(eq=False)
class Held:
    """An event that waits for others to overtake it."""

    fault: WebhookFault
    lane: tuple[str, str]
    to_come: int
    seconds: float
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def overtake(self, event: Json) -> None:
        if lane_of(event) == self.lane and self.fault.is_about_event(event):
            self.to_come -= 1
        if self.to_come <= 0:
            self.opened.set()

    async def wait(self) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await self.opened.wait()
        except TimeoutError:
            self.opened.set()


@dataclass(frozen=True)
class Delivery:
    """How one event is posted to one webhook."""

    copies: int = 1
    seconds: float = 0.0
    held: Held | None = None


class WebhookFaults:
    """What is switched on for webhooks; whatever strikes an event adds up.

    waha.webhook_faults.duplicate("message*", probability=0.05, seed=2)
    """

    def __init__(self) -> None:
        self._switched_on: list[WebhookFault] = []
        self._held: list[Held] = []

    @property
    def switched_on(self) -> list[WebhookFault]:
        return [fault for fault in self._switched_on if not fault.is_over]

    def add(self, fault: WebhookFault) -> WebhookFault:
        self._switched_on.append(fault)
        return fault

    def duplicate(self, event: str = "*", **when: Any) -> WebhookFault:
        """`when` here and below: `session`, `times`, `probability`, `seed` of a `Switch`."""
        return self.add(WebhookFault(kind="duplicate", event=event, **when))

    def late(self, seconds: Seconds, event: str = "*", **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="late", event=event, seconds=seconds, **when))

    def overtaken(self, event: str = "message*", *, by: int = 1, seconds: Seconds = 0.0, **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="overtaken", event=event, by=by, seconds=seconds, **when))

    def lose(self, event: str = "*", **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="lose", event=event, **when))

    def message_too(self, **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="message_too", event="message", **when))

    def twin(self, **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="twin", event="message.any", **when))

    def deaf(self, session: str, **when: Any) -> WebhookFault:
        return self.add(WebhookFault(kind="deaf", session=session, **when))

    def heal(self) -> None:
        """Switches everything off and lets go of what is held back."""
        for fault in self._switched_on:
            fault.heal()
        for held in self._held:
            held.opened.set()
        self._switched_on.clear()

    def delivery(self, event: Json) -> Delivery | None:
        """How to post this event; None: not at all."""
        self._switched_on = self.switched_on
        if self.strikes("lose", event) or (event["event"] != STATUS_EVENT and self.strikes("deaf", event)):
            return None
        late = self.strikes("late", event)
        overtaken = self.strikes("overtaken", event)
        held = overtaken.hold(event) if overtaken else None
        delivery = Delivery(2 if self.strikes("duplicate", event) else 1, late.draw_seconds() if late else 0.0, held)
        self._held = [one for one in self._held if not one.opened.is_set()]
        if held is not None:
            self._held.append(held)
        return delivery

    def has_stopped(self, session: str) -> None:
        """What a new start cures is over for this session."""
        for fault in self._switched_on:
            if fault.kind == "deaf" and fault.is_about(session):
                fault.heal()

    def strikes(self, kind: str, event: Json) -> WebhookFault | None:
        """The fault of this kind that strikes the event, if one does."""
        for fault in self._switched_on:
            if fault.kind == kind and fault.is_about_event(event) and fault.strikes():
                return fault
        return None

    def taken(self, event: Json, held: Held | None) -> None:
        """The receiver took `event`: one less to wait for. What was held itself overtakes nobody."""
        if self._held and held is None:
            for one in self._held:
                one.overtake(event)


def lane_of(event: Json) -> tuple[str, str]:
    """The session and the chat of an event, as the id of its message has it; without one, the session alone."""
    message_id = event["payload"].get("id")
    parts = message_id.split("_") if isinstance(message_id, str) else []
    return event["session"], parts[1] if len(parts) > 1 else ""
