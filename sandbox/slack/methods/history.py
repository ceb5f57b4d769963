"""Reading what was written: a channel's timeline, and a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack.methods import scopes
from sandbox.slack.methods.paging import page
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal, invalid_arguments

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel

MOST_MESSAGES = 999


@method("conversations.history")
def history(state: State, arguments: Arguments) -> Json:
    """A channel's timeline, newest first, without the replies that stand in threads."""
    channel = _readable(state, arguments)
    messages = _between(state.messages.timeline(channel.id), arguments)
    shown, cursor = page(messages[::-1], arguments, most=MOST_MESSAGES)
    return {**_listed(state, shown, cursor, arguments), "pin_count": 0}


@method("conversations.replies")
def replies(state: State, arguments: Arguments) -> Json:
    """A thread, oldest first. The root leads the first page whatever `oldest` says, and later pages lack it.

    With the ts of a reply: that reply alone.
    """
    channel = _readable(state, arguments)
    root = state.messages.find(channel.id, arguments.required("ts"))
    if root is None:
        raise Refusal("thread_not_found")
    thread = _between(state.messages.replies(root), arguments)
    shown, cursor = page(thread, arguments, most=MOST_MESSAGES + 1, default=MOST_MESSAGES + 1)
    first = [] if arguments.text("cursor") else [root]
    return _listed(state, [*first, *shown], cursor, arguments)


def _readable(state: State, arguments: Arguments) -> Channel:
    channel = state.workspace.joined_by_app(arguments.required("channel"))
    scopes.require(state, channel.kind, "history")
    return channel


def _between(messages: list[Message], arguments: Arguments) -> list[Message]:
    oldest = _time(arguments, "oldest", "0")
    latest = _time(arguments, "latest", "9999999999")
    inclusive = arguments.flag("inclusive")
    return [
        message
        for message in messages
        if oldest < (when := _key(message.ts)) < latest or (inclusive and when in {oldest, latest})
    ]


def _time(arguments: Arguments, name: str, default: str) -> tuple[int, int]:
    try:
        return _key(arguments.text(name) or default)
    except ValueError:
        raise invalid_arguments(f"must be a timestamp [json-pointer:/{name}]") from None


def _key(ts: str) -> tuple[int, int]:
    seconds, _, fraction = ts.partition(".")
    return int(seconds), int(fraction.ljust(6, "0")[:6] or "0")


def _listed(state: State, messages: list[Message], cursor: str, arguments: Arguments) -> Json:
    metadata = arguments.flag("include_all_metadata")
    answer: Json = {
        "messages": [state.messages.as_json(message, metadata=metadata) for message in messages],
        "has_more": bool(cursor),
    }
    return {**answer, "response_metadata": {"next_cursor": cursor}} if cursor else answer
