"""What the app wants to say, checked against Slack's limits before it becomes a message."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.slack import block_limits
from sandbox.slack.messages import Message
from sandbox.slack.refusal import Json, Refusal

if TYPE_CHECKING:
    from sandbox.slack.workspace import Channel, Workspace

LONGEST_TEXT = 40_000
# Undocumented; Slack's staff name 12,000 characters for all blocks together (bolt-js issues 2509 and 2867).
LONGEST_BLOCKS = 12_000
LARGEST_METADATA = 8_000
MOST_ATTACHMENTS = 100


@dataclass(frozen=True)
class Draft:
    """The content of a message, valid but not posted."""

    text: str
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None


def read_mapping(body: Json) -> Draft:
    """A draft from the JSON of an acknowledgement or a response URL.

    Raises:
        Refusal: `no_text`, `msg_too_long`, `invalid_blocks`, …
    """
    return read(body.get("text") or "", body.get("blocks"), body.get("metadata"), body.get("attachments"))


def read(text: str, blocks: object, metadata: object = None, attachments: object = None) -> Draft:
    """A draft from the arguments of `chat.*`.

    Raises:
        Refusal: with the name that Slack gives to what is wrong.
    """
    if isinstance(attachments, list) and len(attachments) > MOST_ATTACHMENTS:
        raise Refusal("too_many_attachments")
    if not text.strip() and not blocks and not attachments:
        raise Refusal("no_text")
    if len(text) > LONGEST_TEXT:
        raise Refusal("msg_too_long")
    return Draft(text, _checked_blocks(blocks, surface="message"), _checked_metadata(metadata))


def _checked_blocks(blocks: object, surface: block_limits.Surface) -> list[Json]:
    if not blocks:
        return []
    if not isinstance(blocks, list):
        raise Refusal("invalid_blocks_format")
    if reasons := block_limits.check(blocks, surface):
        messages = [f"[ERROR] {reason}" for reason in reasons]
        raise Refusal("invalid_blocks", errors=reasons, response_metadata={"messages": messages})
    return blocks


def refuse_too_much_in_blocks(blocks: list[Json]) -> None:
    """The limit on all blocks together, which holds for `chat.*` and not for response URLs.

    Raises:
        Refusal: `msg_blocks_too_long`.
    """
    if block_limits.characters(blocks) > LONGEST_BLOCKS:
        raise Refusal("msg_blocks_too_long")


def _checked_metadata(metadata: object) -> Json | None:
    if not metadata:
        return None
    if not isinstance(metadata, dict):
        raise Refusal("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise Refusal("invalid_metadata_schema")
    if len(json.dumps(metadata)) > LARGEST_METADATA:
        raise Refusal("metadata_too_large")
    return metadata


def message(draft: Draft, channel: Channel, workspace: Workspace) -> Message:
    """The app's message, not yet posted."""
    return Message(
        channel=channel.id,
        ts=workspace.identifiers.ts(),
        user=workspace.installation.bot_user,
        text=draft.text,
        blocks=with_ids(draft.blocks, workspace),
        by_bot=True,
        metadata=draft.metadata,
    )


def with_ids(blocks: list[Json], workspace: Workspace) -> list[Json]:
    """Give a `block_id` to blocks and an `action_id` to buttons that have none, as Slack does."""
    named = copy.deepcopy(blocks)
    for block in named:
        block.setdefault("block_id", workspace.identifiers.new("", "b"))
        elements = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        for element in elements:
            if isinstance(element, dict) and element.get("type") in block_limits.INTERACTIVE:
                element.setdefault("action_id", workspace.identifiers.new("", "a"))
    return named
