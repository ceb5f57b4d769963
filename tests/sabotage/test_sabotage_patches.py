"""The patches still find what they switch off; what chaos says of each is `make sabotage`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from tests.conftest import MigratedDatabase
from tests.sabotage import safeguards

STATEMENTS = [
    "SELECT * FROM lease_messages(10, 4, interval '6 seconds', NULL)",
    "SELECT * FROM lease_posts(10, interval '11 seconds', interval '71 seconds', '{}', true, true)",
]


@pytest.mark.parametrize("sabotage", [safeguards.lease, safeguards.conversation_claim, safeguards.deduplication])
def test_functions_of_the_database_work_without_their_safeguard(
    sabotage: Callable[[], None], migrated_database: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[Callable[[Any], None]] = []
    monkeypatch.setattr(safeguards, "_once_migrated", works.append)
    monkeypatch.setattr(safeguards, "_replace", lambda *_: None)

    sabotage()
    connection = psycopg2.connect(migrated_database.url)
    cursor = connection.cursor()
    for work in [*works, *works]:  # each daemon does it
        work(cursor)
    for statement in STATEMENTS:
        cursor.execute(statement)
    connection.rollback()
    connection.close()

    assert works


def test_code_that_is_somewhere_else_now_is_not_passed_over() -> None:
    with pytest.raises(safeguards.NothingToSwitchOff):
        safeguards._replace(safeguards, "no_such_thing", None)


@pytest.mark.parametrize("room", ["bot", "daemon"])
@pytest.mark.parametrize("name", list(safeguards.SAFEGUARDS))
def test_every_safeguard_can_be_switched_off(name: str, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[tuple[Any, str]] = []

    def check(owner: Any, attribute: str, _other: Any) -> None:
        assert hasattr(owner, attribute)
        replaced.append((owner, attribute))

    monkeypatch.setattr(safeguards, "_replace", check)

    safeguards.switch_off(name, room)

    assert bool(replaced) == (room == "daemon" or safeguards.SAFEGUARDS[name][1])
