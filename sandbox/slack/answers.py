"""What came back to a person who typed a command, clicked or submitted a form."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack import controls, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.slack.interactions import Interaction
    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json
    from sandbox.slack.state import State
    from sandbox.slack.views import View
    from sandbox.slack.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """Everything that the person saw because of what they did, in order.

    `error` is Slack's own complaint (`operation_timeout`, `dispatch_failed`, or what is wrong with the app's answer),
    `errors` are a form's, by the label of the field. The messages are live: one replaced later reads differently.
    """

    user: str
    error: str | None
    acked_after: float | None
    messages: tuple[Message, ...]
    view: View | None
    errors: dict[str, str]
    _workspace: Workspace = field(repr=False)

    @property
    def text(self) -> str:
        """The messages as a person reads them, and the open modal's blocks after them."""
        said = [readable.message(message, self._workspace) for message in self.messages if not message.deleted]
        if self.view:
            said.append(readable.blocks(self.view.blocks, self._workspace))
        return "\n".join(said)

    @property
    def texts(self) -> list[str]:
        """The top-level `text` of each message: the notification, and all that a screen reader reads."""
        return [message.text for message in self.messages]

    @property
    def blocks(self) -> list[Json]:
        """The blocks of all messages."""
        return [block for message in self.messages for block in message.blocks]

    @property
    def labels(self) -> list[str]:
        """What is written on the buttons and menus."""
        return controls.labels(self.blocks)


def answer_of(interaction: Interaction, workspace: Workspace) -> Answer:
    """The answer so far."""
    return Answer(
        user=interaction.person.name,
        error=interaction.error,
        acked_after=interaction.acked_after,
        messages=tuple(interaction.messages),
        view=interaction.view,
        errors=dict(interaction.errors),
        _workspace=workspace,
    )


async def settled(
    state: State,
    interaction: Interaction,
    *,
    seconds: float,
    quiet: float,
    until: Callable[[Answer], bool] | None = None,
) -> Answer:
    """Wait until something was answered and nothing more follows for `quiet` seconds, or until `until` holds.

    An app that stays silent for `seconds` gets an answer without messages.

    Raises:
        TimeoutError: `until` was given and did not come true.
    """
    if until:
        await state.changes.until(lambda: until(answer_of(interaction, state.workspace)), seconds)
        return answer_of(interaction, state.workspace)
    if interaction.error or not await _became(state, lambda: bool(interaction.touched), seconds):
        return answer_of(interaction, state.workspace)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        if not await _became(state, _more_than(interaction.touched, interaction), quiet):
            break
    return answer_of(interaction, state.workspace)


def _more_than(before: int, interaction: Interaction) -> Callable[[], bool]:
    return lambda: interaction.touched > before


async def _became(state: State, condition: Callable[[], bool], seconds: float) -> bool:
    try:
        return await state.changes.until(condition, seconds)
    except TimeoutError:
        return False
