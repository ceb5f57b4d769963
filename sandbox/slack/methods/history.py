"""Reading what was written: a channel's timeline, and a thread."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from sandbox.slack.methods import scopes
from sandbox.slack.methods.paging import limit_of, marked, unmarked
from sandbox.slack.methods.registry import method
from sandbox.slack.refusal import Json, Refusal, invalid_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.slack.arguments import Arguments
    from sandbox.slack.messages import Message
    from sandbox.slack.state import State
    from sandbox.slack.workspace import Channel

MOST_MESSAGES = 999
_CURSOR = "next_ts:"
_FAR_AHEAD = "9999999999"


@method("conversations.history")
def history(state: State, arguments: Arguments) -> Json:
    """A channel's timeline, newest first, without the replies that stand in threads.

    A root with replies says how many and when the last one was written (`reply_count`, `latest_reply`): so much can be
    known of a thread without reading it.
    """
    channel = _readable(state, arguments)
    oldest, latest = _bounds(arguments)
    start = unmarked(arguments.text("cursor"), of=_CURSOR) or latest
    found = itertools.takewhile(
        lambda message: message.ts > _ts(oldest), state.messages.timeline_before(channel.id, _ts(start))
    )
    shown, cursor = _page(found, limit_of(arguments, most=MOST_MESSAGES, default=100))
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
    oldest, latest = _bounds(arguments)
    cursor = unmarked(arguments.text("cursor"), of=_CURSOR)
    found = itertools.takewhile(
        lambda message: message.ts < _ts(latest), state.messages.replies_after(root, _ts(cursor or oldest))
    )
    shown, following = _page(found, limit_of(arguments, most=MOST_MESSAGES, default=MOST_MESSAGES))
    first = [] if cursor else [root]
    return _listed(state, [*first, *shown], following, arguments)


def _readable(state: State, arguments: Arguments) -> Channel:
    channel = state.workspace.joined_by_app(arguments.required("channel"))
    scopes.require(state, channel.kind, "history")
    return channel


def _bounds(arguments: Arguments) -> tuple[str, str]:
    """What is earlier than the messages that are wanted, and what is later, in microseconds."""
    oldest, latest = _microseconds(arguments, "oldest", "0"), _microseconds(arguments, "latest", _FAR_AHEAD)
    inclusive = int(arguments.flag("inclusive"))
    return str(max(0, oldest - inclusive)), str(latest + inclusive)


def _microseconds(arguments: Arguments, name: str, default: str) -> int:
    seconds, _, fraction = (arguments.text(name) or default).partition(".")
    try:
        return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or "0")
    except ValueError:
        raise invalid_arguments(f"must be a timestamp [json-pointer:/{name}]") from None


def _ts(microseconds: str) -> str:
    seconds, fraction = divmod(int(microseconds), 1_000_000)
    return f"{seconds:010d}.{fraction:06d}"


def _page(found: Iterator[Message], limit: int) -> tuple[list[Message], str]:
    """So many messages, and the cursor of what comes after them; what is written meanwhile shifts no page."""
    shown = list(itertools.islice(found, limit))
    if next(found, None) is None:
        return shown, ""
    return shown, marked(shown[-1].ts.replace(".", ""), of=_CURSOR)


def _listed(state: State, messages: list[Message], cursor: str, arguments: Arguments) -> Json:
    metadata = arguments.flag("include_all_metadata")
    answer: Json = {
        "messages": [state.messages.as_json(message, metadata=metadata) for message in messages],
        "has_more": bool(cursor),
    }
    return {**answer, "response_metadata": {"next_cursor": cursor}} if cursor else answer
