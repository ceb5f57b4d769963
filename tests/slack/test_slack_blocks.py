from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock

from slack import blocks
from slack.block_limits import LIMITS, check
from slack.blocks import Post, split_text
from slack.mrkdwn import foreign


def a_full_message() -> list[blocks.Block]:
    sure = blocks.confirm("Log out?", "The phone must be linked again.", yes="Log out", style="danger")
    return [
        blocks.header("Session acme"),
        blocks.section("*Working* since noon", accessory=blocks.button("Show", "show", value="1"), block_id="state"),
        blocks.divider(),
        *blocks.table(["Name", "State"], [["acme", "working"], ["shop", "stopped"]]),
        blocks.context("seen just now"),
        blocks.image("F1", "The code to scan", title="Scan me"),
        blocks.actions(
            blocks.button("▶", "next", accessibility_label="Next page"),
            blocks.button("Log out", "logout", style="danger", confirm=sure),
            block_id="more",
        ),
    ]


def test_what_the_builders_make_is_accepted_here_and_by_the_sdk() -> None:
    message = a_full_message()

    assert check(message) == []
    for block in message:
        parsed = SdkBlock.parse(block)
        assert parsed is not None
        parsed.validate_json()


def test_nothing_that_was_not_given_is_sent() -> None:
    assert blocks.button("Go", "go") == {
        "type": "button",
        "text": {"type": "plain_text", "text": "Go", "emoji": True},
        "action_id": "go",
    }


def test_markup_makes_no_mentions_by_itself() -> None:
    assert blocks.section("see @here")["text"]["verbatim"] is True


def test_a_table_row_has_a_value_for_each_column() -> None:
    with pytest.raises(ValueError, match="shorter"):
        blocks.table(["Name", "State"], [["acme"]])
    with pytest.raises(ValueError, match="10 columns"):
        blocks.table(["x"] * 11, [])


def test_a_post_falls_back_to_its_text() -> None:
    assert Post("all of it", (blocks.divider(),)).without_blocks() == Post("all of it")


def button(**changes: Any) -> blocks.Block:
    return blocks.actions(blocks.button("Go", "go") | changes)


LONG_OPTION = {"text": blocks.plain("x" * 76), "value": "1"}
TOO_MUCH = [
    (blocks.section("x" * 3001), "blocks[0].text.text: 3001 of at most 3000"),
    (blocks.section(""), "blocks[0].text: needs `text`"),
    ({"type": "section"}, "blocks[0]: needs `text` or `fields`"),
    ({"type": "section", "fields": []}, "blocks[0].fields: is empty"),
    ({"type": "section", "fields": [blocks.mrkdwn("x")] * 11}, "blocks[0].fields: 11 of at most 10"),
    ({"type": "section", "fields": [blocks.mrkdwn("x" * 2001)]}, "blocks[0].fields[0].text: 2001 of at most 2000"),
    (blocks.section("x", block_id="x" * 256), "blocks[0].block_id: 256 of at most 255"),
    (blocks.header("x" * 151), "blocks[0].text.text: 151 of at most 150"),
    ({"type": "header", "text": blocks.mrkdwn("x")}, "blocks[0].text: must be plain_text"),
    (blocks.context(*"abcdefghijk"), "blocks[0].elements: 11 of at most 10"),
    (blocks.actions(*[blocks.button("Go", f"go{n}") for n in range(26)]), "blocks[0].elements: 26 of at most 25"),
    (
        blocks.actions(blocks.button("Go", "go"), blocks.button("On", "go")),
        "blocks[0]: action_id `go` is used 2 times",
    ),
    (button(text=blocks.plain("x" * 76)), "blocks[0].elements[0].text.text: 76 of at most 75"),
    (button(value="x" * 2001), "blocks[0].elements[0].value: 2001 of at most 2000"),
    (button(action_id="x" * 256), "blocks[0].elements[0].action_id: 256 of at most 255"),
    (button(accessibility_label="x" * 76), "blocks[0].elements[0].accessibility_label: 76 of at most 75"),
    (
        button(confirm=blocks.confirm("x" * 101, "t", yes="y")),
        "blocks[0].elements[0].confirm.title.text: 101 of at most 100",
    ),
    (
        button(confirm=blocks.confirm("t", "x" * 301, yes="y")),
        "blocks[0].elements[0].confirm.text.text: 301 of at most 300",
    ),
    (
        button(confirm=blocks.confirm("t", "t", yes="x" * 31)),
        "blocks[0].elements[0].confirm.confirm.text: 31 of at most 30",
    ),
    (
        blocks.actions({"type": "static_select", "action_id": "s", "options": [LONG_OPTION]}),
        "blocks[0].elements[0].options[0].text.text: 76 of at most 75",
    ),
    (
        blocks.actions({"type": "overflow", "action_id": "s", "options": [{"text": blocks.plain("x")}] * 6}),
        "blocks[0].elements[0].options: 6 of at most 5",
    ),
    (blocks.image("F1", "x" * 2001), "blocks[0].alt_text: 2001 of at most 2000"),
    (blocks.image("F1", ""), "blocks[0]: needs `alt_text`"),
    ({"type": "image", "alt_text": "x"}, "blocks[0]: needs `image_url` or `slack_file`"),
    ({"type": "markdown", "text": "x" * 12001}, "blocks[0].text: 12001 of at most 12000"),
    ({"type": "table", "rows": [[{}]] * 101}, "blocks[0].rows: 101 of at most 100"),
    ({"type": "table", "rows": [[{}] * 21]}, "blocks[0].rows[0]: 21 of at most 20"),
    ({"type": "sektion"}, "blocks[0]: `sektion` is not a block that is known here"),
    ({}, "blocks[0]: `None` is not a block that is known here"),
]


