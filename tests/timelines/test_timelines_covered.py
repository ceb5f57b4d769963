"""Every row of the timelines is shown by a test, wherever that test lives."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.timelines.rows import ROWS

TESTS = Path(__file__).parents[1]


def rows_named(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.timeline":
            yield from (ast.literal_eval(argument) for argument in node.args)


def test_every_row_has_a_test() -> None:
    shown = {row for file in TESTS.rglob("test_*.py") for row in rows_named(file.read_text(encoding="utf-8"))}

    print(f"timelines: {len(shown & ROWS)} of {len(ROWS)} rows shown")  # noqa: T201 - what this shows
    assert shown - ROWS == set()
    assert ROWS - shown == set()
