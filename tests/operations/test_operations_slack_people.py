"""What Slack says of a person: kept, taken over from its events in their order, and asked at each door."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies

from database import transaction
from models import Conversation, Outside, Tenant, UserRole, WahaSession, uuid7
from operations import slack_people
from operations.errors import NotAllowed
from operations.slack_people import Known, outside_of
from operations.sql import database_now
from operations.standing import Person, stand
from slack.answers import Person as SlackPerson
from tests.operations.builders import ANA, CUSTOMER, TEAM, World, hear, slack_reply

GUEST: dict[str, Any] = {"is_restricted": True}


def told(user_id: str = "UANA", *, to: str = TEAM, **more: Any) -> dict[str, Any]:
    """A `user_change` as Slack sends it."""
    user = {"id": user_id, "team_id": TEAM, "deleted": False, "profile": {"display_name": "ana"}} | more
    event = {"type": "user_change", "user": user, "cache_ts": 1800000000, "event_ts": "1800000000.000001"}
    return {"type": "event_callback", "team_id": to, "event_id": f"Ev{uuid7().hex}", "event": event}


def kept(world: World) -> list[tuple[Any, ...]]:
    return world.sql("SELECT slack_team_id, slack_user_id, outside FROM slack_people ORDER BY slack_user_id")


def known(person: Person = ANA) -> Known | None:
    with transaction():
        return slack_people.known(person)


@pytest.mark.parametrize(
    ("found", "outside"),
    [
        ({}, None),
        ({"team_id": TEAM}, None),
        ({"is_restricted": True}, Outside.GUEST),
        ({"is_restricted": True, "is_ultra_restricted": True}, Outside.GUEST),
        ({"team_id": "TELSEWHERE"}, Outside.STRANGER),
        ({"is_stranger": True}, Outside.STRANGER),
        ({"deleted": True, "is_restricted": True}, Outside.DEACTIVATED),
        ({"is_bot": True}, Outside.BOT),
        ({"id": "USLACKBOT"}, Outside.BOT),
    ],
)
def test_only_full_members_of_the_workspace_are_its_own(found: dict[str, Any], outside: Outside | None) -> None:
    assert outside_of(SlackPerson.model_validate({"id": "UANA"} | found), TEAM) is outside


def test_what_was_looked_up_counts_for_an_hour_and_what_keeps_somebody_out_for_a_minute(world: World) -> None:
    slack_people.remember(ANA, None)
    assert known() == Known("", is_fresh=True)
    world.sql("UPDATE slack_people SET checked_at = now() - interval '61 minutes'")
    assert known() == Known("", is_fresh=False)

    slack_people.remember(ANA, Outside.GUEST)
    assert known() == Known("guest", is_fresh=True)
    world.sql("UPDATE slack_people SET checked_at = now() - interval '61 seconds'")
    assert known() == Known("guest", is_fresh=False)


def test_of_whom_slack_was_never_asked_nothing_is_known(world: World) -> None:
    slack_people.remember(ANA, None)

    assert known(Person(TEAM, "UBEN")) is None
    assert known(Person("TELSEWHERE", ANA.user_id)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (GUEST, "You are a guest in this Slack workspace"),
        ({"is_ultra_restricted": True}, "You are a guest in this Slack workspace"),
        ({"deleted": True}, "Your Slack account is deactivated"),
        ({"team_id": "TELSEWHERE"}, "You belong to another company's Slack workspace"),
        ({"is_bot": True}, "Bots are not let in"),
    ],
)
def test_a_change_that_slack_tells_closes_every_door_and_the_next_one_opens_them(
    world: World, tenant: Tenant, change: dict[str, Any], reason: str
) -> None:
    world.user(tenant, ANA, UserRole.AGENT)

    hear(told(**change))

    with pytest.raises(NotAllowed, match=reason):
        stand(ANA, channel_id="C", tenant_name=None, operators=())
    hear(told())
    assert stand(ANA, channel_id="C", tenant_name=None, operators=()).role is UserRole.AGENT


def test_changes_of_people_who_are_nobody_here_are_not_kept(world: World, tenant: Tenant) -> None:
    world.user(tenant, ANA)

    hear(told("USOMEBODY", **GUEST), told(to="TELSEWHERE", **GUEST))

    assert kept(world) == []


def test_a_change_that_was_told_before_the_last_look_is_left(world: World, tenant: Tenant) -> None:
    world.user(tenant, ANA)
    slack_people.remember(ANA, Outside.DEACTIVATED)
    world.sql("UPDATE slack_people SET checked_at = now() + interval '1 minute'")

    hear(told())

    assert kept(world) == [(TEAM, "UANA", "deactivated")]


def test_a_change_that_was_told_while_slack_was_asked_is_not_taken_back(world: World, tenant: Tenant) -> None:
    world.user(tenant, ANA)
    asked_at = database_now()
    hear(told(deleted=True))

    slack_people.remember(ANA, None, at=asked_at)

    assert kept(world) == [(TEAM, "UANA", "deactivated")]


def test_of_a_change_nothing_is_kept_but_what_decides_and_it_waits_for_nobody_elses(
    world: World, tenant: Tenant
) -> None:
    world.user(tenant, ANA)
    profile = {"email": "ana@example.org", "phone": "+49 151 23456789", "status_text": "ill"}

    hear(told(real_name="Ana Castro", profile=profile, **GUEST))

    [(body, lane)] = world.sql("SELECT body, lane FROM slack_events")
    assert json.loads(bytes(body))["event"]["user"] == {
        "id": "UANA",
        "team_id": TEAM,
        "deleted": False,
        "is_restricted": True,
    }
    assert lane == f"{TEAM}//UANA"
    assert kept(world) == [(TEAM, "UANA", "guest")]


@pytest.mark.parametrize("user", [None, "UANA", {}, {"id": None}, {"id": "UANA", "is_restricted": "perhaps"}, []])
def test_a_change_of_another_shape_is_done_with_and_changes_nothing(world: World, tenant: Tenant, user: Any) -> None:
    world.user(tenant, ANA)
    payload = told()
    payload["event"]["user"] = user

    hear(payload)

    assert kept(world) == []
    assert world.sql("SELECT processed_at IS NOT NULL, error FROM slack_events") == [(True, None)]


_JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=8),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(["id", "team_id", "deleted", "is_bot", "profile", "is_stranger"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(user=_JSON)
def test_whatever_stands_in_a_person_is_read_or_refused_and_a_missing_word_lets_nobody_in(user: Any) -> None:
    try:
        found = SlackPerson.model_validate(user)
    except ValueError:
        return
    if outside_of(found, TEAM) is None:
        assert found.team_id in {"", TEAM}
        assert not any((found.is_bot, found.deleted, found.is_stranger, found.is_restricted, found.is_ultra_restricted))


@pytest.fixture
def conversation(world: World, tenant: Tenant, session: WahaSession) -> Conversation:
    """A customer with a thread in #support, and ana, who may answer."""
    world.user(tenant, ANA)
    world.route(tenant)
    return world.conversation(session, CUSTOMER)


