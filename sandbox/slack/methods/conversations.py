"""Channels, their members, and direct messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import event_shapes
from sandbox.slack.methods import scopes
from sandbox.slack.methods.paging import page
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel, Kind

MOST_CHANNELS = 1000
TYPES: dict[str, Kind] = {"public_channel": "channel", "private_channel": "group", "im": "im"}


@method("conversations.open", scope="im:write")
def open_direct(state: State, arguments: Arguments) -> Json:
    """The direct messages with one person."""
    users = arguments.names("users")
    if len(users) != 1:
        raise Refusal("users_list_not_supplied" if not users else "not_enough_users")
    person = state.workspace.people.get(users[0])
    if person is None:
        raise Refusal("user_not_found")
    if person.deleted:
        raise Refusal("user_disabled")
    channel = state.workspace.direct(person.id)
    return {"channel": _shape(state, channel) if arguments.flag("return_im") else {"id": channel.id}}


@method("conversations.info")
def info(state: State, arguments: Arguments) -> Json:
    """One channel."""
    channel = _known(state, arguments)
    shape = _shape(state, channel)
    if arguments.flag("include_num_members"):
        shape["num_members"] = len(channel.members)
    return {"channel": shape}


@method("conversations.list")
def list_channels(state: State, arguments: Arguments) -> Json:
    """The channels that the app may know of, a page at a time."""
    kinds = {TYPES[name] for name in arguments.names("types") or ["public_channel"] if name in TYPES}
    for kind in kinds:
        scopes.require(state, kind, "read")
    hide_archived = arguments.flag("exclude_archived")
    channels = [
        channel
        for channel in state.workspace.channels.values()
        if channel.kind in kinds and (not channel.is_private or state.workspace.app_is_in(channel))
        if not (hide_archived and channel.is_archived)
    ]
    shown, cursor = page(channels, arguments, most=MOST_CHANNELS)
    return {"channels": [_shape(state, channel) for channel in shown], "response_metadata": {"next_cursor": cursor}}


@method("users.conversations")
def own_channels(state: State, arguments: Arguments) -> Json:
    """The channels of one person, of the app itself without a `user`; of others only those that it shares with them."""
    user = arguments.text("user") or state.workspace.installation.bot_user
    kinds = {TYPES[name] for name in arguments.names("types") or ["public_channel"] if name in TYPES}
    for kind in kinds:
        scopes.require(state, kind, "read")
    channels = [
        channel
        for channel in state.workspace.channels.values()
        if channel.kind in kinds and user in channel.members
        if state.workspace.app_is_in(channel) or not channel.is_private
        if not (arguments.flag("exclude_archived") and channel.is_archived)
    ]
    shown, cursor = page(channels, arguments, most=MOST_CHANNELS)
    return {"channels": [_shape(state, channel) for channel in shown], "response_metadata": {"next_cursor": cursor}}


@method("conversations.members")
def members(state: State, arguments: Arguments) -> Json:
    """The ids of a channel's members."""
    channel = _known(state, arguments)
    shown, cursor = page(channel.members, arguments, most=MOST_CHANNELS)
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


@method("conversations.join", scope="channels:join")
def join(state: State, arguments: Arguments) -> Json:
    """Come into a public channel unasked."""
    channel = state.workspace.visible_to_app(arguments.required("channel"))
    if channel.kind != "channel":
        raise Refusal("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise Refusal("is_archived")
    if state.workspace.app_is_in(channel):
        return {"channel": _shape(state, channel), "warning": "already_in_channel"}
    add_app(state, channel, inviter=None)
    return {"channel": _shape(state, channel)}


def add_app(state: State, channel: Channel, *, inviter: str | None) -> None:
    """Make the app a member, and tell it."""
    installation = state.workspace.installation
    channel.members.append(installation.bot_user)
    event_ts = state.workspace.identifiers.ts()
    joined = event_shapes.joined(installation.bot_user, channel.id, installation.team_id, inviter, event_ts)
    state.events.publish(joined, channel)
    state.changes.announce()


def _known(state: State, arguments: Arguments) -> Channel:
    channel = state.workspace.visible_to_app(arguments.required("channel"))
    scopes.require(state, channel.kind, "read")
    return channel


def _shape(state: State, channel: Channel) -> Json:
    if channel.with_user:
        return {
            "id": channel.id,
            "created": channel.created,
            "is_im": True,
            "user": channel.with_user,
            "is_archived": False,
        }
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "created": channel.created,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "is_member": state.workspace.app_is_in(channel),
        "is_shared": channel.is_ext_shared,
        "is_ext_shared": channel.is_ext_shared,
        "is_org_shared": False,
        "context_team_id": state.workspace.installation.team_id,
    }
