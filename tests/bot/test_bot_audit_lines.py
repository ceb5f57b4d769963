"""How entries of the audit read, whatever stands in them."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.audit_lines import WORDS, line
from operations.audit_pages import Entry
from operations.buttons import Act

_RECORDS = {"audit.record", "audit.record_life"}
ROOT = Path(__file__).parents[2]
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=3)
FACTS = st.none() | st.dictionaries(st.text(max_size=10), JSON, max_size=3)


def entry(**more: object) -> Entry:
    facts = {
        "id": UUID(int=1),
        "created_at": datetime(2026, 11, 1, 12, tzinfo=UTC),
        "actor": "T1/U1",
        "action": "user.role",
        "subject_table": "users",
        "subject_id": None,
        "subject_name": "Ben",
        "before": None,
        "after": None,
        "source": "",
    }
    return Entry(**(facts | more))  # type: ignore[arg-type]


def recorded() -> set[str]:
    """Every action that our code writes down by its own name."""
    found = set()
    for room in ("bot", "daemon", "operations"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in _RECORDS:
                    found |= {one.value for one in ast.walk(node.args[1]) if isinstance(one, ast.Constant)}
    return {str(one) for one in found} - {"session.want."}


def test_every_action_has_words() -> None:
    assert recorded() | {act.value for act in Act} - {Act.EDIT.value} <= WORDS.keys()
    assert len(recorded()) > 15


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("command:T1/C1", "by a command in <#C1>"),
        ("button:T1/D1", "by a button in a direct message"),
        ("reply:T1/C1/1.2", "by a reply in <#C1>"),
        ("form:T1/", "by a form"),
        ("page:192.0.2.7", "by the page (192.0.2.7)"),
        ("job:retention", "by the daemon (retention)"),
        ("elsewhere", "· elsewhere"),
    ],
)
def test_an_entry_says_from_where(source: str, told: str) -> None:
    assert line(entry(source=source)).endswith(told)


def test_what_was_and_what_is_stand_side_by_side() -> None:
    told = line(entry(before={"role": "AGENT", "old": 1, "same": 1}, after={"role": "MANAGER", "new": "", "same": 1}))

    assert told.endswith("<@U1> changed the role of *Ben* `user.role`: role AGENT → MANAGER, old 1 → —, new —")


@pytest.mark.parametrize(
    ("action", "facts", "told"),
    [
        ("login.success", {"until": "2026-11-01T12:00:00+00:00"}, "until <!date^1793534400^"),
        ("user.update", {"fields": ["email", "first_name"]}, "fields email, first_name"),
        ("login.link", {"purpose": "log_in"}, "purpose log in"),
        ("user.invite", {"slack": "T1/UBEN", "role": "AGENT"}, "slack <@UBEN>, role AGENT"),
        ("channel.link", {"channel": "C1", "purpose": "alerts"}, "channel <#C1>, purpose alerts"),
        ("tenant.settings", {"keep_messages_days": 365, "encrypted_fields": []}, "keep_messages_days 365"),
        ("tenant.deactivate", {"status": "inactive"}, "status deactivated"),
        ("user.activate", {"is_active": True}, "`user.activate`"),
        ("tried.it", {"really": True, "until": "9999-99-99T00:00:00Z"}, "really yes, until 9999-99-99T00:00:00Z"),
    ],
)
def test_values_are_shown_as_people_read_them(action: str, facts: dict[str, object], told: str) -> None:
    assert told in line(entry(action=action, after=facts))


@given(st.builds(entry, actor=st.text(), subject_name=st.text(), source=st.text(), before=FACTS, after=FACTS))
def test_whatever_stands_in_an_entry_is_one_line_that_mentions_nobody_else(shown: Entry) -> None:
    told = line(shown)

    assert "\n" not in told
    assert len(told) < 2_000
    assert not re.findall(r"<(?!!date\^\d+\^|@[A-Za-z0-9]|#[A-Za-z0-9])", told)
    assert told.count("<") == told.count(">")
