"""Which posts are next, however many wait behind them or in channels that take none."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from database import connection, tenant_transaction, transaction
from models import Conversation, uuid7
from operations import deactivation, relaying
from operations.relaying import NOTHING_IS_FULL, Full, LeasedPost
from operations.sql import value
from tests.operations.builders import LEASE, TEAM, World, together

LIMIT = 4
# As many due posts are looked at before lanes are stepped through.
WINDOW = 20 * LIMIT


def queue(
    world: World,
    lane: str,
    posts: int,
    *,
    channel: str = "C1",
    minutes_ago: int = 0,
    kind: str = "post",
    of: Conversation | None = None,
) -> UUID:
    """Posts that became due one after the other, the first so many minutes ago."""
    lane_id = uuid7()
    world.sql("INSERT INTO post_lanes (id, name, next_seq) VALUES (%s, %s, %s)", lane_id, lane, posts + 1)
    world.sql(
        "INSERT INTO slack_posts (id, tenant_id, conversation_id, lane_id, seq, kind, slack_team_id, slack_channel_id, "
        "payload, next_attempt_at) SELECT gen_random_uuid(), %s, %s, %s, number, %s, %s, %s, "
        "jsonb_build_object('text', %s || ' ' || number), "
        "now() - make_interval(mins => %s) + (number - 20000) * interval '1 us' FROM generate_series(1, %s) number",
        of and of.tenant_id, of and of.id, lane_id, kind, TEAM, channel, lane, minutes_ago, posts,
    )  # fmt: skip
    return lane_id


def lease(*, full: Full = NOTHING_IS_FULL, limit: int = LIMIT) -> list[LeasedPost]:
    return relaying.lease(limit, LEASE, LEASE, full=full)


def texts(posts: list[LeasedPost]) -> list[str]:
    return sorted(post.payload["text"] for post in posts)


def rows_read(full: Full = NOTHING_IS_FULL) -> int:
    """How many rows of posts a lease looks at."""
    with connection(), transaction():
        before = counted("slack_posts")
        value(
            "SELECT count(*) FROM lease_posts(%s, %s, %s, %s, true, true)", (LIMIT, LEASE, LEASE, list(full.channels))
        )
        return counted("slack_posts") - before


def lanes_read(lane: str) -> int:
    """How many lanes are read to record that the head of one is posted."""
    [post] = [one for one in lease() if one.payload["text"] == f"{lane} 1"]
    with connection(), transaction():
        before = counted("post_lanes")
        relaying.record_posted(post, "1700000005.000001")
        return counted("post_lanes") - before


def counted(table: str) -> int:
    """Rows read so far. PostgreSQL also counts what this connection did before and has not reported yet."""
    return int(
        value(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_all_tables "
            "WHERE relname = %s",
            (table,),
        )
    )


def test_a_long_lane_costs_no_more_than_a_short_one(world: World) -> None:
    queue(world, "long", 20_000)

    assert 0 < rows_read() < 3 * WINDOW


def test_many_lanes_cost_no_more_than_few(world: World) -> None:
    for number in range(300):
        queue(world, f"lane {number}", 1)

    assert 0 < rows_read() < 3 * WINDOW


def test_where_one_lane_hides_the_others_each_costs_a_row(world: World) -> None:
    queue(world, "long", 5_000, minutes_ago=60)
    for number in range(300):
        queue(world, f"lane {number}", 10)

    assert 0 < rows_read() < 3 * WINDOW + 310


def test_a_lane_behind_a_long_one_is_found(world: World) -> None:
    queue(world, "long", 2 * WINDOW, minutes_ago=60)
    queue(world, "behind", 2)

    assert texts(lease()) == ["behind 1", "long 1"]


def test_a_lane_behind_a_channel_that_takes_no_posts_is_found(world: World) -> None:
    for number in range(WINDOW + 10):
        queue(world, f"waits {number}", 1, channel="CFULL", minutes_ago=60)
    queue(world, "goes", 1)

    assert texts(lease(full=Full(channels=("CFULL",)))) == ["goes 1"]


@pytest.mark.parametrize("hidden", [False, True], ids=["in sight", "behind a long lane"])
def test_lanes_that_wait_longest_go_first(world: World, *, hidden: bool) -> None:
    if hidden:
        queue(world, "long", 2 * WINDOW, minutes_ago=60, channel="CFULL")
    for number in range(6):
        queue(world, f"lane {number}", 1, minutes_ago=number)

    assert texts(lease(full=Full(channels=("CFULL",)))) == ["lane 2 1", "lane 3 1", "lane 4 1", "lane 5 1"]


@pytest.mark.parametrize("hidden", [False, True], ids=["in sight", "behind a long lane"])
def test_a_lane_that_is_leased_is_left_alone(world: World, *, hidden: bool) -> None:
    if hidden:
        queue(world, "long", 2 * WINDOW, minutes_ago=60, channel="CFULL")
    queue(world, "lane", 2)
    full = Full(channels=("CFULL",))
    [leased] = lease(full=full)

    assert lease(full=full) == []

    relaying.record_posted(leased, "1700000005.000001")
    assert texts(lease(full=full)) == ["lane 2"]


def test_a_head_that_is_not_due_holds_up_its_lane_also_behind_a_long_one(world: World) -> None:
    queue(world, "long", 2 * WINDOW, minutes_ago=60)
    lane = queue(world, "waits", 2)
    world.sql("UPDATE slack_posts SET next_attempt_at = now() + interval '1 h' WHERE lane_id = %s AND seq = 1", lane)

    assert texts(lease()) == ["long 1"]


def test_a_post_that_is_under_way_in_another_lane_is_not_leased_again(world: World) -> None:
    queue(world, "old", 1)
    [post] = lease()
    other = queue(world, "new", 0)
    world.sql("UPDATE slack_posts SET lane_id = %s WHERE id = %s", other, post.post_id)

    assert lease() == []

    relaying.record_delayed(post, timedelta(0), "Slack's limit")
    assert texts(lease()) == ["old 1"]


def test_to_record_a_post_one_lane_is_read_however_many_there_are(world: World) -> None:
    queue(world, "mine", 1)
    world.sql("INSERT INTO post_lanes (id, name) SELECT gen_random_uuid(), n::text FROM generate_series(1, 5000) n")

    assert lanes_read("mine") < 20


def test_a_post_that_changed_its_lane_gives_back_the_one_that_it_was_leased_in(world: World) -> None:
    lane = queue(world, "old", 2)
    [post] = lease()
    world.sql("UPDATE slack_posts SET lane_id = %s WHERE id = %s", queue(world, "new", 0), post.post_id)

    relaying.record_posted(post, "1700000005.000001")

    assert post.lane_id == lane
    assert texts(lease()) == ["old 2"]


SILENT = ("UPDATE tenants SET status = 'inactive'", "UPDATE tenants SET deleted_at = now()")


@pytest.mark.parametrize("hidden", [False, True], ids=["in sight", "behind a long lane"])
@pytest.mark.parametrize("silent", SILENT)
def test_conversations_of_a_silent_tenant_are_passed_over_and_what_is_told_of_it_is_not(
    world: World, conversation: Conversation, silent: str, *, hidden: bool
) -> None:
    if hidden:
        queue(world, "long", 2 * WINDOW, minutes_ago=60, channel="CFULL")
    queue(world, "conversation", 1, of=conversation)
    told = queue(world, "alerts", 1)
    world.sql("UPDATE slack_posts SET tenant_id = %s WHERE lane_id = %s", conversation.tenant_id, told)
    world.sql(silent)

    assert texts(lease(full=Full(channels=("CFULL",)))) == ["alerts 1"]


def test_posts_of_a_silent_tenant_hide_no_others_and_are_met_once(world: World, conversation: Conversation) -> None:
    for number in range(WINDOW):
        queue(world, f"silent {number}", 3, of=conversation, minutes_ago=60)
    queue(world, "goes", 1)
    world.sql(SILENT[0])

    found = [texts(lease()) for _ in range(3)]

    assert found == [["goes 1"], [], []]
    assert world.value("SELECT count(*) FROM slack_posts WHERE next_attempt_at <= now()") == 1


@pytest.mark.parametrize("planned_small", [False, True])
def test_a_long_lane_of_a_silent_tenant_costs_no_more_than_another(
    world: World, conversation: Conversation, *, planned_small: bool
) -> None:
    world.sql(SILENT[0])
    if planned_small:
        queue(world, "few", 8, of=conversation)
        for _ in range(8):  # PostgreSQL keeps a plan after five
            world.sql("UPDATE slack_posts SET next_attempt_at = now() - interval '1 s'")
            lease()
    queue(world, "silent", 20_000, of=conversation)

    before = rows_read()

    # What is put off is read once more to be written.
    assert rows_read() - before < 4 * WINDOW


def test_what_was_put_off_is_due_when_its_tenant_is_active_again(world: World, conversation: Conversation) -> None:
    queue(world, "conversation", 2, of=conversation)
    world.sql(SILENT[0])
    assert lease() == []

    with tenant_transaction(conversation.tenant_id):
        deactivation.activate(conversation.tenant_id, event_id=uuid7(), operators=(), actor="T1/UOLGA")

    assert texts(lease()) == ["conversation 1"]


def test_a_tenant_that_is_being_activated_is_not_put_off_unseen(world: World, conversation: Conversation) -> None:
    queue(world, "conversation", 1, of=conversation)
    world.sql(SILENT[0])

    with tenant_transaction(conversation.tenant_id):
        deactivation.activate(conversation.tenant_id, event_id=uuid7(), operators=(), actor="T1/UOLGA")
        [meanwhile] = together(lease)

    assert meanwhile == []
    assert texts(lease()) == ["conversation 1"]
