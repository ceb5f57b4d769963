"""Block Kit's limits: each with the largest value that passes and the first that does not."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import SandboxSlack, block_limits

Block = dict[str, Any]


def plain(length: int) -> Block:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int) -> Block:
    return {"type": "mrkdwn", "text": "x" * length}


def section(length: int = 1) -> Block:
    return {"type": "section", "text": mrkdwn(length)}


def button(text: int = 1, **more: Any) -> Block:
    return {"type": "button", "text": plain(text), **more}


def actions(*elements: Block) -> list[Block]:
    return [{"type": "actions", "elements": list(elements)}]


def option(text: int = 1, value: int = 1) -> Block:
    return {"text": plain(text), "value": "x" * value}


def menu(count: int, kind: str = "static_select", **more: int) -> list[Block]:
    return actions({"type": kind, "options": [option(**more) for _ in range(count)]})


def confirm(title: int = 1, text: int = 1, label: int = 1) -> list[Block]:
    dialog = {"title": plain(title), "text": mrkdwn(text), "confirm": plain(label), "deny": plain(label)}
    return actions(button(confirm=dialog))


def cells(rows: int, columns: int) -> list[Block]:
    row = [{"type": "raw_text", "text": "x"}] * columns
    return [{"type": "table", "rows": [row] * rows}]


def image(alt: int) -> list[Block]:
    return [{"type": "image", "image_url": "https://example.com/i.png", "alt_text": "x" * alt}]


# what is limited, how to build a message with so much of it, and the most that Slack takes
LIMITS = [
    ("blocks", lambda size: [section()] * size, 50),
    ("section text", lambda size: [section(size)], 3000),
    ("fields", lambda size: [{"type": "section", "fields": [mrkdwn(1)] * size}], 10),
    ("field text", lambda size: [{"type": "section", "fields": [mrkdwn(size)]}], 2000),
    ("header", lambda size: [{"type": "header", "text": plain(size)}], 150),
    ("button text", lambda size: actions(button(size)), 75),
    ("button value", lambda size: actions(button(value="x" * size)), 2000),
    ("accessibility label", lambda size: actions(button(accessibility_label="x" * size)), 75),
    ("actions", lambda size: actions(*[button()] * size), 25),
    ("context", lambda size: [{"type": "context", "elements": [mrkdwn(1)] * size}], 10),
    ("option text", lambda size: menu(1, text=size), 75),
    ("option value", lambda size: menu(1, value=size), 150),
    ("options", menu, 100),
    ("overflow options", lambda size: menu(size, "overflow"), 5),
    ("confirm title", lambda size: confirm(title=size), 100),
    ("confirm text", lambda size: confirm(text=size), 300),
    ("confirm button", lambda size: confirm(label=size), 30),
    ("image alt text", image, 2000),
    ("action id", lambda size: actions(button(action_id="x" * size)), 255),
    ("block id", lambda size: [{**section(), "block_id": "x" * size}], 255),
    ("markdown", lambda size: [{"type": "markdown", "text": "x" * size}], 12_000),
    ("table rows", lambda size: cells(size, 1), 100),
    ("table columns", lambda size: cells(1, size), 20),
]


@pytest.mark.parametrize(("build", "most"), [limit[1:] for limit in LIMITS], ids=[limit[0] for limit in LIMITS])
def test_the_most_passes_and_one_more_does_not(build: Any, most: int) -> None:
    assert block_limits.check(build(most)) == []
    assert block_limits.check(build(most + 1)) != []


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([section(3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "section"}], "must provide one of: text, fields [json-pointer:/blocks/0]"),
        ([{"type": "header", "text": mrkdwn(1)}], "must be one of: plain_text [json-pointer:/blocks/0/text/type]"),
        ([{**section(), "colour": "red"}], "invalid additional property: colour [json-pointer:/blocks/0]"),
        ([{"type": "poem"}], "unsupported type: poem [json-pointer:/blocks/0/type]"),
        ([{"type": "input"}], "unsupported type: input [json-pointer:/blocks/0/type]"),
        ([{"type": "actions", "elements": []}], "no less than 1 items allowed [json-pointer:/blocks/0/elements]"),
        (
            [{"type": "image", "image_url": "https://example.com/i.png"}],
            "missing required field: alt_text [json-pointer:/blocks/0]",
        ),
        (
            actions(button(action_id="a"), button(action_id="a")),
            "`action_id` a already exists for another element [json-pointer:/blocks/0/elements]",
        ),
        (
            [{**section(), "block_id": "b"}] * 2,
            "`block_id` b already exists for another element [json-pointer:/blocks]",
        ),
        (["text"], "must be an object [json-pointer:/blocks/0]"),
    ],
)
def test_the_reason_says_where(blocks: list[Any], reason: str) -> None:
    assert reason in block_limits.check(blocks)


@pytest.mark.parametrize(
    ("changes", "is_fine"),
    [
        ({}, True),
        ({"title": plain(24)}, True),
        ({"title": plain(25)}, False),
        ({"title": None}, False),
        ({"submit": plain(25)}, False),
        ({"submit": None}, False),
        ({"private_metadata": "x" * 3000}, True),
        ({"private_metadata": "x" * 3001}, False),
        ({"callback_id": "x" * 256}, False),
        ({"blocks": [section()] * 100}, True),
        ({"blocks": [section()] * 101}, False),
    ],
)
def test_a_modal_has_limits_of_its_own(changes: Block, is_fine: bool) -> None:  # noqa: FBT001 - a column of the table
    field = {"type": "input", "label": plain(1), "element": {"type": "plain_text_input", "action_id": "a"}}
    view = {"type": "modal", "title": plain(1), "submit": plain(1), "blocks": [field], **changes}

    reasons = block_limits.check_view({key: value for key, value in view.items() if value is not None})

    assert (reasons == []) is is_fine


async def test_a_post_beyond_a_limit_is_refused_with_the_reasons() -> None:
    async with SandboxSlack() as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

        with pytest.raises(SlackApiError) as refused:
            await client.chat_postMessage(channel=slack.channel("support").id, text="x", blocks=[section(3001)])

    assert refused.value.response["error"] == "invalid_blocks"
    assert refused.value.response["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]


async def test_all_blocks_together_have_a_limit_too() -> None:
    async with SandboxSlack() as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])

        with pytest.raises(SlackApiError) as refused:
            await client.chat_postMessage(channel=slack.channel("support").id, text="x", blocks=[section(3000)] * 5)

    assert refused.value.response["error"] == "msg_blocks_too_long"
