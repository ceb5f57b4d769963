"""What Slack sends for commands, clicks, forms and shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.slack.interactions import Interaction
    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json
    from sandbox.slack.state import State
    from sandbox.slack.views import View


def slash_command(state: State, interaction: Interaction, command: str, text: str) -> Json:
    """`/wa …`; a form when it goes by HTTP, so that every value is a string."""
    installation = state.workspace.installation
    channel = interaction.channel
    return {
        "token": installation.verification_token,
        "team_id": installation.team_id,
        "team_domain": installation.team_domain,
        "channel_id": channel.id if channel else "",
        "channel_name": "privategroup" if channel and channel.is_private else channel.name if channel else "",
        "user_id": interaction.person.id,
        "user_name": interaction.person.name,
        "command": command,
        "text": text,
        "api_app_id": installation.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url(state, interaction),
        "trigger_id": interaction.trigger_id,
    }


def click_on_message(state: State, interaction: Interaction, message: Message, action: Json) -> Json:
    """`block_actions` from a message. An ephemeral one is named by its container, and not sent along."""
    channel = state.workspace.channels[message.channel]
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": bool(message.visible_to),
    }
    if message.is_reply:
        container["thread_ts"] = message.thread_ts
    shown = {} if message.visible_to else {"message": state.messages.as_json(message)}
    return {
        **_common(state, interaction, "block_actions"),
        "container": container,
        "channel": {"id": channel.id, "name": channel.name},
        **shown,
        "state": {"values": {}},
        "response_url": response_url(state, interaction),
        "actions": [action],
    }


def click_on_view(state: State, interaction: Interaction, view: View, action: Json) -> Json:
    """`block_actions` from a modal or a Home tab: no channel, no response URL."""
    return {
        **_common(state, interaction, "block_actions"),
        "container": {"type": "view", "view_id": view.id},
        "view": state.views.as_json(view),
        "actions": [action],
    }


def submission(state: State, interaction: Interaction, view: View) -> Json:
    """`view_submission`."""
    return {
        **_common(state, interaction, "view_submission"),
        "view": state.views.as_json(view),
        "response_urls": [],
    }


def closing(state: State, interaction: Interaction, view: View) -> Json:
    """`view_closed`, sent when the view asked for it. It carries no trigger id."""
    payload = {**_common(state, interaction, "view_closed"), "view": state.views.as_json(view), "is_cleared": False}
    del payload["trigger_id"]
    return payload


def shortcut(state: State, interaction: Interaction, callback_id: str, message: Message | None) -> Json:
    """A global shortcut, or with a message the one in its menu (`message_action`)."""
    action_ts = state.workspace.identifiers.ts()
    if message is None:
        return {**_common(state, interaction, "shortcut"), "callback_id": callback_id, "action_ts": action_ts}
    channel = state.workspace.channels[message.channel]
    return {
        **_common(state, interaction, "message_action"),
        "callback_id": callback_id,
        "action_ts": action_ts,
        "channel": {"id": channel.id, "name": channel.name},
        "message_ts": message.ts,
        "message": state.messages.as_json(message),
        "response_url": response_url(state, interaction),
    }


def response_url(state: State, interaction: Interaction) -> str:
    """Where the app may answer."""
    return f"{state.address}/commands/{interaction.response_token}"


def _common(state: State, interaction: Interaction, kind: str) -> Json:
    installation = state.workspace.installation
    person = interaction.person
    return {
        "type": kind,
        "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team_id},
        "api_app_id": installation.app_id,
        "token": installation.verification_token,
        "trigger_id": interaction.trigger_id,
        "team": {"id": installation.team_id, "domain": installation.team_domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }
