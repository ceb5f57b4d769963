"""How long functions and files are, and how the tests compare: `make sizes`. A look, not a gate."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
MOCK = re.compile(r"unittest\.mock|\bMock\(|MagicMock|AsyncMock|mocker\.|monkeypatch\.setattr|\bpatch\(")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sized:
    """Something with a length in lines, and where it stands."""

    where: str
    lines: int


@dataclass(frozen=True)
class Folder:
    """A room, or the tests; `code` counts lines that are neither empty, comment nor docstring."""

    name: str
    code: int
    files: list[Sized]
    functions: list[Sized]
    tests: int
    mocks: int


def code_lines_of(text: str, tree: ast.Module) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in NOT_CODE for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def functions_of(path: Path, tree: ast.Module, code: set[int]) -> Iterator[Sized]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            lines = code & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            yield Sized(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", len(lines))


def measure(name: str) -> Folder:
    files: list[Sized] = []
    functions: list[Sized] = []
    code = tests = mocks = 0
    for path in sorted((ROOT / name).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = code_lines_of(text, tree)
        code += len(lines)
        files.append(Sized(str(path.relative_to(ROOT)), len(text.splitlines())))
        functions += functions_of(path, tree, lines)
        tests += sum(isinstance(node, Function) and node.name.startswith("test_") for node in ast.walk(tree))
        mocks += len(MOCK.findall(text)) if path != Path(__file__) else 0
    return Folder(name, code, files, functions, tests, mocks)


def spread(sizes: list[Sized]) -> tuple[str, str, str]:
    """Median, the 90th of a hundred, and the longest."""
    lines = sorted(size.lines for size in sizes) or [0]
    return f"{statistics.median(lines):g}", str(lines[(len(lines) - 1) * 9 // 10]), str(lines[-1])


def table_of(folders: list[Folder]) -> Table:
    table = Table("folder", "code", "files", box=box.SIMPLE, title="Lines: median / p90 / longest")
    for column in ("a file", "functions", "a function"):
        table.add_column(column, justify="right")
    for folder in folders:
        table.add_row(
            folder.name,
            str(folder.code),
            str(len(folder.files)),
            " / ".join(spread(folder.files)),
            str(len(folder.functions)),
            " / ".join(spread(folder.functions)),
        )
    return table


def main() -> None:
    """Print the table, the longest of each kind, and what the tests weigh."""
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    product = [measure(room) for room in rooms]
    tests = measure("tests")
    console = Console(soft_wrap=True)
    console.print(table_of([*product, tests]))
    for kind, most in (("functions", 40), ("files", 400)):
        sizes = [size for folder in product for size in getattr(folder, kind)]
        for size in sorted((size for size in sizes if size.lines > most), key=lambda size: -size.lines):
            console.print(f"{kind} over {most} lines: {size.where}, {size.lines}")
    median, p90, _ = spread([function for room in product for function in room.functions])
    code = sum(room.code for room in product)
    console.print(f"functions of the product: median {median}, p90 {p90} lines of code")
    console.print(f"{tests.tests} tests, {tests.code / max(code, 1):.2f} lines of tests for a line of code")
    console.print(f"{100 * tests.mocks / max(tests.tests, 1):.1f} mocks for 100 tests")


if __name__ == "__main__":
    main()
