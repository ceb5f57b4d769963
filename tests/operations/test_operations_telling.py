"""What is the matter is told in one message, from ten seconds after it began until it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from database import tenant_transaction
from models import IncidentKind, RoutePurpose, Tenant, WahaSession, now_utc
from operations import incidents, telling
from operations.observing import observe_status
from operations.telling_operators import look_after_installation
from tests.operations.builders import ALERTS, OPERATOR, World

START = now_utc() - timedelta(days=1)
SECONDS = timedelta(seconds=1)
OPERATORS = (OPERATOR.key,)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Alerts:
    """What #alerts shows: posts are taken by Slack at once, changes too."""

    world: World

    def settle(self) -> None:
        """Slack has taken everything."""
        self.world.sql(
            "UPDATE slack_posts SET posted_at = now(), slack_ts = coalesce(slack_ts, payload->>'ts', "
            "'1700000000.' || lpad(seq::text, 6, '0')) WHERE posted_at IS NULL"
        )

    def posts(self, place: str = ALERTS) -> list[str]:
        """As they were posted at first."""
        return self._texts("kind IN ('post', 'direct')", place)

    def updates(self, place: str = ALERTS) -> list[str]:
        return self._texts("kind = 'update'", place)

    def _texts(self, which: str, place: str) -> list[str]:
        statement = (
            f"SELECT payload->>'text' FROM slack_posts WHERE {which} AND slack_channel_id = %s ORDER BY created_at, seq"  # noqa: S608
        )
        return [text for (text,) in self.world.sql(statement, place)]


@pytest.fixture
def alerts(world: World, tenant: Tenant) -> Alerts:
    world.route(tenant, ALERTS, RoutePurpose.ALERTS)
    return Alerts(world)


def observe(session: WahaSession, word: str, seconds: float) -> None:
    with tenant_transaction(session.tenant_id):
        observe_status(WahaSession.get_by_id(session.id), word, at=after(seconds), source="poll")


def look(session: WahaSession | Tenant, seconds: float) -> int:
    tenant_id = session.tenant_id if isinstance(session, WahaSession) else session.id
    return telling.look_after(tenant_id, operators=OPERATORS, now=after(seconds))


def look_all(seconds: float) -> int:
    """As the daemon's worker does it."""
    told = look_after_installation(operators=OPERATORS, now=after(seconds))
    return told + sum(
        telling.look_after(tenant_id, operators=OPERATORS, now=after(seconds))
        for tenant_id in telling.due(now=after(seconds))
    )


def open_kinds(world: World) -> list[str]:
    return [kind for (kind,) in world.sql("SELECT kind FROM incidents WHERE ended_at IS NULL ORDER BY began_at")]


def server_is(world: World, state: str, seconds: float, **more: Any) -> None:
    world.sql("INSERT INTO waha_servers (id, name) VALUES (gen_random_uuid(), 'main') ON CONFLICT DO NOTHING")
    world.sql("UPDATE waha_servers SET state = %s, state_changed_at = %s WHERE name = 'main'", state, after(seconds))
    for column, found in more.items():
        world.sql(f"UPDATE waha_servers SET {column} = %s", found)  # noqa: S608 - names of ours


@pytest.mark.timeline("status/dropped")
def test_what_fails_is_one_message_that_is_changed_until_it_is_over(alerts: Alerts, session: WahaSession) -> None:
    observe(session, "FAILED", 0)
    early = look(session, 9)
    look(session, 10)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.note(session.tenant_id, session.id, IncidentKind.FAILED, "Restarted it.", at=after(15))
    too_soon = look(session, 20)
    look(session, 26)
    alerts.settle()
    observe(session, "STARTING", 30)
    observe(session, "WORKING", 240)
    look(session, 249)
    look(session, 250)
    alerts.settle()
    with tenant_transaction(session.tenant_id):
        incidents.blind(session.tenant_id, session.id, since=after(0), until=after(240), recovered=12)
    look(session, 266)

    assert (early, too_soon) == (0, 0)
    [posted] = alerts.posts()
    assert posted.startswith("🔴 *Session `sales` failed.*\nSince <!date^")
    assert "*Likely cause*: its account was logged out on the phone" in posted
    assert "do not log it out for this" in posted
    restarted, over, recovered = alerts.updates()
    assert "*Done*:\n• <!date^" in restarted
    assert "Restarted it." in restarted
    assert over.startswith("🟢 *Session `sales` works again, after 4 min.* What was queued is sent.")
    assert "12 messages missed and recovered, none is known to be lost." in recovered


@pytest.mark.timeline("status/reconnect")
@pytest.mark.parametrize("word", ["STARTING", "FAILED", "STOPPED"])
def test_a_flap_of_less_than_ten_seconds_is_not_said_and_leaves_no_incident(
    alerts: Alerts, world: World, session: WahaSession, word: str
) -> None:
    observe(session, word, 0)
    look(session, 9)
    observe(session, "WORKING", 9.5)
    for seconds in (10, 20, 60):
        look(session, seconds)

    assert alerts.posts() == []
    assert world.value("SELECT count(*) FROM incidents") == 0
    assert world.value("SELECT count(*) FROM session_checks") == 2


@pytest.mark.timeline("status/stopped-elsewhere")
def test_what_somebody_else_stopped_is_said_and_that_it_is_started_again(
    alerts: Alerts, world: World, session: WahaSession
) -> None:
    observe(session, "STOPPED", 0)
    look(session, 10)

    [posted] = alerts.posts()
    assert posted.startswith("⚪ *Session `sales` stopped, though it should run.*")
    assert "it is started again by itself" in posted
    assert open_kinds(world) == ["stopped"]


def test_what_people_have_just_started_is_in_no_trouble(alerts: Alerts, world: World, session: WahaSession) -> None:
    observe(session, "STOPPED", 0)
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped'")
    world.sql("UPDATE waha_sessions SET desired_state = 'running'")
    world.sql("UPDATE waha_sessions SET wanted_since = %s", after(1000))

    for seconds in (1011, 1059):
        look(session, seconds)
    unsaid = alerts.posts()
    look(session, 1060)

    assert unsaid == []
    assert len(alerts.posts()) == 1


def test_since_when_a_session_is_wanted_is_kept_by_the_table(world: World, session: WahaSession) -> None:
    world.sql("UPDATE waha_sessions SET name = 'other'")
    before = world.value("SELECT wanted_since FROM waha_sessions")
    world.sql("UPDATE waha_sessions SET desired_state = 'stopped'")

    assert before is None
    assert world.value("SELECT now() - wanted_since < interval '1 minute' FROM waha_sessions")
