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


def test_a_login_that_still_counts_is_kept_however_old(world: World) -> None:
    world.user(world.tenant())
    for ends, ended in (("1 hour", False), ("1 hour", True), ("-1 s", False)):
        world.sql(
            "INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at, ended_at, "
            "created_at) SELECT gen_random_uuid(), tenant_id, id, 'T1', 'UANA', now() + %s::interval, "
            "CASE WHEN %s THEN now() END, now() - interval '31 days' FROM users",
            ends,
            ended,
        )

    assert cleaning.clean_up("logins", MONTH) == 2
    assert world.sql("SELECT expires_at > now(), ended_at FROM logins") == [(True, None)]


def test_a_link_that_is_over_is_deleted_whether_it_was_used_or_not(world: World) -> None:
    world.user(world.tenant())
    for token_hash, is_used in (("one", False), ("two", True)):
        world.sql(
            "INSERT INTO page_links (id, tenant_id, user_id, slack_team_id, slack_user_id, purpose, token_hash, "
            "expires_at, used_at, created_at) SELECT gen_random_uuid(), tenant_id, id, 'T1', 'UANA', 'log_in', %s, "
            "now() - interval '30 days', CASE WHEN %s THEN now() END, now() - interval '31 days' FROM users",
            token_hash,
            is_used,
        )

    assert cleaning.clean_up("page_links", MONTH) == 2


def test_an_incident_is_kept_until_all_that_it_is_one_with_is_told_to_its_end(world: World) -> None:
    tenant = world.tenant()
    for name, whole, is_closed in (
        *(("whole", None, True), ("part", "whole", True), ("single", None, True), ("open", None, False)),
        *(("whole of an open", None, True), ("open part", "whole of an open", False)),
    ):
        world.sql(
            "INSERT INTO incidents (id, tenant_id, kind, server, part_of, began_at, ended_at, closed_at, created_at) "
            "SELECT md5(%s)::uuid, %s, 'server_away', %s, md5(%s)::uuid, now(), now(), CASE WHEN %s THEN now() END, "
            "now() - interval '31 days'",
            name,
            tenant.id,
            name,
            whole,
            is_closed,
        )

    assert cleaning.clean_up("incidents", MONTH) == 3
    assert sorted(world.sql("SELECT server FROM incidents")) == [("open",), ("open part",), ("whole of an open",)]


@pytest.mark.parametrize("table", cleaning.TABLES)
def test_every_table_can_be_cleaned(world: World, table: str) -> None:
    assert cleaning.clean_up(table, MONTH) == 0
