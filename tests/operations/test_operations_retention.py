"""What a tenant keeps no longer goes, and nothing to which something is still to happen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from database import tenant_transaction
from models import Direction, MessageStatus, Tenant, WahaSession, now_utc
from operations import audit, deletion, retention
from operations.retention import Keeping
from tests.operations.builders import ANA, World, said, take, together, webhook

OLD = timedelta(days=40)
STEPS = ("messages", "slack_posts", "inboxes", "audit_entries")


def keep(world: World, tenant: Tenant, **days: int) -> Keeping:
    world.sql("UPDATE tenants SET settings = %s WHERE id = %s", json.dumps(days), tenant.id)
    [keeping] = [one for one in retention.all_keeping() if one.tenant_id == tenant.id]
    return keeping


def age(world: World, *tables: str) -> None:
    for table in tables:
        world.sql(f"UPDATE {table} SET created_at = created_at - interval '40 days'")  # noqa: S608 - names of ours


def run(keeping: Keeping, *, limit: int = 500) -> dict[str, int]:
    gone = dict.fromkeys(retention.steps(keeping), 0)
    for step in gone:
        while deleted := retention.delete_some(keeping, step, limit=limit):
            gone[step] += deleted
    return gone


def test_old_messages_go_in_batches_and_each_is_told(world: World, tenant: Tenant, session: WahaSession) -> None:
    conversation = world.conversation(session)
    for number in range(5):
        world.message(conversation, f"Old {number}", status=MessageStatus.DELIVERED)
    age(world, "messages")
    young = world.message(conversation, "Young", status=MessageStatus.DELIVERED)

    gone = run(keep(world, tenant, keep_messages_days=30), limit=2)

    assert gone["messages"] == 5
    assert world.sql("SELECT body, seq FROM messages") == [("Young", young.seq)]
    assert world.sql("SELECT actor, after->>'rows', after->>'count' FROM audit_entries ORDER BY created_at") == [
        (retention.ACTOR, "messages", count) for count in ("2", "2", "1")
    ]


def test_a_deleted_tenants_old_messages_go_all_the_same(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.message(world.conversation(session), "Old", status=MessageStatus.DELIVERED)
    age(world, "messages")
    deletion.delete_tenant(tenant.id, deletion_id=uuid4(), actor=ANA.key)

    run(keep(world, tenant, keep_messages_days=30))

    assert world.sql("SELECT body FROM messages") == []
    last = "SELECT subject_name, after->>'count' FROM audit_entries WHERE action = 'retention.delete'"
    assert world.sql(last) == [("Acme", "1")]


def test_a_second_run_changes_nothing(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.message(world.conversation(session), status=MessageStatus.SENT)
    age(world, "messages")
    keeping = keep(world, tenant, keep_messages_days=30, keep_audit_days=30)
    run(keeping)
    before = world.value("SELECT count(*) FROM audit_entries")

    assert run(keeping) == dict.fromkeys(STEPS, 0)
    assert world.value("SELECT count(*) FROM audit_entries") == before


@pytest.mark.parametrize(
    "state",
    [
        {"status": MessageStatus.QUEUED},
        {"status": MessageStatus.QUEUED, "parked_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"status": MessageStatus.SENT, "awaits_ack_since": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
    ids=["queued", "set aside", "not confirmed"],
)
def test_what_is_not_settled_stays(state: dict[str, Any], world: World, tenant: Tenant, session: WahaSession) -> None:
    world.message(world.conversation(session), **state)
    age(world, "messages")
    keeping = keep(world, tenant, keep_messages_days=30)

    with tenant_transaction(tenant.id):
        planned = retention.plan(tenant.id)

    assert run(keeping)["messages"] == 0
    assert (planned.messages, planned.unsettled) == (0, 1)
    assert world.value("SELECT count(*) FROM messages") == 1


def test_what_is_still_to_be_shown_in_slack_stays(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.route(tenant)
    take(webhook(session, "message.any", said("Hello")))
    age(world, "messages")
    keeping = keep(world, tenant, keep_messages_days=30)

    assert run(keeping)["messages"] == 0
    world.sql("UPDATE slack_posts SET posted_at = now(), slack_ts = '1.1'")
    assert run(keeping)["messages"] == 1


def test_what_arrived_is_emptied_and_what_was_posted_goes_without_the_heads_of_threads(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.route(tenant)
    take(webhook(session, "message.any", said("A secret")))
    world.sql("UPDATE slack_posts SET posted_at = now(), slack_ts = seq::text")
    age(world, "messages", "webhook_events", "slack_posts")

    run(keep(world, tenant, keep_messages_days=30))

    assert world.sql("SELECT body = '', processed_at IS NOT NULL FROM webhook_events") == [(True, True)]
    assert world.sql("SELECT payload ? 'root' FROM slack_posts") == [(True,)]


def test_a_message_that_was_sent_again_in_place_of_an_old_one_stays(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    conversation = world.conversation(session)
    failed = world.message(conversation, "Once", status=MessageStatus.FAILED)
    age(world, "messages")
    world.message(conversation, "Again", replay_of=failed.id)

    run(keep(world, tenant, keep_messages_days=30))

    assert world.sql("SELECT body, replay_of FROM messages") == [("Again", None)]


def test_another_tenants_rows_stay(world: World, tenant: Tenant, session: WahaSession) -> None:
    other = world.tenant("Globex")
    theirs = world.conversation(world.session(other, "globex"))
    for conversation in (world.conversation(session), theirs):
        world.message(conversation, direction=Direction.INBOUND, status=MessageStatus.DELIVERED)
    for one in (tenant, other):
        with tenant_transaction(one.id):
            audit.record(ANA.key, "tried", Tenant(id=one.id, name=one.name), tenant_id=one.id)
    age(world, "messages")

    run(keep(world, tenant, keep_messages_days=30))

    assert world.sql("SELECT tenant_id FROM messages") == [(other.id,)]


def test_old_entries_of_the_audit_go_and_that_is_told(world: World, tenant: Tenant) -> None:
    world.sql(
        "INSERT INTO audit_entries (id, tenant_id, actor, action, subject_table, created_at) "
        "SELECT gen_random_uuid(), %s, 'T1/U1', 'tried', 'users', now() - n * interval '10 days' "
        "FROM generate_series(1, 6) n",
        tenant.id,
    )

    assert run(keep(world, tenant, keep_audit_days=30))["audit_entries"] == 4

    assert sorted(world.sql("SELECT action FROM audit_entries")) == [("retention.delete",), ("tried",), ("tried",)]


def test_two_daemons_delete_each_row_once(world: World, tenant: Tenant, session: WahaSession) -> None:
    conversation = world.conversation(session)
    for _ in range(20):
        world.message(conversation, status=MessageStatus.DELIVERED)
    age(world, "messages")
    keeping = keep(world, tenant, keep_messages_days=30)

    gone = together(*[lambda: run(keeping, limit=3)["messages"]] * 2)

    assert sum(gone) + run(keeping)["messages"] == 20
    assert world.value("SELECT sum((after->>'count')::int) FROM audit_entries") == 20


def test_who_keeps_everything_is_left_alone(world: World, tenant: Tenant) -> None:
    assert retention.all_keeping() == []
    with tenant_transaction(tenant.id):
        planned = retention.plan(tenant.id)
    assert (planned.messages, planned.entries, planned.runs_at > now_utc()) == (0, 0, True)


@pytest.mark.parametrize(("now", "next_day"), [("03:46:59", 1), ("03:47:00", 2), ("23:59:59", 2)])
def test_the_next_run_is_said_in_advance(now: str, next_day: int) -> None:
    at = datetime.fromisoformat(f"2026-11-01T{now}+00:00")

    assert retention.next_run(at) == datetime(2026, 11, next_day, 3, 47, tzinfo=UTC)
