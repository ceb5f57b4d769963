"""Messages and views as plain text: what a person reads, without the colours."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.slack.messages import Message
    from sandbox.slack.refusal import Json
    from sandbox.slack.workspace import Workspace

REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def message(shown: Message, workspace: Workspace) -> str:
    """What the message says. Slack shows the blocks when there are any, and the text otherwise."""
    said = blocks(shown.blocks, workspace) if shown.blocks else text(shown.text, workspace)
    files = [f"[file {file.name}, {file.size} bytes, {file.id}]" for file in shown.files]
    return "\n".join(part for part in (said, *files) if part)


def text(mrkdwn: str, workspace: Workspace) -> str:
    """Mentions by name, links with their address, entities as the characters that they stand for."""
    return html.unescape(REFERENCE.sub(lambda match: _reference(match, workspace), mrkdwn))


def _reference(match: re.Match[str], workspace: Workspace) -> str:
    target, label = match[1], match[2]
    if target.startswith("@"):
        person = workspace.people.get(target[1:])
        return f"@{person.name if person else label or target[1:]}"
    if target.startswith("#"):
        channel = workspace.channels.get(target[1:])
        return f"#{channel.name if channel else label or target[1:]}"
    if target.startswith("!date^"):
        return label or target
    if target.startswith("!"):
        return f"@{target[1:].split('^')[0]}"
    plain = target.removeprefix("mailto:").removeprefix("tel:")
    return f"{label} ({plain})" if label and label != plain else plain


def blocks(shown: Iterable[Json], workspace: Workspace) -> str:
    """Blocks from top to bottom, a line or more each; buttons stand in brackets."""
    lines = (_block(block, workspace) for block in shown)
    return "\n".join(line for line in lines if line)


def _block(block: Json, workspace: Workspace) -> str:
    render = _BLOCKS.get(block.get("type", ""), _unknown)
    return render(block, workspace)


def _section(block: Json, workspace: Workspace) -> str:
    parts = [part for part in (block.get("text"), *block.get("fields", [])) if part]
    lines = [text(part["text"], workspace) for part in parts]
    accessory = _element(block["accessory"], workspace) if block.get("accessory") else ""
    return "\n".join(lines) + (f" {accessory}" if accessory else "")


def _header(block: Json, workspace: Workspace) -> str:
    return text(block["text"]["text"], workspace)


def _row(block: Json, workspace: Workspace) -> str:
    return " ".join(_element(element, workspace) for element in block.get("elements", []))


def _image(block: Json, workspace: Workspace) -> str:
    source = (
        block.get("image_url") or block.get("slack_file", {}).get("id") or block.get("slack_file", {}).get("url", "")
    )
    return f"[image: {text(block.get('alt_text', ''), workspace)}{f' {source}' if source else ''}]"


def _input(block: Json, workspace: Workspace) -> str:
    return f"{text(block['label']['text'], workspace)}: [{block['element'].get('type', 'input')}]"


def _markdown(block: Json, workspace: Workspace) -> str:
    return text(block.get("text", ""), workspace)


def _rich_text(block: Json, workspace: Workspace) -> str:
    return "\n".join(_rich(section, workspace) for section in block.get("elements", []))


def _rich(element: Json, workspace: Workspace) -> str:
    kind = element.get("type")
    if kind == "user":
        return _reference_to(f"@{element['user_id']}", workspace)
    if kind == "channel":
        return _reference_to(f"#{element['channel_id']}", workspace)
    if kind == "emoji":
        return f":{element['name']}:"
    if kind == "rich_text_list":
        return "\n".join(f"- {_rich(item, workspace)}" for item in element.get("elements", []))
    if "elements" in element:
        return "".join(_rich(child, workspace) for child in element["elements"])
    return str(element.get("text") or element.get("url") or "")


def _reference_to(target: str, workspace: Workspace) -> str:
    return text(f"<{target}>", workspace)


def _table(block: Json, workspace: Workspace) -> str:
    return "\n".join(" | ".join(_rich(cell, workspace) for cell in row) for row in block.get("rows", []))


def _unknown(block: Json, workspace: Workspace) -> str:
    words = (
        part["text"] for part in (block.get("title"), block.get("text"), block.get("body")) if isinstance(part, dict)
    )
    return " ".join(text(word, workspace) for word in words)


def _element(element: Json, workspace: Workspace) -> str:
    kind = element.get("type", "")
    if kind in {"mrkdwn", "plain_text"}:
        return text(element["text"], workspace)
    if kind == "image":
        return _image(element, workspace)
    if kind == "button":
        return f"[{text(element['text']['text'], workspace)}]"
    options = [text(option["text"]["text"], workspace) for option in element.get("options", [])]
    label = element.get("placeholder", {}).get("text", "") or kind
    return f"[{label}{': ' + ' / '.join(options) if options else ''}]"


_BLOCKS: dict[str, Callable[[Json, Workspace], str]] = {
    "section": _section,
    "header": _header,
    "context": _row,
    "actions": _row,
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "table": _table,
    "divider": lambda _block, _workspace: "----",
}
