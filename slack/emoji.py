"""Slack's names of emoji and the characters they stand for.

`emoji.json` holds `{"names": {name: character}, "skin_toned": [name, …]}`, made from the npm package emoji-datasource
(MIT licence, kept beside it), which is what Slack's own names come from. To renew it:

    npm pack emoji-datasource@16 && tar xzf emoji-datasource-*.tgz package/emoji.json
    python -m slack.emoji package/emoji.json > slack/emoji.json
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

VARIATION = "\ufe0f"
_TONE_OF_NAME = {f"skin-tone-{number}": chr(0x1F3FB + number - 2) for number in range(2, 7)}
_NAME_OF_TONE = {tone: name for name, tone in _TONE_OF_NAME.items()}
_TONES = re.compile(f"[{''.join(_NAME_OF_TONE)}]")


class _Table(NamedTuple):
    characters: dict[str, str]
    names: dict[str, str]
    skin_toned: frozenset[str]


@cache
def _table() -> _Table:
    data = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for name, character in data["names"].items():
        names.setdefault(_bare(character), name)  # the first name is Slack's own, the others are aliases
    return _Table(data["names"], names, frozenset(data["skin_toned"]))


def character_of(name: str, tone: str | None = None) -> str | None:
    """`tada` -> 🎉, `wave` with `skin-tone-3` -> 👋🏼; None for a workspace's own emoji.

    Takes Slack's joined form too: `wave::skin-tone-3`, as a reaction's name has it.
    """
    name, _, joined_tone = name.partition("::")
    table = _table()
    character = table.characters.get(name)
    modifier = _TONE_OF_NAME.get(tone or joined_tone)
    if character is None or modifier is None or name not in table.skin_toned:
        return character
    return character[0] + modifier + character[1:].removeprefix(VARIATION)


def name_of(character: str) -> str | None:
    """👋🏼 -> `wave::skin-tone-3`, as `reactions.add` wants it; None for what Slack has no name for."""
    name = _table().names.get(_bare(character))
    if name is not None:
        return name
    tones = set(_TONES.findall(character))
    name = _table().names.get(_bare(_TONES.sub("", character)))
    if name is None or name not in _table().skin_toned or len(tones) != 1:
        return name
    return f"{name}::{_NAME_OF_TONE[tones.pop()]}"


def _bare(character: str) -> str:
    """Without the variation selectors, which some phones send and others leave out."""
    return character.replace(VARIATION, "")


def _compact(source: list[dict[str, Any]]) -> dict[str, Any]:
    names = {name: _unified(entry["unified"]) for entry in source for name in entry["short_names"]}
    # Couples have only variants with two tones, which Slack writes in another way; they stay without.
    toned = [name for entry in source if "1F3FB" in entry.get("skin_variations", {}) for name in entry["short_names"]]
    return {"names": names, "skin_toned": toned}


def _unified(code_points: str) -> str:
    return "".join(chr(int(point, 16)) for point in code_points.split("-"))


if __name__ == "__main__":
    json.dump(
        _compact(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))),
        sys.stdout,
        ensure_ascii=False,
        separators=(",", ":"),
    )
