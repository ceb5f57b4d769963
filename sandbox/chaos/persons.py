"""The agents at the end of a run: asked whether a message was sent, they look at the phone and click."""

from __future__ import annotations

from sandbox.chaos.house import House
from sandbox.chaos.ledger import TAG
from sandbox.chaos.opening import AGENTS, Conversation
from sandbox.chaos.seen import ASKED
from sandbox.slack import Message, SandboxError, Wait

WAS_SENT, SEND_AGAIN = "It was sent", "Send again"
_PATIENCE = Wait(seconds=5.0)


async def decide(house: House, conversations: list[Conversation]) -> int:
    """Answer every open question; how many clicks there were."""
    clicks = 0
    on_phones = {
        found[0]
        for one in conversations
        for shown in one.customer.chat_with(one.shop)
        if shown.direction == "in" and (found := TAG.search(shown.text))
    }
    for question in _questions(house, conversations):
        found = TAG.search(question.text)
        if found is None:
            continue
        try:
            wanted = WAS_SENT if found[0] in on_phones else SEND_AGAIN
            await house.slack.click(AGENTS[0], question, wanted, wait=_PATIENCE)
        except SandboxError:
            continue  # decided already, by the message's own echo
        clicks += 1
    return clicks


def _questions(house: House, conversations: list[Conversation]) -> list[Message]:
    channels = {one.channel for one in conversations if not one.is_trusted}
    return [post for channel in sorted(channels) for post in house.slack.messages(channel) if ASKED in post.text]
