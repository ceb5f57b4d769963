"""The buttons under a post about a message: what a person can decide there. `operations.deciding` carries it out."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from slack.blocks import Block, Style, actions, button, confirm, sections

if TYPE_CHECKING:
    from uuid import UUID


class Act(StrEnum):
    """A button's action id."""

    SEND_NOW = "message.send_now"
    DISCARD = "message.discard"
    WAS_SENT = "message.was_sent"
    SEND_AGAIN = "message.send_again"
    RETRY = "message.retry"
    EDIT = "message.edit"


RETRY_ALL = "messages.retry"
"""Several at once, each by itself."""

LABELS: dict[Act, str] = {
    Act.SEND_NOW: "Send now",
    Act.DISCARD: "Discard",
    Act.WAS_SENT: "It was sent",
    Act.SEND_AGAIN: "Send again",
    Act.RETRY: "Retry",
    Act.EDIT: "Edit",
}
_STYLES: dict[Act, Style] = {Act.SEND_NOW: "primary", Act.RETRY: "primary", Act.DISCARD: "danger"}


def with_buttons(text: str, message_id: UUID, *acts: Act) -> list[Block]:
    """`text` as sections, and below it a button for each act; each carries the message's id, to be checked again."""
    return [*sections(text), actions(*(button_for(act, message_id) for act in acts))]


def button_for(act: Act, message_id: UUID) -> Block:
    return button(
        LABELS[act],
        act.value,
        value=str(message_id),
        style=_STYLES.get(act),
        confirm=_ARE_YOU_SURE if act is Act.SEND_AGAIN else None,
    )


# Everything else can be taken back or does nothing twice.
_ARE_YOU_SURE = confirm(
    "Send it again?", "If it was sent after all, the customer gets it twice. Look on the phone first.", yes="Send again"
)
