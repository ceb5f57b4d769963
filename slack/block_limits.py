"""The limits of Block Kit as tables, and `check`, which names every breach before Slack says only `invalid_blocks`.

The figures are those of Slack's block and element reference. The SDK's models miss some of them (fields over 2,000,
long options inside dicts, repeated action ids, wide tables, more than 50 blocks) and look at no plain dict at all.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slack.blocks import Block

Surface: TypeAlias = Literal["message", "modal", "home"]

MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}

# A path leads from a block or element to what is measured: `fields[].text` is the text of each field.
_ID = {"action_id": 255}
_OPTIONS = {"options": 100, "options[].text.text": 75, "options[].value": 150, "options[].description.text": 75}
_CONFIRM = {
    "confirm.title.text": 100,
    "confirm.text.text": 300,
    "confirm.confirm.text": 30,
    "confirm.deny.text": 30,
}
_CHOICE = {**_ID, **_CONFIRM, "placeholder.text": 150}
_SELECT = {**_CHOICE, **_OPTIONS}
_INPUT = {**_ID, "placeholder.text": 150}

LIMITS: dict[str, dict[str, int]] = {
    "section": {"text.text": 3000, "fields": 10, "fields[].text": 2000},
    "header": {"text.text": 150},
    "divider": {},
    "context": {"elements": 10},
    "actions": {"elements": 25},
    "image": {"alt_text": 2000, "title.text": 2000, "image_url": 3000},
    "rich_text": {},
    "markdown": {"text": 12000},
    "table": {"rows": 100, "rows[]": 20, "column_settings": 20},
    "data_table": {"rows": 100, "rows[]": 20},
    "input": {"label.text": 2000, "hint.text": 2000},
    "file": {},
    "video": {"title.text": 200, "alt_text": 2000},
    "alert": {},
    "card": {"title.text": 150, "subtitle.text": 150, "body.text": 200},
    "carousel": {"elements": 10},
    "container": {"title.text": 150, "child_blocks": 10},
    "context_actions": {"elements": 5},
    "button": {**_ID, **_CONFIRM, "text.text": 75, "value": 2000, "url": 3000, "accessibility_label": 75},
    "overflow": {**_ID, **_CONFIRM, **_OPTIONS, "options": 5},
    "static_select": _SELECT,
    "multi_static_select": _SELECT,
    "external_select": _CHOICE,
    "multi_external_select": _CHOICE,
    "users_select": _CHOICE,
    "multi_users_select": _CHOICE,
    "conversations_select": _CHOICE,
    "multi_conversations_select": _CHOICE,
    "channels_select": _CHOICE,
    "multi_channels_select": _CHOICE,
    "checkboxes": {**_SELECT, "options": 10},
    "radio_buttons": {**_SELECT, "options": 10},
    "datepicker": _CHOICE,
    "timepicker": _CHOICE,
    "datetimepicker": _CHOICE,
    "plain_text_input": {**_INPUT, "initial_value": 3000},
    "email_text_input": _INPUT,
    "url_text_input": _INPUT,
    "number_input": _INPUT,
    "file_input": _ID,
}

# Each needs one of the paths in every group.
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "section": (("text", "fields"),),
    "header": (("text",),),
    "context": (("elements",),),
    "actions": (("elements",),),
    "image": (("alt_text",), ("image_url", "slack_file")),
    "markdown": (("text",),),
    "table": (("rows",),),
    "input": (("label",), ("element",)),
    "button": (("text",), ("action_id",)),
    "overflow": (("options",),),
    "static_select": (("options", "option_groups"),),
    "plain_text": (("text",),),
    "mrkdwn": (("text",),),
}

# Here mrkdwn is refused.
PLAIN_TEXT_ONLY: dict[str, tuple[str, ...]] = {
    "header": ("text",),
    "button": ("text", "confirm.title", "confirm.confirm", "confirm.deny"),
    "image": ("title",),
    "input": ("label", "hint"),
    "static_select": ("placeholder", "options[].text"),
    "plain_text_input": ("placeholder",),
}

NOT_IN_MESSAGES = frozenset({"input"})
EVERYWHERE = {"block_id": 255}


def check(blocks: Sequence[Block], surface: Surface = "message") -> list[str]:
    """A sentence for each thing that Slack would refuse, such as `blocks[0].text.text: 3001 of at most 3000`."""
    problems = []
    if len(blocks) > MOST_BLOCKS[surface]:
        problems.append(f"blocks: {len(blocks)} of at most {MOST_BLOCKS[surface]} in a {surface}")
    for index, block in enumerate(blocks):
        where = f"blocks[{index}]"
        problems += _known_block(block, where, surface)
        problems += [problem for path, part in _typed_parts(block, where) for problem in _part_problems(part, path)]
        problems += _repeated("action_id", (part.get("action_id") for _, part in _typed_parts(block, where)), where)
    problems += _repeated("block_id", (block.get("block_id") for block in blocks), "blocks")
    return problems


def _known_block(block: Block, where: str, surface: Surface) -> Iterator[str]:
    kind = block.get("type")
    if kind not in LIMITS:
        yield f"{where}: `{kind}` is not a block that is known here"
    if surface == "message" and kind in NOT_IN_MESSAGES:
        yield f"{where}: `{kind}` is not allowed in a message"


def _part_problems(part: Block, where: str) -> Iterator[str]:
    for rule in (_too_much, _missing, _not_plain):
        yield from rule(part, where)


def _too_much(part: Block, where: str) -> Iterator[str]:
    for path, most in (LIMITS.get(part["type"], {}) | EVERYWHERE).items():
        for place, value in _values(part, path, where):
            if isinstance(value, str | list) and len(value) > most:
                yield f"{place}: {len(value)} of at most {most}"
            elif isinstance(value, list) and not value:
                yield f"{place}: is empty"


def _missing(part: Block, where: str) -> Iterator[str]:
    for group in REQUIRED.get(part["type"], ()):
        # An empty text is refused like a missing one; an empty list is named by its limit.
        if all(part.get(key) is None or part.get(key) == "" for key in group):
            yield f"{where}: needs {' or '.join(f'`{key}`' for key in group)}"


def _not_plain(part: Block, where: str) -> Iterator[str]:
    for path in PLAIN_TEXT_ONLY.get(part["type"], ()):
        for place, value in _values(part, path, where):
            if isinstance(value, dict) and value.get("type") != "plain_text":
                yield f"{place}: must be plain_text"


def _repeated(key: str, ids: Iterator[Any], where: str) -> Iterator[str]:
    for value, count in Counter(one for one in ids if isinstance(one, str)).items():
        if count > 1:
            yield f"{where}: {key} `{value}` is used {count} times"


def _typed_parts(value: object, where: str) -> Iterator[tuple[str, Block]]:
    """Everything below `value`, itself included, that has a type: blocks, elements and texts."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield where, value
        for key, inner in value.items():
            yield from _typed_parts(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _typed_parts(inner, f"{where}[{index}]")


def _values(part: Block, path: str, where: str) -> Iterator[tuple[str, Any]]:
    """What stands at `path` below `part`, with its full place; a `[]` step stands for each item."""
    step, _, rest = path.partition(".")
    key, is_list = step.removesuffix("[]"), step.endswith("[]")
    found = part.get(key)
    places = [(f"{where}.{key}", found)]
    if is_list:
        places = [(f"{where}.{key}[{i}]", item) for i, item in enumerate(found)] if isinstance(found, list) else []
    for place, value in places:
        if not rest:
            yield place, value
        elif isinstance(value, dict):
            yield from _values(value, rest, place)
