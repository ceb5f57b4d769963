"""Modals and the Home tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import block_limits
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal, invalid_arguments

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.interactions import Interaction
    from sandbox.slack.state import State


@method("views.open")
def open_view(state: State, arguments: Arguments) -> Json:
    """Open a modal for the person who gave the trigger id: within 3 seconds, once."""
    content = read_content(arguments.structure("view"), "modal")
    interaction = _use_trigger(state, arguments)
    interaction.view = state.views.open(interaction.person.id, content)
    interaction.touched += 1
    return {"view": state.views.as_json(interaction.view)}


@method("views.push")
def push(state: State, arguments: Arguments) -> Json:
    """Put a modal over the one from which the trigger id came."""
    content = read_content(arguments.structure("view"), "modal")
    interaction = _use_trigger(state, arguments)
    interaction.view = state.views.push(interaction.person.id, content)
    interaction.touched += 1
    return {"view": state.views.as_json(interaction.view)}


@method("views.update")
def update(state: State, arguments: Arguments) -> Json:
    """Change a modal that is open."""
    view = state.views.find(arguments.text("view_id"), arguments.text("external_id"))
    content = read_content(arguments.structure("view"), view.content["type"])
    state.views.update(view, content, only_if=arguments.text("hash"))
    return {"view": state.views.as_json(view)}


@method("views.publish")
def publish(state: State, arguments: Arguments) -> Json:
    """Set a person's Home tab."""
    user = arguments.required("user_id")
    if user not in state.workspace.people:
        raise Refusal("user_not_found")
    content = read_content(arguments.structure("view"), "home")
    view = state.views.publish(user, content, only_if=arguments.text("hash"))
    return {"view": state.views.as_json(view)}


def read_content(view: object, kind: str) -> Json:
    """A view that Slack would show.

    Raises:
        Refusal: `invalid_arguments`, with the reasons.
    """
    if not isinstance(view, dict):
        raise invalid_arguments("missing required field: view")
    if reasons := block_limits.check_view(view):
        raise invalid_arguments(*reasons)
    if view["type"] != kind:
        raise invalid_arguments(f"must be one of: {kind} [json-pointer:/view/type]")
    return view


def _use_trigger(state: State, arguments: Arguments) -> Interaction:
    interaction = state.interactions.of_trigger(arguments.required("trigger_id"))
    if interaction is None:
        raise Refusal("invalid_trigger_id")
    if interaction.trigger_used:
        raise Refusal("exchanged_trigger_id")
    if state.interactions.trigger_expired(interaction):
        raise Refusal("expired_trigger_id")
    interaction.trigger_used = True
    return interaction
