"""Which operations no journey comes to, by what stands in the code of the bot and the daemon."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from tests.crashing.run import CHECKOUT


def unplayed(passed: Iterable[str]) -> list[str]:
    """Operations that are handed to `in_database` somewhere, and of which no passage in `passed` is.

    By their last names: what a variable holds, as a worker's operation, is called otherwise where it is handed over.
    """
    known = {name.partition(" · ")[0].rpartition(".")[2] for name in passed}
    return sorted({operation for operation in _handed_over() if operation.rpartition(".")[2] not in known})


def _handed_over() -> Iterator[str]:
    for room in ("bot", "daemon"):
        for file in sorted((CHECKOUT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and _is_in_database(node.func) and node.args:
                    yield ast.unparse(node.args[0])


def _is_in_database(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "in_database"
