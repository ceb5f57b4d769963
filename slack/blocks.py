"""Block Kit as plain dicts, and a post as its readers get it: the text that is read aloud, and the blocks over it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Block: TypeAlias = dict[str, Any]
Style: TypeAlias = Literal["primary", "danger"]

SECTION_TEXT = 3000
TABLE_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Post:
    """What is to be shown. `text` says everything that `blocks` show: screen readers and notifications use it alone.

    Slack recommends up to 4,000 characters of text and cuts it off at 40,000.
    """

    text: str
    blocks: tuple[Block, ...] | None = None

    def without_blocks(self) -> Post:
        """What is left to try when Slack answers `invalid_blocks`."""
        return Post(self.text)


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def mrkdwn(text: str) -> Block:
    """`text` with Slack's markup. Strangers' words in it must have gone through `slack.mrkdwn.foreign`."""
    # verbatim: without it Slack makes live mentions of a bare "@here" or "#general".
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str, *, accessory: Block | None = None, block_id: str | None = None) -> Block:
    return _given(type="section", text=mrkdwn(text), accessory=accessory, block_id=block_id)


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text)}


def divider() -> Block:
    return {"type": "divider"}


def context(*texts: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def actions(*elements: Block, block_id: str | None = None) -> Block:
    return _given(type="actions", elements=list(elements), block_id=block_id)


def button(
    label: str,
    action_id: str,
    *,
    value: str | None = None,
    style: Style | None = None,
    confirm: Block | None = None,
    accessibility_label: str | None = None,
    url: str | None = None,
) -> Block:
    """`value` can be read and forged by the client: an opaque id, checked again at the click."""
    return _given(
        type="button",
        text=plain(label),
        action_id=action_id,
        value=value,
        style=style,
        confirm=confirm,
        accessibility_label=accessibility_label,
        url=url,
    )


def confirm(title: str, text: str, *, yes: str, no: str = "Cancel", style: Style | None = None) -> Block:
    return _given(title=plain(title), text=mrkdwn(text), confirm=plain(yes), deny=plain(no), style=style)


def image(file_id: str, alt_text: str, *, title: str | None = None) -> Block:
    """An uploaded file as an image. Slack answers `invalid_blocks` until it has processed the file."""
    shown_title = plain(title) if title is not None else None
    return _given(type="image", slack_file={"id": file_id}, alt_text=alt_text, title=shown_title)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Block]:
    """One section a row, each value under its column's name, so that every row is understood on its own.

    Raises:
        ValueError: there are more columns than a section has fields.
    """
    if len(columns) > TABLE_COLUMNS:
        raise ValueError(f"A row has room for {TABLE_COLUMNS} columns, not {len(columns)}.")
    return [
        {"type": "section", "fields": [mrkdwn(f"*{name}*\n{value}") for name, value in zip(columns, row, strict=True)]}
        for row in rows
    ]


def sections(text: str) -> list[Block]:
    """As many sections as a long mrkdwn text needs."""
    return [section(part) for part in split_text(text, SECTION_TEXT)]


# What must not be cut: an entity, a <link|label>, a character with its joiners, marks and skin tone.
_GLUE = "\u200d\ufe0e\ufe0f\u20e3\u0300-\u036f\U0001f3fb-\U0001f3ff"
_PIECE = re.compile(
    rf"&(?:amp|lt|gt);|<[^<>\n]*>|[^{_GLUE}][{_GLUE}]*(?:(?<=\u200d)[^{_GLUE}\s][{_GLUE}]*)*|.", re.DOTALL
)


def split_text(text: str, limit: int) -> list[str]:
    """Parts of at most `limit` characters that give `text` when joined, cut after a line or a word where one ends.

    Parts that would be nothing but white space are left out, since Slack refuses them.
    """
    parts = []
    while len(text) > limit:
        end = _end_of_part(text, limit)
        parts.append(text[:end])
        text = text[end:]
    return [part for part in (*parts, text) if part.strip()]


def _end_of_part(text: str, limit: int) -> int:
    """Where the first part ends: after the last line end, else the last space, else between two characters."""
    boundary = line = word = 0
    for piece in _PIECE.finditer(text):
        if piece.end() > limit:
            break
        boundary = piece.end()
        if piece[0] == "\n":
            line = boundary
        elif piece[0].isspace():
            word = boundary
    # A line end far back would leave a part nearly empty; the word is the better place then.
    if line > limit // 2:
        return line
    return word or line or boundary or limit


def _given(**fields: Any) -> Block:
    return {key: value for key, value in fields.items() if value is not None}
