"""What people set about a session's sending."""

from __future__ import annotations

import pytest

from database import tenant_transaction
from models import Conversation, Tenant, WahaSession
from models.session_limits import SessionLimits
from operations import sending, sending_limits
from operations.errors import BadInput, NotFound
from operations.hold_reasons import DAY_IS_FULL, QUIET_HOURS, UNANSWERED
from tests.operations.builders import ANA, LEASE, World, ids


def put(tenant: Tenant, **typed: str) -> tuple[SessionLimits, bool]:
    with tenant_transaction(tenant.id):
        found, is_new = sending_limits.put(tenant.id, "sales", actor=ANA.key, **typed)
    return found.limits, is_new


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ({"new_contacts": "30"}, {"new_contacts_per_day": 30}),
        ({"new_contacts": "0"}, {"new_contacts_per_day": 0}),
        ({"quiet": "22:00-07:00"}, {"quiet_from": "22:00:00", "quiet_to": "07:00:00"}),
        ({"quiet": "22-7"}, {"quiet_from": "22:00:00", "quiet_to": "07:00:00"}),
        ({"quiet": "9:30 \u2013 11:00"}, {"quiet_from": "09:30:00", "quiet_to": "11:00:00"}),
        ({"human": "off"}, {"human_like": False}),
        ({"canary": "30", "human": "ON"}, {"human_like": True, "canary_minutes": 30}),
    ],
)
def test_what_is_typed_is_stored_and_nothing_else(
    world: World, tenant: Tenant, session: WahaSession, typed: dict[str, str], stored: dict[str, object]
) -> None:
    assert put(tenant, **typed)[1]

    assert world.value("SELECT limits FROM waha_sessions") == stored
    [(action, before, after)] = world.sql("SELECT action, before, after FROM audit_entries")
    assert (action, before, after) == ("session.limits", {}, stored)


def test_each_is_taken_back_alone_and_what_is_so_already_changes_nothing(
    world: World, tenant: Tenant, session: WahaSession
) -> None:
    put(tenant, new_contacts="30", quiet="22:00-07:00", human="off", canary="30")

    for taken_back in ({"new_contacts": "default"}, {"quiet": "off"}, {"human": "default"}, {"canary": "off"}):
        assert put(tenant, **taken_back)[1]

    assert world.value("SELECT limits FROM waha_sessions") == {}
    assert put(tenant, quiet="off") == (SessionLimits(), False)
    assert world.value("SELECT count(*) FROM audit_entries") == 5


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"new_contacts": "many"}, "--new-contacts 30"),
        ({"new_contacts": "-1"}, "--new-contacts 30"),
        ({"new_contacts": "999999"}, "`--new-contacts`"),
        ({"quiet": "at night"}, "--quiet 22:00-07:00"),
        ({"quiet": "22:00-25:00"}, "--quiet 22:00-07:00"),
        ({"quiet": "22:99-07:00"}, "--quiet 22:00-07:00"),
        ({"quiet": "22:00"}, "--quiet 22:00-07:00"),
        ({"quiet": "07:00-07:00"}, "--quiet off"),
        ({"human": "maybe"}, "--human on"),
        ({"canary": "1"}, "`--canary`"),
        ({"canary": "\u0663"}, "--canary 30"),
    ],
)
def test_what_is_no_limit_is_refused_with_what_would_be_one(
    world: World, tenant: Tenant, session: WahaSession, typed: dict[str, str], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        put(tenant, **typed)

    assert world.value("SELECT limits FROM waha_sessions") == {}


def test_another_tenants_session_has_no_limits_here(world: World, session: WahaSession) -> None:
    with pytest.raises(NotFound):
        put(world.tenant("Globex"), human="off")


@pytest.mark.parametrize("reason", [QUIET_HOURS, DAY_IS_FULL, UNANSWERED])
def test_what_waits_because_of_a_limit_is_looked_at_again_when_it_changes(
    world: World, tenant: Tenant, conversation: Conversation, reason: str
) -> None:
    message = world.message(conversation, hold_reason=reason)
    other = world.message(world.conversation(world.session(tenant, "other")), hold_reason=reason)
    world.sql("UPDATE messages SET next_attempt_at = now() + interval '9 hours'")
    world.sql("UPDATE conversations SET sends_from = now() + interval '9 hours'")

    put(tenant, quiet="3-4")

    assert ids(sending.lease(10, LEASE)) == [message.id]
    assert world.value("SELECT next_attempt_at > now() FROM messages WHERE id = %s", other.id)
