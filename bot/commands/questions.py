"""What is asked back below a command, as buttons: whether it is meant, and for which tenant."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from bot.commands.command import Turn
from operations.errors import AmbiguousTenant
from operations.slack_inbox import Answer
from slack.blocks import Block, actions, button, plain, sections

CONFIRM = "command.confirm"
CANCEL = "command.cancel"
CHOOSE = "command.tenant"

MOST_BUTTONS = 5
# Slack's menus take no more; the sentence above them says how to name any other.
MOST_CHOICES = 100
_LABEL = 75


def confirmation(turn: Turn, question: str) -> Answer:
    """Whether something is really to be destroyed. What was asked for stands in the inbox, and not in the button."""
    value = turn.button_value()
    yes = button(turn.command.deed, CONFIRM, value=value, style="danger")
    blocks = [*sections(question), actions(yes, button("Cancel", CANCEL, value=value))]
    return Answer(question, blocks, asks_back=True)


def which_tenant(event_id: UUID, question: AmbiguousTenant) -> Answer:
    """Which of the person's tenants is meant: what is chosen is carried out for that one."""
    blocks = [*sections(question.sentence), actions(*_choices(event_id, question.choices))]
    return Answer(question.sentence, blocks, asks_back=True)


def _choices(event_id: UUID, tenants: Sequence[tuple[UUID, str]]) -> list[Block]:
    if len(tenants) <= MOST_BUTTONS:
        return [
            button(name[:_LABEL], f"{CHOOSE}.{number}", value=f"{event_id} {tenant_id}")
            for number, (tenant_id, name) in enumerate(tenants)
        ]
    options = [
        {"text": plain(name[:_LABEL]), "value": f"{event_id} {tenant_id}"} for tenant_id, name in tenants[:MOST_CHOICES]
    ]
    return [{"type": "static_select", "action_id": CHOOSE, "placeholder": plain("Choose a tenant"), "options": options}]
