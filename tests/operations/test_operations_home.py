"""A person's home in Slack: what it shows to whom, and when it is published anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import tenant_transaction, transaction
from models import (
    Conversation,
    HealthLevel,
    Incident,
    IncidentKind,
    NumberHealth,
    SessionStatus,
    Tenant,
    TenantStatus,
    UserRole,
    WahaSession,
    uuid7,
)
from operations import home, home_facts, home_views, incidents, slack_people
from operations.home import MOST_BLOCKS, MOST_TENANTS
from operations.home_facts import Waiting
from operations.home_views import View
from operations.standing import Person
from sandbox.slack.block_limits import check_view
from tests.operations.builders import ANA, OPERATOR, TEAM, World, hear

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STRANGER = Person(TEAM, "UNOBODY")


@pytest.fixture(autouse=True)
def _known_people(world: World) -> None:
    for person in (ANA, OPERATOR, STRANGER):
        slack_people.remember(person, None)


def shown_to(person: Person = ANA, *, now: datetime = NOW, waiting: Waiting | None = None) -> list[dict[str, Any]]:
    with transaction():
        return home.blocks(home_facts.of(person, operators=[OPERATOR.key], now=now, waiting=waiting))


def texts(shown: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"]["text"] for block in shown if "text" in block)


def labels(shown: list[dict[str, Any]]) -> list[str]:
    return [one["text"]["text"] for block in shown for one in block.get("elements", []) if one["type"] == "button"]


def fail(session: WahaSession, **more: Any) -> None:
    with tenant_transaction(session.tenant_id):
        incidents.begin(session.tenant_id, session.id, IncidentKind.FAILED, at=NOW, cause="logged out <!here>", **more)


def opened(person: Person = ANA, **more: Any) -> dict[str, Any]:
    event = {"type": "app_home_opened", "user": person.user_id, "channel": "D1", "tab": "home", "event_ts": "1.0"}
    return {"team_id": TEAM, "event_id": f"Ev{uuid7()}", "event": event | more}


def refreshed(*, has_news: bool = False, now: datetime = NOW) -> list[bool]:
    claimed = home_views.claim(20, has_news=has_news, now=now)
    return [home_views.refresh(view, operators=[OPERATOR.key], now=now) for view in claimed]


def published(world: World) -> list[dict[str, Any]]:
    return [one for (one,) in world.sql("SELECT payload FROM slack_posts WHERE kind = 'publish' ORDER BY seq")]


def leave(world: World) -> None:
    """What was queued has gone out."""
    world.sql("UPDATE slack_posts SET posted_at = now() WHERE kind = 'publish'")


def test_a_manager_sees_sessions_incidents_and_may_act(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant, role=UserRole.MANAGER)
    world.session(tenant, "berlin", status=SessionStatus.FAILED)
    fail(session)

    shown = shown_to()

    assert check_view({"type": "home", "blocks": shown}) == []
    assert "*2 sessions*, 1 works" in texts(shown)
    assert texts(shown).index("`berlin` failed") < texts(shown).index("`sales` works")
    assert "*Session `sales` failed* since <!date^" in texts(shown)
    assert "<!here>" not in texts(shown)
    assert labels(shown) == [
        "Restart", "Show QR", "Mute", "Add session", "Send a message", "Report now", "Help"
    ]  # fmt: skip


def test_each_role_sees_and_is_offered_what_it_may(world: World, tenant: Tenant, session: WahaSession) -> None:
    fail(session)
    offered = {}
    for number, role in enumerate(UserRole):
        person = Person(TEAM, f"U{number}")
        slack_people.remember(person, None)
        world.user(tenant, person, role)
        offered[role] = labels(shown_to(person))

    control = ["Restart", "Show QR", "Mute", "Add session"]
    assert offered[UserRole.TENANT_ADMIN] == offered[UserRole.MANAGER]
    assert offered[UserRole.MANAGER] == [*control, "Send a message", "Report now", "Help"]
    assert offered[UserRole.AGENT] == ["Send a message", "Help"]
    assert offered[UserRole.AUDITOR] == ["Report now", "Help"]


def test_another_tenants_session_is_nowhere(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant)
    other = world.tenant("Globex")
    fail(world.session(other, "secret"))

    shown = shown_to()

    assert "`sales`" in texts(shown)
    assert "secret" not in str(shown)
    assert "Globex" not in str(shown)


def test_customers_who_wait_are_counted_from_the_one_who_waits_longest(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    user = world.user(tenant)
    world.sql("UPDATE conversations SET assignee_id = %s", user.id)
    at = NOW - timedelta(hours=5)
    wrote(world, conversation, at)

    early, late = texts(shown_to(now=at + timedelta(hours=3, minutes=59))), texts(shown_to())

    assert "Nobody waits for an answer for more than 4 hours." in early
    assert "*1 conversation* waits for an answer for more than 4 hours, 1 of them yours" in late
    assert "<https://slack.com/archives/CSUPPORT/p" in late
    assert f"<!date^{int(at.timestamp())}^" in late


def wrote(world: World, conversation: Conversation, at: datetime) -> None:
    """The customer did, and waits."""
    world.sql(
        "INSERT INTO messages (id, tenant_id, session_id, conversation_id, direction, status, chat_id, created_at) "
        "VALUES (%s, %s, %s, %s, 'inbound', 'delivered', 'x@c.us', %s)",
        uuid7(),
        conversation.tenant_id,
        conversation.session_id,
        conversation.id,
        at,
    )
    world.sql("UPDATE conversations SET last_inbound_at = %s WHERE id = %s", at, conversation.id)


def test_whose_customers_wait_is_read_once_for_all_who_look_and_shown_to_each_as_theirs(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    ana, bob = world.user(tenant), world.user(tenant, STRANGER)
    chats = [world.conversation(session) for _ in range(7)]
    for hours, one in enumerate(chats, 5):
        wrote(world, one, NOW - timedelta(hours=hours))
    world.sql("UPDATE conversations SET assignee_id = %s WHERE id = %s", ana.id, chats[0].id)
    world.sql("UPDATE conversations SET assignee_id = %s WHERE id = %s", bob.id, chats[1].id)
    round_of_homes = Waiting(NOW)

    anas = texts(shown_to(ANA, waiting=round_of_homes))
    wrote(world, world.conversation(session), NOW - timedelta(hours=20))
    bobs = texts(shown_to(STRANGER, waiting=round_of_homes))

    for shown, hours in ((anas, 5), (bobs, 6)):
        since = int((NOW - timedelta(hours=hours)).timestamp())
        assert "*7 conversations* wait for an answer for more than 4 hours, 1 of them yours, the oldest since" in shown
        assert shown.count("yours, through `sales`") == 1
        assert f"yours, through `sales`, since <!date^{since}^" in shown
        assert shown.count("through `sales`") == home_facts.MOST_LINKS
    assert "*8 conversations*" in texts(shown_to(ANA))


def test_what_did_not_reach_a_customer_is_counted_and_whose_it_is(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.user(tenant)
    world.message(conversation, status="failed", metadata={"slack_user_id": ANA.user_id})
    world.message(conversation, status="failed", metadata={"slack_user_id": "USOMEBODY"})

    assert "2 messages did not reach a customer, 1 of them yours: `message failed`" in texts(shown_to())


def test_a_number_that_is_well_is_not_spoken_of(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant)
    with tenant_transaction(tenant.id):
        health = NumberHealth.create(
            tenant_id=tenant.id, session_id=session.id, level=HealthLevel.GOOD, reasons=["Few answer."]
        )
    well = texts(shown_to())
    world.sql("UPDATE number_healths SET level = 'slow' WHERE id = %s", health.id)

    assert "Number of" not in well
    assert "Number of `sales`: slow: Few answer." in texts(shown_to())


def test_a_deactivated_tenant_shows_its_sessions_and_no_customer(
    world: World, tenant: Tenant, conversation: Conversation
) -> None:
    world.user(tenant, role=UserRole.TENANT_ADMIN)
    world.message(conversation, status="failed")
    world.sql("UPDATE tenants SET status = %s", TenantStatus.INACTIVE.value)

    shown = shown_to()

    assert "This tenant is deactivated" in texts(shown)
    assert "`sales` works" in texts(shown)
    assert "customer:" not in texts(shown)
    assert labels(shown) == ["Help"]


@pytest.mark.parametrize(
    ("outside", "sentence"),
    [("guest", "You are a guest in this Slack workspace"), ("deactivated", "Your Slack account is deactivated")],
)
def test_who_is_kept_out_learns_why_and_sees_nothing(
    world: World, tenant: Tenant, session: WahaSession, outside: str, sentence: str
) -> None:
    world.user(tenant)
    world.sql("UPDATE slack_people SET outside = %s WHERE slack_user_id = %s", outside, ANA.user_id)

    shown = shown_to()

    assert texts(shown).startswith(sentence)
    assert "sales" not in str(shown)


def test_of_whom_slack_said_nothing_nothing_is_shown(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant)
    world.sql("DELETE FROM slack_people WHERE slack_user_id = %s", ANA.user_id)

    assert texts(shown_to()) == home.NOT_MET


def test_somebody_without_a_role_is_told_how_to_get_one(world: World, tenant: Tenant) -> None:
    shown = shown_to(STRANGER)

    assert "`user invite <@UNOBODY> AGENT`" in texts(shown)
    assert labels(shown) == ["Help"]


def test_an_operator_sees_servers_and_what_is_the_matter_with_them(world: World, session: WahaSession) -> None:
    world.sql("INSERT INTO waha_servers (id, name, state) VALUES (%s, 'main', 'down')", uuid7())
    with transaction():
        Incident.create(server="main", kind=IncidentKind.SERVER_AWAY, began_at=NOW)

    operators, anas = texts(shown_to(OPERATOR)), texts(shown_to(ANA))

    assert "🔴 is away: `main`, 1 session" in operators
    assert "*WAHA server `main` is away* since" in operators
    assert "main" not in anas


def test_whoever_has_sessions_on_a_server_that_is_away_sees_it(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant, role=UserRole.MANAGER)
    with world.migrated.owner():
        away = {"server": "main", "kind": IncidentKind.SERVER_AWAY, "began_at": NOW}
        of_operators = Incident.create(**away)
        with_tenant = Incident.create(**away, tenant_id=tenant.id, part_of=of_operators.id)
        fail_with = {"tenant_id": tenant.id, "session_id": session.id, "part_of": with_tenant.id}
        Incident.create(kind=IncidentKind.FAILED, began_at=NOW, **fail_with)

    anas = texts(shown_to(ANA))

    assert "*WAHA server `main` is away* since" in anas
    assert "failed* since" not in anas


def test_a_home_stays_within_a_hundred_blocks_however_many_tenants_there_are(world: World) -> None:
    for number in range(MOST_TENANTS + 3):
        tenant = world.tenant(f"Tenant {number}")
        world.user(tenant, role=UserRole.TENANT_ADMIN)
        for session in range(6):
            fail(world.session(tenant, f"s{session}", status=SessionStatus.FAILED))

    shown = shown_to()

    assert len(shown) <= MOST_BLOCKS
    assert check_view({"type": "home", "blocks": shown}) == []
    assert "And 3 tenants more" in texts(shown)


def test_opening_it_publishes_at_once_and_the_same_is_not_published_twice(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    hear(opened())

    first = refreshed()
    leave(world)
    hear(opened(view={"id": "V1"}))
    again = refreshed(now=NOW + timedelta(seconds=1))
    hear(opened())
    gone_from_slack = refreshed(now=NOW + timedelta(seconds=2))

    assert (first, again, gone_from_slack) == ([True], [False], [True])
    assert len(published(world)) == 2
    assert published(world)[0]["blocks"][-1]["elements"][0]["text"].startswith("As of <!date^")


def test_what_slack_did_not_take_is_published_again_at_the_next_opening(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    hear(opened())
    refreshed()
    world.sql("UPDATE slack_posts SET parked_at = now() WHERE kind = 'publish'")

    meanwhile = refreshed(now=NOW + timedelta(minutes=5))
    hear(opened(view={"id": "V1"}))
    again = refreshed(now=NOW + timedelta(minutes=6))
    leave(world)
    hear(opened(view={"id": "V1"}))
    taken = refreshed(now=NOW + timedelta(minutes=7))

    assert (meanwhile, again, taken) == ([False], [True], [False])


def test_news_are_shown_after_half_a_minute_and_without_any_it_is_looked_at_seldom(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    world.user(tenant)
    hear(opened())
    refreshed()
    leave(world)
    fail(session)

    too_soon = refreshed(has_news=True, now=NOW + timedelta(seconds=29))
    without_news = refreshed(now=NOW + timedelta(minutes=4))
    with_news = refreshed(has_news=True, now=NOW + timedelta(seconds=30))
    at_rest = refreshed(now=NOW + timedelta(minutes=6))
    next_day = refreshed(has_news=True, now=datetime.now(UTC) + timedelta(hours=25))

    assert (too_soon, without_news, with_news, at_rest, next_day) == ([], [], [True], [False], [])


def test_what_has_not_left_yet_is_replaced_by_the_latest(world: World, tenant: Tenant, session: WahaSession) -> None:
    world.user(tenant)
    hear(opened())
    refreshed()
    fail(session)

    refreshed(has_news=True, now=NOW + timedelta(minutes=1))

    [only] = published(world)
    assert "failed* since" in texts(only["blocks"])


def test_the_messages_tab_is_no_home(world: World) -> None:
    hear(opened(tab="messages"))

    assert world.value("SELECT count(*) FROM home_views") == 0


def test_two_daemons_look_at_a_home_once(world: World, tenant: Tenant) -> None:
    world.user(tenant)
    hear(opened())

    claimed: list[View] = [view for _ in range(2) for view in home_views.claim(20, has_news=True, now=NOW)]

    assert [view.user_id for view in claimed] == [ANA.user_id]
