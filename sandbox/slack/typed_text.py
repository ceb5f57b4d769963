"""What a person types, as Slack hands it on: names become ids, links are bracketed, the rest is escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Workspace

TOKEN = re.compile(
    r"(?P<url>https?://[^\s<>|]+)"
    r"|(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?<![\w@])@(?P<person>[\w.-]*\w)"
    r"|(?<![\w#&])#(?P<channel>[\w.-]*\w)"
)


def escaped(text: str, workspace: Workspace) -> str:
    """`ask @ana & #support` -> `ask <@U…> &amp; <#C…|support>`.

    This is what messages carry, and slash commands whose manifest says `should_escape: true`.
    A private channel comes without its name: `<#C…|>`.
    """
    return "".join(_as_text(element) for element in _elements(text, workspace))


def rich_text(text: str, workspace: Workspace) -> list[Json]:
    """The `rich_text` block that Slack adds to every message that a person wrote."""
    elements = [
        {key: value for key, value in element.items() if key != "name"} for element in _elements(text, workspace)
    ]
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": workspace.identifiers.new("", "b"), "elements": [section]}]


def _elements(text: str, workspace: Workspace) -> Iterator[Json]:
    position = 0
    for match in TOKEN.finditer(text):
        element = _element(match, workspace)
        if not element:
            continue
        if match.start() > position:
            yield {"type": "text", "text": text[position : match.start()]}
        yield element
        position = match.end()
    if position < len(text):
        yield {"type": "text", "text": text[position:]}


def _element(match: re.Match[str], workspace: Workspace) -> Json | None:
    if match["url"]:
        return {"type": "link", "url": match["url"]}
    if match["mail"]:
        return {"type": "link", "url": f"mailto:{match['mail']}", "text": match["mail"]}
    if match["person"]:
        users = [person for person in workspace.people.values() if person.name == match["person"]]
        return {"type": "user", "user_id": users[0].id} if users else None
    named = [channel for channel in workspace.channels.values() if channel.name == match["channel"]]
    if not named or named[0].kind == "im":
        return None
    return {"type": "channel", "channel_id": named[0].id, "name": "" if named[0].is_private else named[0].name}


def _as_text(element: Json) -> str:
    if element["type"] == "user":
        return f"<@{element['user_id']}>"
    if element["type"] == "channel":
        return f"<#{element['channel_id']}|{element['name']}>"
    if element["type"] == "link":
        label = f"|{element['text']}" if "text" in element else ""
        return f"<{escape(element['url'])}{label}>"
    return escape(element["text"])


def escape(text: str) -> str:
    """`&`, `<` and `>` as Slack writes them, which is the only escaping that it knows."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
