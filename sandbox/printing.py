"""Slack's channels and a phone's chats as text in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

INDENT = "    "


def channel(shown: dict[str, Any]) -> str:
    """A channel: threads indented under their roots."""
    lines = [line for root in shown["messages"] for line in _message(root, depth=0)]
    return "\n".join(lines) or "Nothing stands there yet."


def answer(given: dict[str, Any]) -> str:
    """What came back to a command, a click or a form."""
    lines = [line for message in given["messages"] for line in _message(message, depth=0)]
    if given["view"]:
        lines += [f"The form {given['view']['title']!r} is open:", *_indented(given["view"]["text"], 1)]
    lines += [f"{label}: {reason}" for label, reason in given["errors"].items()]
    if given["error"]:
        lines.append(f"Slack says: {given['error']}")
    return "\n".join(lines) or "No answer came; see `show channel`."


def message(shown: dict[str, Any]) -> str:
    """One message."""
    return "\n".join(_message(shown, depth=0))


def home(shown: dict[str, Any]) -> str:
    """The app's Home tab."""
    return str(shown["text"]) if shown else "The app has published nothing there."


def phone(shown: dict[str, Any]) -> str:
    """A phone's chats, one after the other."""
    lines = [f"{shown['number']} {shown.get('name') or ''}".rstrip()]
    for partner, messages in shown["chats"].items():
        lines += ["", f"Chat with {partner}"]
        lines += [line for message in messages for line in _chat_line(message)]
    return "\n".join(lines if shown["chats"] else [*lines, "No chats yet."])


def _message(shown: dict[str, Any], *, depth: int) -> Iterator[str]:
    at = datetime.fromtimestamp(float(shown["ts"]), UTC).astimezone()
    notes = [f"only visible to {shown['visible_to']}"] if shown["visible_to"] else []
    notes += ["edited"] if shown["edited"] else []
    remark = f" ({', '.join(notes)})" if notes else ""
    yield f"{INDENT * depth}{at:%H:%M:%S} {shown['user']}{remark}"
    yield from _indented(shown["text"], depth + 1)
    if shown["reactions"]:
        yield INDENT * (depth + 1) + " ".join(f":{name}: {', '.join(who)}" for name, who in shown["reactions"].items())
    for reply in shown.get("replies", []):
        yield from _message(reply, depth=depth + 1)


def _chat_line(shown: dict[str, Any]) -> Iterator[str]:
    at = datetime.fromisoformat(shown["at"]).astimezone()
    arrow = "->" if shown["direction"] == "out" else "<-"
    marks = [mark for mark in ("edited", "revoked") if shown.get(mark)]
    marks += [f"one of {shown['copies']} with this id"] if shown.get("copies", 1) > 1 else []
    marks += [str(shown["ack"]).lower()] if shown.get("ack") else []
    remark = f" ({', '.join(marks)})" if marks else ""
    yield f"{INDENT}{at:%H:%M:%S} {arrow} {shown['text']}{remark}"


def _indented(text: str, depth: int) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{INDENT * depth}{line}"
