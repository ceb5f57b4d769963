"""The limits of Block Kit as a table, and the sentences in which Slack complains.

Slack answers `invalid_blocks` with reasons such as
`must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from sandbox.slack.block_schema import Chars, Choice, Items, Kinds, Node, Number, Shape, anything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.slack.refusal import Json

Surface = Literal["message", "modal", "home"]

MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}
ONLY_IN_FORMS = frozenset({"input"})
ID = Chars(255)
URL = Chars(3000)


def _text(most: int, *kinds: str) -> Shape:
    """A text object; without kinds both `plain_text` and `mrkdwn`."""
    return Shape(
        {
            "type": Choice(*(kinds or ("plain_text", "mrkdwn"))),
            "text": Chars(most),
            "emoji": anything,
            "verbatim": anything,
        },
        required=("type", "text"),
    )


def _plain(most: int) -> Shape:
    return _text(most, "plain_text")


OPTION = Shape(
    {"text": _text(75), "value": Chars(150), "description": _text(75), "url": URL}, required=("text", "value")
)
OPTIONS = Items(100, OPTION)
OPTION_GROUP = Shape({"label": _plain(75), "options": OPTIONS}, required=("label", "options"))
CONFIRM = Shape(
    {
        "title": _plain(100),
        "text": _text(300),
        "confirm": _plain(30),
        "deny": _plain(30),
        "style": Choice("primary", "danger"),
    },
    required=("title", "text"),
)
SLACK_FILE = Shape({"id": anything, "url": anything}, one_of=("id", "url"))
DISPATCH = Shape({"trigger_actions_on": anything})


def _select(**fields: Node) -> Shape:
    shared: dict[str, Node] = {
        "action_id": ID,
        "placeholder": _plain(150),
        "confirm": CONFIRM,
        "focus_on_load": anything,
        "max_selected_items": Number(1, 10_000),
    }
    return Shape({**shared, **fields})


def _field(**fields: Node) -> Shape:
    shared: dict[str, Node] = {
        "action_id": ID,
        "placeholder": _plain(150),
        "initial_value": anything,
        "dispatch_action_config": DISPATCH,
        "focus_on_load": anything,
    }
    return Shape({**shared, **fields})


STATIC: dict[str, Node] = {"options": OPTIONS, "option_groups": Items(100, OPTION_GROUP)}
LISTED: dict[str, Node] = {"options": Items(10, OPTION)}
FROM_THE_WORKSPACE: dict[str, Node] = dict.fromkeys(
    [
        *(f"initial_{what}" for what in ("user", "users", "channel", "channels", "conversation", "conversations")),
        "default_to_current_conversation",
        "filter",
        "response_url_enabled",
    ],
    anything,
)
INITIAL: dict[str, Node] = {"initial_option": OPTION, "initial_options": Items(100, OPTION)}

ELEMENTS: dict[str, Node] = {
    "button": Shape(
        {
            "text": _plain(75),
            "action_id": ID,
            "value": Chars(2000),
            "url": URL,
            "style": Choice("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": Chars(75),
        },
        required=("text",),
    ),
    "overflow": Shape({"action_id": ID, "options": Items(5, OPTION), "confirm": CONFIRM}, required=("options",)),
    "static_select": _select(**STATIC, **INITIAL),
    "multi_static_select": _select(**STATIC, **INITIAL),
    "external_select": _select(min_query_length=anything, **INITIAL),
    "multi_external_select": _select(min_query_length=anything, **INITIAL),
    "users_select": _select(**FROM_THE_WORKSPACE),
    "multi_users_select": _select(**FROM_THE_WORKSPACE),
    "channels_select": _select(**FROM_THE_WORKSPACE),
    "multi_channels_select": _select(**FROM_THE_WORKSPACE),
    "conversations_select": _select(**FROM_THE_WORKSPACE),
    "multi_conversations_select": _select(**FROM_THE_WORKSPACE),
    "checkboxes": _select(**LISTED, **INITIAL),
    "radio_buttons": _select(**LISTED, **INITIAL),
    "datepicker": _select(initial_date=anything),
    "timepicker": _select(initial_time=anything, timezone=anything),
    "datetimepicker": _select(initial_date_time=anything),
    "plain_text_input": _field(multiline=anything, min_length=Number(0, 3000), max_length=Number(1, 3000)),
    "email_text_input": _field(),
    "url_text_input": _field(),
    "number_input": _field(is_decimal_allowed=anything, min_value=anything, max_value=anything),
    "rich_text_input": _field(),
    "file_input": Shape({"action_id": ID, "filetypes": anything, "max_files": Number(1, 10)}),
    "image": Shape(
        {"image_url": URL, "slack_file": SLACK_FILE, "alt_text": Chars(2000)},
        required=("alt_text",),
        one_of=("image_url", "slack_file"),
    ),
    "feedback_buttons": anything,
    "icon_button": anything,
    "workflow_button": anything,
    "mrkdwn": Shape({"text": Chars(3000), "verbatim": anything}, required=("text",)),
    "plain_text": Shape({"text": Chars(3000), "emoji": anything}, required=("text",)),
}
FORM_FIELDS = frozenset(ELEMENTS) - {
    "button",
    "overflow",
    "image",
    "mrkdwn",
    "plain_text",
    "feedback_buttons",
    "icon_button",
}
INTERACTIVE = frozenset(ELEMENTS) - {"image", "mrkdwn", "plain_text"}
CELL = Kinds({"raw_text": anything, "raw_number": anything, "rich_text": anything})


def _elements(most: int, kinds: frozenset[str]) -> Items:
    return Items(most, Kinds({kind: ELEMENTS[kind] for kind in kinds}))


BLOCKS: dict[str, Node] = {
    "section": Shape(
        {
            "text": _text(3000),
            "fields": Items(10, _text(2000)),
            "accessory": Kinds({kind: ELEMENTS[kind] for kind in INTERACTIVE | {"image"}}),
            "expand": anything,
        },
        one_of=("text", "fields"),
    ),
    "header": Shape({"text": _plain(150), "level": anything}, required=("text",)),
    "divider": Shape({}),
    "context": Shape({"elements": _elements(10, frozenset({"image", "mrkdwn", "plain_text"}))}, required=("elements",)),
    "actions": Shape({"elements": _elements(25, INTERACTIVE)}, required=("elements",)),
    "image": Shape(
        {"image_url": URL, "slack_file": SLACK_FILE, "alt_text": Chars(2000), "title": _plain(2000)},
        required=("alt_text",),
        one_of=("image_url", "slack_file"),
    ),
    "input": Shape(
        {
            "label": _plain(2000),
            "element": Kinds({kind: ELEMENTS[kind] for kind in FORM_FIELDS}),
            "hint": _plain(2000),
            "optional": anything,
            "dispatch_action": anything,
        },
        required=("label", "element"),
    ),
    "rich_text": Shape({"elements": Items(1000, anything)}, required=("elements",)),
    "markdown": Shape({"text": Chars(12_000)}, required=("text",)),
    "table": Shape({"rows": Items(100, Items(20, CELL)), "column_settings": Items(20, anything)}, required=("rows",)),
    "data_table": Shape({"rows": anything, "columns": anything, "page_size": Number(1, 100), "caption": anything}),
    "context_actions": Shape({"elements": Items(5, anything)}, required=("elements",)),
    "carousel": Shape({"elements": Items(10, anything), "cards": Items(10, anything)}),
    "alert": anything,
    "auth_provider": anything,
    "call": anything,
    "card": anything,
    "container": anything,
    "file": anything,
    "plan": anything,
    "task_card": anything,
    "video": anything,
}

VIEW = Shape(
    {
        "type": Choice("modal", "home"),
        "title": _plain(24),
        "submit": _plain(24),
        "close": _plain(24),
        "callback_id": ID,
        "external_id": ID,
        "private_metadata": Chars(3000, least=0),
        "blocks": anything,
        "clear_on_close": anything,
        "notify_on_close": anything,
        "submit_disabled": anything,
    },
    required=("type", "blocks"),
)


def check(blocks: list[Any], surface: Surface = "message") -> list[str]:
    """What is wrong with these blocks in Slack's words; empty when nothing is."""
    if len(blocks) > MOST_BLOCKS[surface]:
        return [f"no more than {MOST_BLOCKS[surface]} items allowed [json-pointer:/blocks]"]
    return [reason for index, block in enumerate(blocks) for reason in _block(block, f"/blocks/{index}", surface)] + [
        *_repeated("block_id", [block for block in blocks if isinstance(block, dict)], "/blocks")
    ]


