from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from database import tenant_transaction
from models import Conversation, RoutePurpose, Tenant, WahaSession, uuid7
from operations import relaying, routes
from operations.errors import Conflict, NotFound
from operations.routes import Linked, SlackChannel
from tests.operations.builders import (
    ALERTS,
    CALL,
    CUSTOMER,
    LEASE,
    REPORTS,
    SUPPORT,
    TEAM,
    World,
    beside,
    handle_webhooks,
    said,
    take,
    together,
    webhook,
)

CONVERSATIONS, FOR_ALERTS = RoutePurpose.CONVERSATIONS, RoutePurpose.ALERTS
OTHER = "4917700000000@c.us"


def link(
    tenant: Tenant,
    channel_id: str = SUPPORT,
    purpose: RoutePurpose = CONVERSATIONS,
    session: WahaSession | None = None,
) -> Linked:
    channel = SlackChannel(TEAM, channel_id, channel_id.lower())
    with tenant_transaction(tenant.id):
        return routes.link(tenant.id, channel, purpose, session=session, route_id=uuid7(), actor="T1/UANA")


def unlink(tenant: Tenant, channel_id: str = SUPPORT) -> list[RoutePurpose]:
    with tenant_transaction(tenant.id):
        return routes.unlink(tenant.id, TEAM, channel_id, actor="T1/UANA")


def wrote(session: WahaSession, body: str, chat_id: str = CUSTOMER, **more: Any) -> Any:
    return webhook(session, "message.any", said(body, chat_id=chat_id, **more))


def held(world: World) -> int:
    return int(world.value("SELECT count(*) FROM messages WHERE hold_reason = 'no channel'"))


def lanes(world: World) -> list[list[str]]:
    rows = world.sql(
        "SELECT array_agg(payload->>'text' ORDER BY seq) FROM slack_posts WHERE conversation_id IS NOT NULL "
        "AND parked_at IS NULL GROUP BY lane_id ORDER BY min(created_at), lane_id"
    )
    return [texts for (texts,) in rows]


def test_a_link_is_written_down(world: World, tenant: Tenant, session: WahaSession) -> None:
    link(tenant, SUPPORT, session=session)
    link(tenant, ALERTS, FOR_ALERTS)

    with tenant_transaction(tenant.id):
        found = routes.list_all(tenant.id)
    assert [(route.slack_channel_id, of.name if of else None) for route, of in found] == [
        (ALERTS, None),
        (SUPPORT, "sales"),
    ]
    assert world.sql("SELECT action, after->>'channel' FROM audit_entries ORDER BY created_at") == [
        ("channel.link", SUPPORT),
        ("channel.link", ALERTS),
    ]