@pytest.mark.parametrize(("block", "problem"), TOO_MUCH)
def test_each_breach_of_a_limit_is_named_with_its_place(block: blocks.Block, problem: str) -> None:
    assert check([block]) == [problem]


def test_a_message_has_fifty_blocks_and_a_home_tab_a_hundred() -> None:
    many = [blocks.divider()] * 51

    assert check(many) == ["blocks: 51 of at most 50 in a message"]
    assert check(many, "home") == []


def test_an_input_belongs_into_a_form() -> None:
    field = {
        "type": "input",
        "label": blocks.plain("Name"),
        "element": {"type": "plain_text_input", "action_id": "name"},
    }

    assert check([field]) == ["blocks[0]: `input` is not allowed in a message"]
    assert check([field], "modal") == []


def test_a_block_id_is_used_once() -> None:
    same = blocks.section("x", block_id="one")

    assert check([same, same]) == ["blocks: block_id `one` is used 2 times"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "fields", "elements"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(LIMITS)), st.dictionaries(st.sampled_from(["text", "fields", "elements", "rows"]), JSON))
def test_no_shape_makes_the_check_itself_fail(kind: str, fields: dict[str, Any]) -> None:
    check([{"type": kind, **fields}])


SPLIT = st.lists(st.sampled_from(["word", " ", "\n", "&", "<", "👩\u200d🚀", "❤\ufe0f", "é", "e\u0301", "👋🏼"])).map(
    "".join
)


@given(SPLIT, st.integers(8, 40))
def test_the_parts_of_a_text_are_short_enough_and_nothing_visible_is_lost(text: str, limit: int) -> None:
    shown = foreign(text)

    parts = split_text(shown, limit)

    assert all(part.strip() and len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(shown.split())


@given(SPLIT, st.integers(8, 40))
def test_no_part_begins_or_ends_inside_a_character(text: str, limit: int) -> None:
    parts = split_text(foreign(text), limit)

    for part, following in pairwise(parts):
        assert part.count("&") == part.count(";")
        assert not part.endswith("\u200d")
        assert following[0] not in "\u200d\ufe0f\u0301🏼"


def test_a_text_is_cut_after_a_line_or_else_a_word() -> None:
    assert split_text("one two\nthree four", 12) == ["one two\n", "three four"]
    assert split_text("a\nlong words of text", 14) == ["a\nlong words ", "of text"]
    assert split_text("unbreakable", 4) == ["unbr", "eaka", "ble"]


def test_a_link_is_kept_whole() -> None:
    assert split_text("see <https://x.example|the page>", 30) == ["see ", "<https://x.example|the page>"]


def test_a_long_text_becomes_sections_that_slack_accepts() -> None:
    made = blocks.sections("word " * 1500)

    assert len(made) == 3
    assert check(made) == []