def check_view(view: Json) -> list[str]:
    """What is wrong with a modal or a Home tab, its blocks included."""
    reasons = list(VIEW.problems(view, "/view"))
    if reasons:
        return reasons
    surface: Surface = "modal" if view["type"] == "modal" else "home"
    blocks = view["blocks"] if isinstance(view["blocks"], list) else []
    if surface == "modal" and "title" not in view:
        reasons.append("missing required field: title [json-pointer:/view]")
    if surface == "modal" and "submit" not in view and any(block.get("type") == "input" for block in blocks):
        reasons.append("missing required field: submit [json-pointer:/view]")
    return reasons + [reason.replace("/blocks", "/view/blocks") for reason in check(blocks, surface)]


def characters(blocks: list[Json]) -> int:
    """How much text all the blocks hold together."""
    return sum(len(text) for text in _texts(blocks))


def _block(block: object, path: str, surface: Surface) -> Iterator[str]:
    if isinstance(block, dict) and surface == "message" and block.get("type") in ONLY_IN_FORMS:
        yield f"unsupported type: {block['type']} [json-pointer:{path}/type]"
        return
    yield from Kinds(BLOCKS, also={"block_id": ID}).problems(block, path)
    if isinstance(block, dict):
        elements = block.get("elements", [])
        if isinstance(elements, list):
            yield from _repeated("action_id", [item for item in elements if isinstance(item, dict)], f"{path}/elements")


def _repeated(name: str, items: list[Json], path: str) -> Iterator[str]:
    ids = Counter(item[name] for item in items if isinstance(item.get(name), str))
    for value, times in ids.items():
        if times > 1:
            yield f"`{name}` {value} already exists for another element [json-pointer:{path}]"


def _texts(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
