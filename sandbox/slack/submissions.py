"""What an app answers to a submitted form: close it, change it, or say what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import forms
from sandbox.slack.methods.views import read_content
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.interactions import Interaction
    from sandbox.slack.state import State
    from sandbox.slack.views import View


def take(state: State, interaction: Interaction, view: View, answer: object) -> None:
    """Do what the acknowledgement of a `view_submission` asks for; an empty one closes the form."""
    body = answer if isinstance(answer, dict) else {}
    interaction.touched += 1
    try:
        _act(state, interaction, view, body)
    except Refusal as refusal:
        interaction.error = complaint(refusal)


def _act(state: State, interaction: Interaction, view: View, body: Json) -> None:
    action = body.get("response_action")
    if action == "errors":
        interaction.errors = _errors(view, body.get("errors", {}))
        interaction.view = view
    elif action == "update":
        interaction.view = state.views.update(view, read_content(body.get("view"), "modal"))
    elif action == "push":
        interaction.view = state.views.push(interaction.person.id, read_content(body.get("view"), "modal"))
    else:
        state.views.close(interaction.person.id, everything=action == "clear")


def _errors(view: View, errors: dict[str, str]) -> dict[str, str]:
    known = {block.get("block_id") for block in view.blocks if block.get("type") == "input"}
    if not errors or not set(errors) <= known:
        raise Refusal("invalid_errors", response_metadata={"messages": ["[ERROR] errors must name input blocks"]})
    return {forms.label_of(view, block_id): reason for block_id, reason in errors.items()}


def complaint(refusal: Refusal) -> str:
    """A refusal in a line: Slack shows none of this to the person, but whoever tests wants to read it."""
    messages = refusal.more.get("response_metadata", {}).get("messages", [])
    return ": ".join([refusal.error, *messages[:1]])
