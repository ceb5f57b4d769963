from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from settings.keys import every_key

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "config.toml").read_text(encoding="utf-8")


def keys_of(table: dict[str, object], *above: str) -> set[str]:
    keys: set[str] = set()
    for name, value in table.items():
        keys |= keys_of(value, *above, name) if isinstance(value, dict) else {".".join((*above, name))}
    return keys


def test_the_file_holds_every_setting_and_no_other() -> None:
    assert keys_of(tomllib.loads(FILE)) == {".".join(key) for key in every_key()}


@pytest.mark.parametrize("line", re.findall(r"^\w+ = ", FILE, re.MULTILINE))
def test_every_setting_says_why_it_exists(line: str) -> None:
    lines = FILE.splitlines()

    above = [lines[number - 1] for number, text in enumerate(lines) if text.startswith(line)]

    assert all(comment.startswith("# ") for comment in above)
