"""The load: customers and agents write, as fast as the house keeps up, never more than a bounded backlog."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass

from sandbox.chaos.house import House
from sandbox.chaos.ledger import Ledger, Offer, Way
from sandbox.chaos.opening import AGENTS, Conversation

# So many messages may be on their way in each direction.
BACKLOG = 250
# And so many may be offered a second, so that a fast machine is shaken for long enough.
MOST_A_SECOND = 15
_LONGEST_BURST = 4
_LOOK_EVERY = 0.25
# An acknowledgement that has not come after this long is not waited for: another message is offered instead.
_PATIENCE = 60.0
_READERS = 6


@dataclass
class Progress:
    """How many of each way stand at the far end, looked at now and then."""

    inbound: int = 0
    outbound: int = 0


class Load:
    """Offers until `messages` of each way were acknowledged, or the time is over."""

    def __init__(self, house: House, conversations: list[Conversation], ledger: Ledger) -> None:
        self._house = house
        self._conversations = conversations
        self._ledger = ledger
        self._source = random.Random(f"load of {house.options.seed}")
        self.progress = Progress()
        self.began = time.time()

    async def run(self) -> None:
        deadline = self.began + self._house.options.minutes * 60
        while time.time() < deadline:
            self._house.check()
            self._ledger.gather(self._house)
            self.look()
            missing = {way: self._missing(way) for way in ("in", "out")}
            if all(self._are_acknowledged(way) for way in missing):
                return
            for way, count in missing.items():
                await self._write(way, count)
            await self._read()
            await asyncio.sleep(_LOOK_EVERY)

    def _are_acknowledged(self, way: str) -> bool:
        acknowledged = self._ledger.acknowledged("in" if way == "in" else "out")
        return len(acknowledged) >= self._house.options.messages

    def _missing(self, way: str) -> int:
        """How many to offer now: what is still wanted, within what may be on its way."""
        offers = self._ledger.of("in" if way == "in" else "out")
        late = time.time() - _PATIENCE
        hopeful = sum(1 for one in offers if one.acknowledged_at is not None or one.offered_at > late)
        arrived = self.progress.inbound if way == "in" else self.progress.outbound
        allowed = int((time.time() - self.began + 1) * MOST_A_SECOND) - len(offers)
        return max(0, min(self._house.options.messages - hopeful, BACKLOG - (hopeful - arrived), allowed))

    async def _write(self, way: str, count: int) -> None:
        while count > 0:
            conversation = self._source.choice(self._conversations)
            burst = min(count, self._source.randint(1, _LONGEST_BURST))
            for _ in range(burst):
                if way == "in":
                    await self._customer_writes(conversation)
                else:
                    self._agent_writes(conversation)
            count -= burst
            await asyncio.sleep(0)

    async def _customer_writes(self, conversation: Conversation) -> None:
        offer = self._ledger.offer("in", conversation)
        await conversation.customer.write(_words(offer), to=conversation.shop)

    def _agent_writes(self, conversation: Conversation) -> None:
        offer = self._ledger.offer("out", conversation)
        user = self._source.choice(AGENTS)
        self._house.slack.say(user, conversation.channel, _words(offer), thread_ts=conversation.thread_ts)

    async def _read(self) -> None:
        for conversation in self._source.sample(self._conversations, k=min(_READERS, len(self._conversations))):
            await conversation.customer.read(conversation.shop)

    def look(self) -> None:
        slack = self._house.slack
        app = slack.state.workspace.installation.bot_user
        arrived: Counter[Way] = Counter()
        for channel in {one.channel for one in self._conversations}:
            arrived["in"] += sum(1 for one in slack.messages(channel) if one.user == app and one.text.find("in-") > 0)
        for conversation in self._conversations:
            chat = conversation.customer.chat_with(conversation.shop)
            arrived["out"] += sum(1 for one in chat if one.direction == "in")
        self.progress = Progress(arrived["in"], arrived["out"])


def _words(offer: Offer) -> str:
    return f"{offer.tag} for {offer.conversation.name}, said once and in order"
