"""What stands at the far ends: in Slack's threads and on the customers' phones, as people see it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from sandbox.chaos.house import House
from sandbox.chaos.ledger import TAG
from sandbox.chaos.opening import Conversation

# How customers are called: see `Conversation.name`.
NAME = re.compile(r"\bc\d{3}\b")
LATE = re.compile(r"arrived late")
ASKED = "❓"
FAILED = ("❌", "⏸")
ECHO = "_Sent from the phone_"


@dataclass
class Seen:
    """Tags in the order in which they stand, by the name of the conversation; `c017/2` is a second thread of `c017`.

    `foreign` are our own messages that were taken for ones written on the phone, `roots` how many threads a
    customer has, `asked` the messages of which a person was told that nobody knows, `failed` those said to have
    failed.
    """

    inbound: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    outbound: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    roots: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    foreign: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    late: int = 0


def look(house: House, conversations: list[Conversation]) -> Seen:
    """Look at every thread and every phone."""
    seen = Seen()
    app = house.slack.state.workspace.installation.bot_user
    for channel in {one.channel for one in conversations}:
        threads: dict[str, str] = {}
        for message in house.slack.messages(channel):
            if message.user != app:
                continue
            if message.is_reply:
                note_post(seen, message.text, threads.get(message.thread_ts or "", "a thread of nobody"))
            elif found := NAME.search(message.text):
                seen.roots[found[0]] += 1
                number = seen.roots[found[0]]
                threads[message.ts] = found[0] if number == 1 else f"{found[0]}/{number}"
    for conversation in conversations:
        for shown in conversation.customer.chat_with(conversation.shop):
            if shown.direction == "in" and (found := TAG.search(shown.text)):
                seen.outbound[conversation.name].append(found[0])
    return seen


def note_post(seen: Seen, text: str, where: str) -> None:
    """Sort one post of ours in a thread: a customer's message, or what it says about a reply."""
    found = TAG.search(text)
    if LATE.search(text):
        seen.late += 1
    if found is None:
        return
    if found[1] == "in":
        seen.inbound[where].append(found[0])
    elif text.startswith(ASKED):
        seen.asked.add(found[0])
    elif text.startswith(FAILED):
        seen.failed.add(found[0])
    elif ECHO in text:  # also below the divider of a catch-up
        seen.foreign.append(found[0])