def test_what_was_held_is_posted_in_order_when_a_channel_is_linked(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(*[wrote(session, str(number)) for number in range(3)], wrote(session, "of another", OTHER))

    linked = link(tenant)

    assert linked == Linked(held=4, older=0)
    first, second = sorted(lanes(world), key=len, reverse=True)
    assert first[1:] == [
        "— 3 messages arrived before this channel was linked. —",
        *[f"*+4915••••••789*: {number}" for number in range(3)],
    ]
    assert second[2] == "*+4917••••••000*: of another"
    assert held(world) == 0


def test_what_the_phone_sent_meanwhile_is_posted_too(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(wrote(session, "Hi"), wrote(session, "Hello from the phone", from_me=True))

    assert link(tenant).held == 2
    assert lanes(world)[0][-1] == "_Sent from the phone_: Hello from the phone"


def test_what_is_older_than_a_day_is_counted_and_not_poured_into_the_channel(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(wrote(session, "old"))
    world.sql("UPDATE messages SET created_at = now() - interval '25 hours'")
    take(wrote(session, "new"))

    linked = link(tenant)

    assert linked == Linked(held=1, older=1)
    [[_, divider, shown]] = lanes(world)
    assert (
        divider == "— 1 messages arrived before this channel was linked. 1 older than a day are kept and not shown. —"
    )
    assert shown.endswith("new")
    assert held(world) == 0, "nothing waits any more"


def test_only_the_linked_sessions_messages_are_posted(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(wrote(session, "1"), wrote(world.session(tenant, "support"), "2"))

    assert link(tenant, session=session) == Linked(held=1, older=0)
    assert held(world) == 1


def test_a_channel_for_alerts_posts_nothing_that_was_held(world: World, tenant: Tenant, session: WahaSession) -> None:
    take(wrote(session, "1"))

    assert link(tenant, ALERTS, FOR_ALERTS) == Linked(0, 0)
    assert held(world) == 1


@pytest.mark.parametrize("purpose", list(RoutePurpose))
def test_another_tenants_channel_is_refused_for_every_purpose(
    world: World, tenant: Tenant, purpose: RoutePurpose
) -> None:
    link(world.tenant("Globex"), SUPPORT)

    with pytest.raises(Conflict, match="belongs to another tenant"):
        link(tenant, SUPPORT, purpose)


def test_two_tenants_who_link_one_channel_at_the_same_moment_do_not_share_it(world: World, tenant: Tenant) -> None:
    other = world.tenant("Globex")

    def attempt(whose: Tenant, purpose: RoutePurpose) -> bool:
        try:
            link(whose, SUPPORT, purpose)
        except Conflict:
            return False
        return True

    with tenant_transaction(tenant.id):
        routes.link(
            tenant.id, SlackChannel(TEAM, SUPPORT, ""), CONVERSATIONS, session=None, route_id=uuid7(), actor="T1/UANA"
        )
        linked = beside(partial(attempt, other, FOR_ALERTS))

    assert not linked.result(20)
    assert world.sql("SELECT tenant_id FROM channel_routes") == [(tenant.id,)]


def test_a_tenant_that_moves_to_another_workspace_while_a_channel_is_linked_takes_no_channel_along(
    tenant: Tenant,
) -> None:
    with tenant_transaction(tenant.id):
        Tenant.update(slack_team_id="T2").where(Tenant.id == tenant.id).execute()
        linked = beside(partial(link, tenant, ALERTS, FOR_ALERTS))
    with pytest.raises(Conflict, match="another Slack workspace"):
        linked.result(10)


def test_a_place_is_linked_once(world: World, tenant: Tenant, session: WahaSession) -> None:
    link(tenant, SUPPORT, session=session)

    with pytest.raises(Conflict, match="is linked for conversations already"):
        link(tenant, SUPPORT)
    with pytest.raises(Conflict, match="a channel for the conversations of session `sales` already"):
        link(tenant, "CNEXT", session=session)
    link(tenant, "CALL")
    with pytest.raises(Conflict, match="a channel for the conversations of all sessions already"):
        link(tenant, "CNEXT")


def test_one_channel_may_serve_several_purposes_of_one_tenant(world: World, tenant: Tenant) -> None:
    for purpose in RoutePurpose:
        link(tenant, SUPPORT, purpose)

    assert set(unlink(tenant)) == set(RoutePurpose)


def test_an_unlinked_channel_can_be_linked_by_another_tenant(world: World, tenant: Tenant) -> None:
    link(tenant)
    unlink(tenant)

    link(world.tenant("Globex"))

    assert world.value("SELECT count(*) FROM channel_routes WHERE deleted_at IS NULL") == 1


def test_a_channel_that_is_not_linked_cannot_be_unlinked(world: World, tenant: Tenant) -> None:
    link(world.tenant("Globex"))

    with pytest.raises(NotFound, match="is not linked to this tenant"):
        unlink(tenant)


def test_what_was_queued_for_an_unlinked_channel_is_not_shown_there_and_goes_to_the_next(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    link(tenant)
    take(wrote(session, "1"), wrote(session, "2"))

    unlink(tenant)
    left = relaying.lease(10, LEASE, LEASE)
    linked = link(tenant, "CNEXT")

    assert left == []
    assert linked.held == 2
    assert [text for text in world.texts("CNEXT") if text.endswith((": 1", ": 2"))] == [
        "*+4915••••••789*: 1",
        "*+4915••••••789*: 2",
    ]


def test_a_post_that_is_on_its_way_when_its_channel_is_unlinked_is_not_posted_twice(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    link(tenant)
    take(wrote(session, "1"))
    [root] = relaying.lease(10, LEASE, LEASE)
    relaying.begin(root, CALL)
    relaying.record_posted(root, "1700000005.000001")
    [post] = relaying.lease(10, LEASE, LEASE)
    relaying.begin(post, CALL)

    unlink(tenant)
    recorded = relaying.record_posted(post, "1700000005.000002")

    assert recorded
    assert link(tenant, "CNEXT").held == 0
    assert world.sql("SELECT slack_channel_id, slack_thread_ts FROM conversations") == [("CNEXT", None)]


def test_after_an_unlink_a_conversation_begins_a_new_thread_in_the_next_channel(
    world: World, tenant: Tenant, session: WahaSession, conversation: Conversation
) -> None:
    world.route(tenant, SUPPORT, session=session)
    world.route(tenant, "CALL")

    unlink(tenant)
    take(wrote(session, "Hi"))

    card, text = world.texts("CALL")
    assert card.startswith("*WhatsApp contact*")
    assert text.endswith(": Hi")
    assert held(world) == 0


def test_a_missing_channel_is_told_again_after_it_was_linked_and_taken_away(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    link(tenant, ALERTS, FOR_ALERTS)
    take(wrote(session, "1"), wrote(session, "2"))
    link(tenant)
    unlink(tenant)

    take(wrote(session, "3"), wrote(session, "4"))

    assert len(world.texts(ALERTS)) == 2


def test_a_message_that_is_held_while_a_channel_is_linked_is_not_forgotten(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    take(wrote(session, "0"))

    def write() -> None:
        for number in range(1, 12):
            take(wrote(session, str(number)), wrote(session, str(number), f"49177000000{number:02}@c.us"))

    together(write, partial(link, tenant))
    world.make_all_due()
    handle_webhooks()

    assert held(world) == 0
    shown = [text for texts in lanes(world) for text in texts if ": " in text and text.startswith("*+")]
    assert len(shown) == len(set(shown)) == 1 + 2 * 11


def test_a_message_that_arrives_while_its_channel_is_unlinked_is_shown_or_held(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    link(tenant)

    def write() -> None:
        for number in range(10):
            take(wrote(session, str(number)), wrote(session, str(number), f"49177000000{number:02}@c.us"))

    together(write, partial(unlink, tenant))
    world.make_all_due()
    handle_webhooks()
    left = world.value("SELECT count(*) FROM slack_posts WHERE parked_at IS NULL AND conversation_id IS NOT NULL")

    assert left == 0
    assert held(world) == 20
    assert world.value("SELECT count(*) FROM conversations WHERE slack_channel_id IS NOT NULL") == 0


def test_the_first_channel_of_the_wanted_purposes_is_used(world: World, tenant: Tenant) -> None:
    link(tenant, SUPPORT)
    link(tenant, REPORTS, RoutePurpose.REPORTS)

    with tenant_transaction(tenant.id):
        reports = routes.channel_for(tenant.id, RoutePurpose.REPORTS, CONVERSATIONS)
        alerts = routes.channel_for(tenant.id, FOR_ALERTS, CONVERSATIONS)
        none = routes.channel_for(tenant.id, FOR_ALERTS)

    assert reports is not None
    assert alerts is not None
    assert (reports.slack_channel_id, alerts.slack_channel_id, none) == (REPORTS, SUPPORT, None)
