from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from database import tenant_transaction
from models import DesiredState, MessageStatus, Tenant, UserRole, WahaSession, uuid7
from models.requests import CreateTenant, CreateUser, CreateWahaSession
from operations import actions, colleagues, message_ids, messages, pairing, sessions, tenants, users
from operations.actions import LeasedAction
from operations.encryption import KeyRing
from operations.errors import BadInput, Conflict, NotFound
from operations.sessions import new_external_session_id
from operations.standing import Person, stand
from tests.operations.builders import ANA, LEASE, TEAM, World, together

as_bot = pytest.mark.database_role("switchboard_bot")


def add(tenant: Tenant, name: str = "sales") -> WahaSession:
    request = CreateWahaSession(tenant_id=tenant.id, name=name, server="main")
    external = new_external_session_id(tenant.name, name)
    with tenant_transaction(tenant.id):
        return sessions.add(request, session_id=uuid7(), external_session_id=external, actor="T1/UANA")


def named(tenant: Tenant, name: str) -> WahaSession:
    with tenant_transaction(tenant.id):
        return sessions.named(tenant.id, name)


@as_bot
def test_a_new_session_shall_run_and_is_written_down(world: World, tenant: Tenant) -> None:
    session = add(tenant)

    assert world.sql(
        "SELECT desired_state, status, is_due FROM (SELECT *, next_control_at <= now() AS is_due FROM waha_sessions) s"
    ) == [("running", "stopped", True)]
    assert world.sql("SELECT action, subject_id FROM audit_entries") == [("session.add", session.id)]


@as_bot
def test_a_sessions_name_is_unique_in_its_tenant_only(world: World, tenant: Tenant) -> None:
    add(tenant)
    add(world.tenant("Globex"))

    with pytest.raises(Conflict, match="has a session called `sales` already"):
        add(tenant)


@pytest.mark.parametrize(
    ("tenant_name", "session_name"), [("Acme Ltd & Söhne GmbH, Berlin", "s" * 40), ("株式会社", "-"), ("a", "b")]
)
def test_an_external_id_is_one_that_waha_takes_and_no_other_session_gets(tenant_name: str, session_name: str) -> None:
    one, other = (new_external_session_id(tenant_name, session_name) for _ in range(2))

    assert one != other
    assert re.fullmatch(r"[a-zA-Z0-9_-]{12,54}", one)


@as_bot
def test_a_session_is_found_by_its_name_and_never_another_tenants(world: World, tenant: Tenant) -> None:
    session = add(tenant)
    add(world.tenant("Globex"), "support")

    assert named(tenant, " Sales ") == session
    with pytest.raises(NotFound, match="Did you mean `sales`"):
        named(tenant, "sale")
    with pytest.raises(NotFound, match="See `session list`"):
        named(tenant, "support")
    with pytest.raises(NotFound, match="Add one: `session add NAME`"):
        named(world.tenant("Empty"), "sales")


@as_bot
def test_wanting_a_state_is_an_intent_that_the_daemon_may_act_on_at_once(world: World, tenant: Tenant) -> None:
    add(tenant)
    world.sql("UPDATE waha_sessions SET control_attempts = 7, next_control_at = now() + interval '1 hour'")

    with tenant_transaction(tenant.id):
        _, is_new = sessions.want(tenant.id, "sales", DesiredState.STOPPED, actor="T1/UANA")
        _, is_new_again = sessions.want(tenant.id, "sales", DesiredState.STOPPED, actor="T1/UANA")

    assert (is_new, is_new_again) == (True, False)
    assert world.sql("SELECT desired_state, control_attempts, next_control_at <= now() FROM waha_sessions") == [
        ("stopped", 0, True)
    ]
    assert world.value("SELECT count(*) FROM audit_entries WHERE action = 'session.want.stopped'") == 1


