"""Emoji on messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State

EMOJI = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")
MOST_REACTIONS = 50


@method("reactions.add", scope="reactions:write")
def add(state: State, arguments: Arguments) -> Json:
    """The app reacts; a second time is an error."""
    message, name = _message(state, arguments), _emoji(arguments)
    if len(message.reactions) >= MOST_REACTIONS and name not in message.reactions:
        raise Refusal("too_many_emoji")
    if not state.messages.react(message, name, state.workspace.installation.bot_user):
        raise Refusal("already_reacted")
    return {}


@method("reactions.remove", scope="reactions:write")
def remove(state: State, arguments: Arguments) -> Json:
    """The app takes its reaction back."""
    message, name = _message(state, arguments), _emoji(arguments)
    if not state.messages.unreact(message, name, state.workspace.installation.bot_user):
        raise Refusal("no_reaction")
    return {}


@method("reactions.get", scope="reactions:read")
def get(state: State, arguments: Arguments) -> Json:
    """A message with everybody's reactions."""
    message = _message(state, arguments)
    return {"type": "message", "channel": message.channel, "message": state.messages.as_json(message)}


def _emoji(arguments: Arguments) -> str:
    name = arguments.required("name").strip(":")
    if not EMOJI.fullmatch(name):
        raise Refusal("invalid_name")
    return name


def _message(state: State, arguments: Arguments) -> Message:
    if not arguments.text("channel") or not arguments.text("timestamp"):
        raise Refusal("no_item_specified")
    channel = state.workspace.joined_by_app(arguments.text("channel"))
    message = state.messages.find(channel.id, arguments.text("timestamp"))
    if message is None or message.deleted:
        raise Refusal("message_not_found")
    return message