def queued(world: World) -> int:
    found: int = world.value("SELECT count(*) FROM messages WHERE direction = 'outbound'")
    return found


@pytest.mark.parametrize("outside", list(Outside))
def test_a_reply_of_somebody_whom_slack_keeps_out_is_refused_privately(
    world: World, conversation: Conversation, outside: Outside
) -> None:
    slack_people.remember(ANA, outside)

    hear(slack_reply(conversation, "It leaves today."))

    assert queued(world) == 0
    [refused] = world.privately()
    assert refused.startswith("Not sent to the customer: ")
    assert refused.endswith("Ask an administrator of this Slack workspace for a full account.")


@pytest.mark.parametrize("field", ["user_team", "source_team", "team"])
def test_a_reply_from_another_company_is_refused_whatever_row_has_the_same_ids(
    world: World, conversation: Conversation, field: str
) -> None:
    world.sql(
        "INSERT INTO slack_identities (id, tenant_id, user_id, slack_team_id, slack_user_id) "
        "SELECT %s, tenant_id, user_id, 'TELSEWHERE', slack_user_id FROM slack_identities",
        uuid7(),
    )
    slack_people.remember(Person("TELSEWHERE", ANA.user_id), None)
    more: dict[str, Any] = {field: "TELSEWHERE"}

    hear(slack_reply(conversation, "It leaves today.", **more))

    assert queued(world) == 0
    [refused] = world.privately()
    assert "You belong to another company's Slack workspace" in refused


def test_a_reply_of_a_guest_without_a_role_says_that_none_would_help(world: World, conversation: Conversation) -> None:
    gina = Person(TEAM, "UGINA")
    slack_people.remember(gina, Outside.GUEST)

    hear(slack_reply(conversation, "Hello", user="UGINA"))

    [refused] = world.privately(gina)
    assert "You are a guest in this Slack workspace" in refused
    assert "user add" not in refused


def test_what_was_queued_before_somebody_was_kept_out_is_still_sent(world: World, conversation: Conversation) -> None:
    hear(slack_reply(conversation, "It leaves today."))

    hear(told(**GUEST))

    assert world.sql("SELECT status, parked_at FROM messages") == [("queued", None)]
