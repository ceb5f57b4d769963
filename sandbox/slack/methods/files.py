"""Files: reserve, complete, look up. The bytes go to an address of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack.files import File, Share
from sandbox.slack.messages import Message
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal, invalid_arguments

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel


@method("files.getUploadURLExternal", scope="files:write")
def get_upload_url(state: State, arguments: Arguments) -> Json:
    """Reserve a file id, and an address that takes the bytes."""
    size = arguments.number("length", 0)
    if size <= 0:
        raise invalid_arguments("must be a number greater than 0 [json-pointer:/length]")
    file = state.files.reserve(
        arguments.required("filename"),
        size,
        user=state.workspace.installation.bot_user,
        address=state.address,
        alt_txt=arguments.text("alt_txt"),
    )
    return {"upload_url": f"{state.address}/upload/v1/{state.files.ticket(file)}", "file_id": file.id}


@method("files.completeUploadExternal", scope="files:write")
def complete_upload(state: State, arguments: Arguments) -> Json:
    """Hand the files over. They are shared a moment later, so the answer names no message."""
    files = [_uploaded(state, item) for item in arguments.structure("files") or []]
    if not files:
        raise invalid_arguments("missing required field: files")
    wanted = arguments.text("channel_id") or next(iter(arguments.names("channels")), "")
    if wanted:
        message = _message(state, state.workspace.joined_by_app(wanted), arguments)
        message.files = [file for file in files if not _shared(file, message.channel)]
        # A second completion of the same files shows nothing new.
        if message.files:
            state.later(state.share_seconds, lambda: share(state, message))
    for file in files:
        file.complete = True
    state.later(state.share_seconds, lambda: _process(state, files))
    return {"files": [file.as_json() for file in files]}


@method("files.info", scope="files:read")
def info(state: State, arguments: Arguments) -> Json:
    """One file, with the messages that show it."""
    file = state.files.by_id.get(arguments.required("file"))
    if file is None or not file.complete:
        raise Refusal("file_not_found")
    if file.deleted:
        raise Refusal("file_deleted")
    return {"file": file.as_json(), "comments": []}


@method("files.delete", scope="files:write")
def delete(state: State, arguments: Arguments) -> Json:
    """Take one of the app's own files away, from every message that shows it."""
    file = state.files.by_id.get(arguments.required("file"))
    if file is None or not file.complete:
        raise Refusal("file_not_found")
    if file.deleted:
        raise Refusal("file_deleted")
    if file.user != state.workspace.installation.bot_user:
        raise Refusal("cant_delete_file")
    file.deleted, file.content = True, None
    state.changes.announce()
    return {}


def _process(state: State, files: list[File]) -> None:
    for file in files:
        file.processed = True
    state.changes.announce()


def share(state: State, message: Message) -> None:
    """Show files in a channel, after Slack looked at them."""
    channel = state.workspace.channels[message.channel]
    message.ts = state.workspace.identifiers.ts()
    message.files = [file for file in message.files if not _shared(file, channel.id)]
    if not message.files:
        return
    for file in message.files:
        file.processed = True
        file.shares.append(Share(message.ts, message.thread_ts, channel))
    state.messages.post(message)


def _shared(file: File, channel: str) -> bool:
    return any(share.channel.id == channel for share in file.shares)


def _message(state: State, channel: Channel, arguments: Arguments) -> Message:
    return Message(
        channel=channel.id,
        ts=state.workspace.identifiers.ts(),
        user=state.workspace.installation.bot_user,
        text=arguments.text("initial_comment"),
        by_bot=True,
        thread_ts=arguments.text("thread_ts") or None,
        subtype="file_share",
    )


def _uploaded(state: State, item: Json) -> File:
    file = state.files.by_id.get(item.get("id", ""))
    if file is None or file.content is None:
        raise Refusal("file_not_found")
    file.title = item.get("title") or file.title
    return file
