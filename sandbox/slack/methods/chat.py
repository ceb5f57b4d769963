"""Posting, changing and deleting messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack import drafts
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel

# `chat.update` counts bytes and refuses what `chat.postMessage` still takes.
LONGEST_UPDATE = 4_000


@method("chat.postMessage", scope="chat:write")
def post_message(state: State, arguments: Arguments) -> Json:
    """Post to a channel, into a thread, or to a person by their user id."""
    channel = _open_channel(state, state.workspace.addressed(arguments.required("channel")))
    draft = _draft(state, arguments)
    thread_ts = arguments.text("thread_ts") or None
    if thread_ts:
        thread_ts = _root_of(state, channel, thread_ts)
    message = drafts.message(draft, channel, state.workspace)
    message.thread_ts = thread_ts
    message.broadcast = arguments.flag("reply_broadcast")
    message.username = arguments.text("username") or None
    state.messages.post(message)
    return {"channel": channel.id, "ts": message.ts, "message": state.messages.as_json(message)}


@method("chat.postEphemeral", scope="chat:write")
def post_ephemeral(state: State, arguments: Arguments) -> Json:
    """Show something to one person. Slack keeps no record of it, and neither says whether it was seen."""
    channel = _open_channel(state, state.workspace.visible_to_app(arguments.required("channel")))
    user = arguments.required("user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    message = drafts.message(_draft(state, arguments), channel, state.workspace)
    message.visible_to = user
    message.thread_ts = arguments.text("thread_ts") or None
    state.interactions.whispered(state.messages.whisper(message))
    return {"message_ts": message.ts}


@method("chat.update", scope="chat:write")
def update(state: State, arguments: Arguments) -> Json:
    """Change one of the app's own messages."""
    message = _own_message(state, arguments, "cant_update_message")
    if len(arguments.text("text").encode()) > LONGEST_UPDATE:
        raise Refusal("msg_too_long")
    draft = _draft(state, arguments)
    blocks = drafts.with_ids(draft.blocks, state.workspace)
    bot = state.workspace.installation.bot_user
    state.messages.edit(message, by=bot, text=draft.text, blocks=blocks, metadata=draft.metadata)
    state.interactions.altered(message)
    shown = state.messages.as_json(message)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown}


@method("chat.delete", scope="chat:write")
def delete(state: State, arguments: Arguments) -> Json:
    """Delete one of the app's own messages; one that was posted under another name cannot be deleted."""
    message = _own_message(state, arguments, "cant_delete_message")
    if message.username:
        raise Refusal("cant_delete_message")
    state.messages.delete(message)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.getPermalink")
def permalink(state: State, arguments: Arguments) -> Json:
    """The address of a message for people."""
    channel = state.workspace.visible_to_app(arguments.required("channel"))
    message = state.messages.find(channel.id, arguments.required("message_ts"))
    if not message:
        raise Refusal("message_not_found")
    domain = state.workspace.installation.team_domain
    address = f"https://{domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": address}


def _open_channel(state: State, channel: Channel) -> Channel:
    if channel.is_archived:
        raise Refusal("is_archived")
    if not state.workspace.app_is_in(channel) and "chat:write.public" not in state.scopes:
        raise Refusal("not_in_channel")
    return channel


def _draft(state: State, arguments: Arguments) -> drafts.Draft:
    draft = drafts.read(
        arguments.text("text"),
        arguments.structure("blocks", otherwise="invalid_blocks_format"),
        arguments.structure("metadata", otherwise="invalid_metadata_format"),
        arguments.structure("attachments"),
    )
    drafts.refuse_too_much_in_blocks(draft.blocks)
    _refuse_unknown_files(state, draft.blocks)
    return draft


def _refuse_unknown_files(state: State, blocks: list[Json]) -> None:
    for index, block in enumerate(blocks):
        wanted = block.get("slack_file", {}).get("id")
        file = state.files.by_id.get(wanted)
        # An image that is still being processed is refused like one that does not exist.
        if wanted and (file is None or not file.processed or file.deleted):
            reason = f"invalid slack file [json-pointer:/blocks/{index}/slack_file/id]"
            raise Refusal("invalid_blocks", errors=[reason], response_metadata={"messages": [f"[ERROR] {reason}"]})


def _root_of(state: State, channel: Channel, thread_ts: str) -> str:
    message = state.messages.find(channel.id, thread_ts)
    if message is None or message.deleted:
        raise Refusal("cannot_reply_to_message")
    return message.thread_ts or message.ts


def _own_message(state: State, arguments: Arguments, not_mine: str) -> Message:
    channel = state.workspace.joined_by_app(arguments.required("channel"))
    message = state.messages.find(channel.id, arguments.required("ts"))
    if message is None or message.deleted:
        raise Refusal("message_not_found")
    if not message.by_bot:
        raise Refusal(not_mine)
    return message
