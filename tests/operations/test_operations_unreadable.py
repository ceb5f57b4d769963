"""What was sealed under a key that is gone: everything else goes on, and it is said once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from database import transaction
from models import uuid7
from operations import slack_inbox, workspaces
from operations.encryption import KeyRing, keys, use_keys
from operations.slack_events import incoming
from operations.workspaces import Place, Tokens
from tests.operations.builders import ANA, TEAM

pytestmark = [pytest.mark.database_role("switchboard_bot"), pytest.mark.usefixtures("world")]

COMMAND = {"command": "/wa", "text": "help", "team_id": TEAM, "user_id": ANA.user_id, "trigger_id": "1.2.3"}
DAY = timedelta(days=1)


def lose_key() -> None:
    use_keys(KeyRing([b"another key of thirty-two bytes!"]))


def test_a_command_that_no_key_opens_is_as_one_that_is_not_kept() -> None:
    row = incoming(COMMAND)
    assert row is not None
    slack_inbox.store(row)
    lose_key()

    with capture_logs() as lines:
        assert slack_inbox.kept(row.id) is None
        assert [slack_inbox.unanswered(DAY) for _look in range(3)] == [[], [], []]

    assert [line["event"] for line in lines] == ["command cannot be read any more"]


def test_a_workspace_whose_tokens_no_key_opens_is_said_whenever_that_is_news() -> None:
    ring = keys()
    with transaction():
        workspaces.connect(Place("T2", "Globex", "U", "B"), Tokens("xoxb-1"), workspace_id=uuid7(), actor=ANA.key)

    with capture_logs() as lines:
        for _time in range(2):
            lose_key()
            assert [workspaces.active() for _look in range(3)] == [[], [], []]
            use_keys(ring)
            assert len(workspaces.active()) == 1

    assert [line["event"] for line in lines] == ["the tokens of a workspace cannot be read"] * 2