@as_bot
def test_sessions_are_listed_with_what_is_queued_and_their_server(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    conversation = world.conversation(session)
    world.message(conversation)
    world.message(conversation, status=MessageStatus.SENT)
    world.sql(
        "INSERT INTO waha_servers (id, name, state, webhook_hmac_key) VALUES (gen_random_uuid(), 'main', 'down', 'x')"
    )
    world.session(world.tenant("Globex"), "theirs")

    with tenant_transaction(tenant.id):
        [facts] = sessions.list_all(tenant.id)
        shown = sessions.show(tenant.id, "sales")

    assert facts.server is not None
    assert (facts.session.name, facts.queued, facts.server.state) == ("sales", 1, "down")
    assert shown == facts


def ask_code(tenant: Tenant) -> None:
    with tenant_transaction(tenant.id):
        sessions.ask_qr(tenant.id, "sales", action_id=uuid7(), asker=ANA, actor="T1/UANA")


def asked(world: World, tenant: Tenant) -> LeasedAction:
    ask_code(tenant)
    [action] = actions.lease(5, LEASE)
    return action


def test_a_code_is_asked_for_by_a_row_that_one_daemon_takes(world: World, tenant: Tenant, session: WahaSession) -> None:
    action = asked(world, tenant)

    assert (action.kind, action.slack_user_id, action.session_name) == ("qr", "UANA", "sales")
    assert action.external_session_id == session.external_session_id
    assert actions.lease(5, LEASE) == []
    world.end_leases()
    assert [one.action_id for one in actions.lease(5, LEASE)] == [action.action_id]


def test_two_daemons_never_take_the_same_action(world: World, tenant: Tenant, session: WahaSession) -> None:
    for _ in range(8):
        ask_code(tenant)

    taken = together(*[partial(actions.lease, 8, LEASE)] * 3)

    found = [action.action_id for some in taken for action in some]
    assert len(found) == len(set(found)) == 8


def test_a_code_goes_to_its_asker_alone_and_nowhere_in_plain_text(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    action, ring, post_id = asked(world, tenant), KeyRing([b"k" * 32]), uuid7()

    for _ in range(2):
        pairing.show_picture(action, b"\x89PNG code", says="x", post_id=post_id, ring=ring, now=datetime.now(UTC))

    [(kind, channel, payload)] = world.sql("SELECT kind, slack_channel_id, payload FROM slack_posts")
    assert (kind, channel) == ("direct", "UANA")
    sealed = ring.decrypt(payload["file"], table="slack_posts", column="payload", row=post_id)
    assert sealed == b"iVBORyBjb2Rl"
    assert "iVBORyBjb2Rl" not in str(payload)


def test_an_action_that_is_given_up_is_told_once(world: World, tenant: Tenant, session: WahaSession) -> None:
    action = asked(world, tenant)

    actions.give_up(action, "There is no code.")
    actions.give_up(action, "There is no code.")

    assert world.privately() == ["There is no code."]
    assert actions.lease(5, LEASE) == []


def test_an_action_that_is_not_possible_yet_waits(world: World, tenant: Tenant, session: WahaSession) -> None:
    actions.later(asked(world, tenant), timedelta(minutes=1), "The session is starting.")

    assert actions.lease(5, LEASE) == []
    world.make_all_due()
    [again] = actions.lease(5, LEASE)
    assert again.attempts == 1


def create(name: str) -> Tenant:
    tenant_id = uuid7()
    with tenant_transaction(tenant_id):
        return tenants.create(
            CreateTenant(name=name),
            tenant_id=tenant_id,
            schedule_id=uuid7(),
            cron="0 9 * * *",
            time_zone="Europe/Berlin",
            actor="T1/UOLGA",
        )


@as_bot
def test_a_new_tenant_begins_with_a_daily_report(world: World) -> None:
    tenant = create("Acme")

    with tenant_transaction(tenant.id):
        facts = tenants.show(tenant.id)
    assert (facts.tenant.name, facts.users, facts.sessions) == ("Acme", 0, 0)
    assert [(one.cron, one.time_zone) for one in facts.schedules] == [("0 9 * * *", "Europe/Berlin")]


@as_bot
def test_a_tenants_name_is_taken_once(world: World) -> None:
    create("Acme")

    with pytest.raises(Conflict, match="There is a tenant called `Acme` already"):
        create("Acme")


@as_bot
def test_a_tenant_that_was_deleted_meanwhile_cannot_be_shown(world: World, tenant: Tenant) -> None:
    world.sql("UPDATE tenants SET deleted_at = now()")

    with tenant_transaction(tenant.id), pytest.raises(NotFound):
        tenants.show(tenant.id)


def add_user(tenant: Tenant, person: Person = ANA, **more: Any) -> None:
    request = CreateUser(tenant_id=tenant.id, **({"email": "Ana@Example.org", "role": UserRole.AGENT} | more))
    with tenant_transaction(tenant.id):
        users.add(request, person, user_id=uuid7(), identity_id=uuid7(), actor="T1/UOLGA")


@as_bot
def test_an_added_user_can_stand(world: World, tenant: Tenant) -> None:
    add_user(tenant)

    standing = stand(ANA, channel_id="C1", tenant_name=None, operators=())
    assert (standing.tenant_id, standing.role) == (tenant.id, UserRole.AGENT)
    assert world.sql("SELECT email FROM users") == [("ana@example.org",)]
    assert world.value("SELECT after->>'role' FROM audit_entries") == "AGENT"


@as_bot
def test_a_slack_user_is_one_user_of_a_tenant_and_may_be_another_in_the_next(world: World, tenant: Tenant) -> None:
    add_user(tenant)
    add_user(world.tenant("Globex"), role=UserRole.MANAGER)

    with pytest.raises(Conflict, match="<@UANA> is AGENT in this tenant already"):
        add_user(tenant, email="other@example.org")


@as_bot
def test_an_address_is_one_slack_users_only(world: World, tenant: Tenant) -> None:
    add_user(tenant)

    with pytest.raises(Conflict, match="is another Slack user's address"):
        add_user(tenant, Person(TEAM, "UBEN"))


@as_bot
def test_a_user_without_a_slack_identity_is_given_one(world: World, tenant: Tenant) -> None:
    add_user(tenant)
    world.sql("UPDATE slack_identities SET deleted_at = now()")

    add_user(tenant, Person(TEAM, "UBEN"))

    with tenant_transaction(tenant.id):
        assert len(colleagues.everybody(tenant.id)) == 1


@as_bot
def test_a_message_is_found_in_its_tenant_only(world: World, tenant: Tenant, session: WahaSession) -> None:
    message = world.message(world.conversation(session))
    other = world.tenant("Globex")

    with tenant_transaction(tenant.id):
        assert message_ids.find(tenant.id, f"`{message.id}`") == message
        assert messages.latest(tenant.id, status=None, session=session) == [message]
        assert messages.latest(tenant.id, status=MessageStatus.SENT, session=None) == []
        with pytest.raises(BadInput):
            message_ids.find(tenant.id, "12")
    with tenant_transaction(other.id), pytest.raises(NotFound):
        message_ids.find(other.id, str(message.id))
