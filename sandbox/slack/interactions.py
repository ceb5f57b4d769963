"""What a person started with a command or a click: how long the app may react to it, and what it showed them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandbox.slack.changes import Changes
    from sandbox.slack.messages import Message
    from sandbox.slack.views import View
    from sandbox.slack.workspace import Channel, Person, Workspace

RESPONSES = 5
RESPONSE_SECONDS = 30 * 60.0
Kind = Literal["command", "click", "submit", "close", "shortcut"]


@dataclass(eq=False)
class Interaction:
    """One command, click or submitted form, and what the person saw because of it."""

    kind: Kind
    person: Person
    channel: Channel | None
    trigger_id: str
    response_token: str
    started: float
    source: Message | None = None
    trigger_used: bool = False
    responses_left: int = RESPONSES
    error: str | None = None
    acked_after: float | None = None
    messages: list[Message] = field(default_factory=list)
    view: View | None = None
    errors: dict[str, str] = field(default_factory=dict)
    touched: int = 0

    def show(self, message: Message) -> None:
        """The person saw this message, new or replaced."""
        if message not in self.messages:
            self.messages.append(message)
        self.touched += 1


class Interactions:
    """Everything that people started, found by the trigger id or by the end of the response URL."""

    def __init__(self, workspace: Workspace, changes: Changes, *, trigger_seconds: float) -> None:
        self._workspace = workspace
        self._changes = changes
        self._trigger_seconds = trigger_seconds
        self._by_trigger: dict[str, Interaction] = {}
        self._by_response: dict[str, Interaction] = {}
        self._answering: list[Interaction] = []
        self.response_seconds = RESPONSE_SECONDS

    def start(self, kind: Kind, person: Person, channel: Channel | None, source: Message | None = None) -> Interaction:
        """A new interaction with its own trigger id and response URL."""
        number = self._workspace.identifiers.new("", "")
        interaction = Interaction(
            kind=kind,
            person=person,
            channel=channel,
            trigger_id=f"{time.time_ns() // 1_000_000}.{number}.trigger",
            response_token=f"{self._workspace.installation.team_id}/{number}/response",
            started=asyncio.get_running_loop().time(),
            source=source,
        )
        self._by_trigger[interaction.trigger_id] = interaction
        self._by_response[interaction.response_token] = interaction
        self._answering.append(interaction)
        return interaction

    def finish(self, interaction: Interaction) -> None:
        """Nobody waits for the answer any more; its trigger and response URL live on until they expire."""
        self._answering.remove(interaction)

    def of_trigger(self, trigger_id: str) -> Interaction | None:
        """Whatever this trigger id belongs to, however old."""
        return self._by_trigger.get(trigger_id)

    def trigger_expired(self, interaction: Interaction) -> bool:
        """A trigger id opens a modal within 3 seconds or not at all."""
        return asyncio.get_running_loop().time() - interaction.started > self._trigger_seconds

    def of_response(self, token: str) -> Interaction | None:
        """Whatever this response URL belongs to, however old."""
        return self._by_response.get(token)

    def response_expired(self, interaction: Interaction) -> bool:
        """A response URL works for 30 minutes."""
        return asyncio.get_running_loop().time() - interaction.started > self.response_seconds

    def whispered(self, message: Message) -> None:
        """An ephemeral message from `chat.postEphemeral` answers whatever that person waits for in that channel."""
        for interaction in self._answering:
            here = interaction.channel is None or interaction.channel.id == message.channel
            if interaction.person.id == message.visible_to and here:
                interaction.show(message)

    def altered(self, message: Message) -> None:
        """An updated message answers the click on one of its buttons."""
        for interaction in self._answering:
            if interaction.source is message:
                interaction.show(message)
                self._changes.announce()
