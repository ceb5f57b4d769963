from __future__ import annotations

import json
from pathlib import Path

import pytest

from slack import emoji

DATA = json.loads(Path(emoji.__file__).with_suffix(".json").read_text(encoding="utf-8"))


def test_every_character_has_a_name_that_leads_back_to_it() -> None:
    for character in DATA["names"].values():
        name = emoji.name_of(character)

        assert name is not None
        assert emoji.character_of(name) == character


@pytest.mark.parametrize("name", DATA["skin_toned"])
def test_every_skin_tone_leads_back_to_the_same_character(name: str) -> None:
    toned = emoji.character_of(name, "skin-tone-4")

    assert toned is not None
    found = emoji.name_of(toned)
    assert found is not None
    assert found.endswith("::skin-tone-4")
    assert emoji.character_of(found) == toned


@pytest.mark.parametrize(
    ("character", "name"),
    [("❤", "heart"), ("❤️", "heart"), ("👍🏽", "+1::skin-tone-4"), ("🙏", "pray"), ("👨‍👩‍👧", "man-woman-girl")],
)
def test_a_reaction_of_a_phone_gets_slacks_name(character: str, name: str) -> None:
    assert emoji.name_of(character) == name


def test_what_slack_has_no_name_for_has_none() -> None:
    assert emoji.name_of("x") is None
    assert emoji.name_of("") is None
    assert emoji.character_of("our-logo") is None


def test_a_tone_that_an_emoji_does_not_take_is_left_out() -> None:
    assert emoji.character_of("tada::skin-tone-3") == "🎉"
