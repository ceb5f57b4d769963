from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from database import database
from models import DesiredState, MessageStatus, ServerState, SessionStatus

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors_of(document: Path) -> set[str]:
    """What GitHub makes of headings: small letters, without punctuation, with - for blanks."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_broken(link: str, document: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    if not target.resolve().exists():
        return True
    return bool(anchor) and anchor not in anchors_of(target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    links = LINK.findall(CODE.sub("", document.read_text(encoding="utf-8")))

    broken = [link for link in links if not link.startswith(("http://", "https://")) and is_broken(link, document)]

    assert not broken


def test_every_decision_is_listed_once() -> None:
    decisions = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))

    listed = re.findall(r"\((0\d{3}-[\w-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8"))

    assert listed == decisions
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))


@pytest.mark.parametrize("words", [MessageStatus, SessionStatus, DesiredState, ServerState])
def test_the_machines_are_drawn_with_the_words_of_the_columns(words: type[MessageStatus]) -> None:
    drawn = (ROOT / "docs/states.md").read_text(encoding="utf-8")

    assert [word for word in words if not re.search(rf"\b{word}\b", drawn)] == []


def test_every_room_stands_in_the_architecture() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    described = set(
        re.findall(r"^\| `(\w+)/`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert rooms - described == set()


def test_the_lines_that_the_runbook_says_are_seen_are_written_somewhere() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    paragraphs = re.findall(r"^\*(?:Seen as|Embedded)\*:.*?\n\n", runbook, re.MULTILINE | re.DOTALL)
    quoted = [quote.replace("\n", " ") for text in paragraphs for quote in re.findall(r"`([^`]+)`", text)]

    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("*/*.py"))

    lines = [quote for quote in quoted if " " in quote]
    assert len(lines) > 8
    assert [line for line in lines if line not in code] == []


def test_the_queries_of_the_runbook_run(migrated_database: Any) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.DOTALL)
    queries = [query for block in blocks for query in block.split(";") if query.strip()]

    with migrated_database.owner():
        for query in queries:
            database.execute_sql(query)

    assert len(queries) == 9
