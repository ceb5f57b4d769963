"""What was offered and what was acknowledged, gathered from the simulators while they work."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sandbox.chaos.house import House
from sandbox.chaos.opening import Conversation

Way: TypeAlias = Literal["in", "out"]
TAG = re.compile(r"\b(in|out)-\d{5}\b")
UNANSWERED_AFTER = 20.0
# What WAHA tells of one message of a customer.
_ARRIVALS = (b'"event":"message.any"', b'"event":"message"')


@dataclass
class Offer:
    """One message that was written. `acknowledged_at` is when our process had promised to keep it."""

    tag: str
    way: Way
    conversation: Conversation
    offered_at: float
    acknowledged_at: float | None = None


@dataclass
class Ledger:
    """All offers by tag, and by tag what the simulators saw of it: (time, words)."""

    offers: dict[str, Offer] = field(default_factory=dict)
    seen: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    calls: int = 0
    webhooks: int = 0
    events: int = 0
    _numbers: dict[str, Iterator[int]] = field(
        default_factory=lambda: {"in": itertools.count(1), "out": itertools.count(1)}
    )

    def offer(self, way: Way, conversation: Conversation) -> Offer:
        offer = Offer(f"{way}-{next(self._numbers[way]):05d}", way, conversation, time.time())
        self.offers[offer.tag] = offer
        return offer

    def of(self, way: Way) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.way == way]

    def acknowledged(self, way: Way) -> list[Offer]:
        return [offer for offer in self.of(way) if offer.acknowledged_at is not None]

    def acknowledge(self, tag: str, at: float) -> None:
        offer = self.offers.get(tag)
        if offer is not None and offer.acknowledged_at is None:
            offer.acknowledged_at = at

    def gather(self, house: House) -> None:
        """Take over what the simulators wrote down, which keeps their memory small."""
        for server, waha in house.wahas.items():
            self._webhooks(server, waha.journal.webhooks)
            self._requests(server, waha.journal.requests)
        self._events(house.slack.state.events.deliveries)
        self._calls(house.slack.journal)

    def _webhooks(self, server: str, posted: Any) -> None:
        for one in _taken(posted, lambda one: one.error is not None or _is_settled(one)):
            self.webhooks += 1
            if not any(name in one.body for name in _ARRIVALS):
                continue
            found = TAG.search(str(one.event["payload"].get("body")))
            if found is None:
                continue
            outcome = one.status or one.error
            self.seen[found[0]].append((one.at.timestamp(), f"{server} posted {one.event['event']}: {outcome}"))
            if found[1] == "in" and one.status is not None and 200 <= one.status < 300:  # noqa: PLR2004
                self.acknowledge(found[0], one.at.timestamp())

    def _requests(self, server: str, received: Any) -> None:
        for one in _taken(received, _is_settled):
            self.calls += 1
            if one.path.startswith("/api/send") and (found := TAG.search(one.body.decode(errors="replace"))):
                body = json.loads(one.body)
                self.seen[found[0]].append(
                    (one.at.timestamp(), f"{server} {one.path} {body.get('id', 'without id')}: {one.status}")
                )

    def _events(self, deliveries: Any) -> None:
        for one in _taken(deliveries, lambda one: one.acknowledged or one.given_up):
            self.events += 1
            event = one.event
            found = TAG.search(str(event.get("text", ""))) if event.get("type") == "message" else None
            if found is None or found[1] != "out" or "bot_id" in event:
                continue
            told = "acknowledged" if one.acknowledged else "given up"
            self.seen[found[0]].append((time.time(), f"slack event {told} after {one.attempts} attempts"))
            if one.acknowledged:
                self.acknowledge(found[0], time.time())

    def _calls(self, journal: Any) -> None:
        for one in _taken(journal, _is_settled):
            self.calls += 1
            found = TAG.search(str(one.arguments.get("text", ""))) if one.method == "chat.postMessage" else None
            if found is not None:
                stored = "stored" if one.stored else "not stored"
                self.seen[found[0]].append((one.at, f"slack {one.method}: {stored}, answered {one.status}"))


def _is_settled(call: Any) -> bool:
    """Whether a call was answered, or will not be any more."""
    at = call.at if isinstance(call.at, float) else call.at.timestamp()
    return call.status is not None or time.time() - at > UNANSWERED_AFTER


def _taken(entries: Any, is_done: Any) -> list[Any]:
    """Remove what is done from a list or deque that others go on filling; returns it."""
    everything = list(entries)
    entries.clear()
    done = []
    for entry in everything:
        if is_done(entry):
            done.append(entry)
        else:
            entries.append(entry)
    return done
