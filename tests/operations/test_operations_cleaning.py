"""Clean-up deletes what is done with and old, and nothing that still has to happen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from operations import cleaning
from tests.operations.builders import World

MONTH = timedelta(days=30)
WEBHOOK = (
    "INSERT INTO webhook_events (id, server, session, event_id, event_name, lane, body, processed_at, created_at) "
    "VALUES (gen_random_uuid(), 'main', 's', %s, 'message.any', 's', '', {processed}, now() - interval '{age}')"
)


def test_old_rows_that_are_done_with_are_deleted(world: World) -> None:
    world.sql(WEBHOOK.format(processed="now()", age="31 days").replace("%s", "'old'"))
    world.sql(WEBHOOK.format(processed="now()", age="1 day").replace("%s", "'young'"))
    world.sql(WEBHOOK.format(processed="NULL", age="31 days").replace("%s", "'open'"))

    assert cleaning.clean_up("webhook_events", MONTH) == 1

    assert cleaning.clean_up("webhook_events", MONTH) == 0
    assert sorted(world.sql("SELECT event_id FROM webhook_events")) == [("open",), ("young",)]


@pytest.mark.parametrize("table", cleaning.TABLES)
def test_every_table_can_be_cleaned(world: World, table: str) -> None:
    assert cleaning.clean_up(table, MONTH) == 0
