"""Response URLs: how the app answers a command or a click without being in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import drafts
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.interactions import Interaction
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State


def answer(state: State, token: str, body: Json) -> None:
    """Do what was posted to a response URL.

    Raises:
        Refusal: `used_url` after five uses, `expired_url` after 30 minutes, or what is wrong with the message.
    """
    interaction = state.interactions.of_response(token)
    if not interaction:
        raise Refusal("invalid_url")
    if state.interactions.response_expired(interaction):
        raise Refusal("expired_url")
    if interaction.responses_left <= 0:
        raise Refusal("used_url")
    interaction.responses_left -= 1
    show(state, interaction, body)


def show(state: State, interaction: Interaction, body: Json) -> None:
    """Show an answer: ephemeral unless it says `in_channel`, new unless it replaces the message that was clicked.

    A command's response URL has nothing to replace: Slack posts another message (bolt-python issue 1268).

    Raises:
        Refusal: the message has no text, or its blocks are not valid.
    """
    if body.get("delete_original") and interaction.source:
        state.messages.delete(interaction.source)
        interaction.show(interaction.source)
        state.changes.announce()
        return
    draft = drafts.read_mapping(body)
    if body.get("replace_original") and interaction.source:
        _replace(state, interaction.source, draft)
        interaction.show(interaction.source)
    else:
        interaction.show(_post(state, interaction, body, draft))
    state.changes.announce()


def _replace(state: State, message: Message, draft: drafts.Draft) -> None:
    blocks = drafts.with_ids(draft.blocks, state.workspace)
    bot = state.workspace.installation.bot_user
    state.messages.edit(message, by=bot, text=draft.text, blocks=blocks, metadata=draft.metadata)


def _post(state: State, interaction: Interaction, body: Json, draft: drafts.Draft) -> Message:
    channel = interaction.channel or state.workspace.direct(interaction.person.id)
    message = drafts.message(draft, channel, state.workspace)
    message.thread_ts = body.get("thread_ts")
    if body.get("response_type") == "in_channel":
        message.subtype = "bot_message"
        return state.messages.post(message)
    message.visible_to = interaction.person.id
    return state.messages.whisper(message)
