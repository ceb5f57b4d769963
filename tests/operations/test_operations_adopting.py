"""A session that is still to be taken over is another's on WAHA: nothing is asked about it there, whoever wants it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from database import tenant_transaction
from models import ActionKind, DesiredState, SessionStatus, Tenant, WahaSession, uuid7
from models.requests import CreateWahaSession
from operations import actions, adopting, configuring, session_ends, sessions
from operations.errors import Conflict
from tests.operations.builders import ANA, LEASE, OPERATOR, World, beside

pytestmark = pytest.mark.database_role("switchboard_bot")

BY_ANA: dict[str, Any] = {"asker": ANA, "actor": ANA.key}
ROW = "SELECT desired_state, next_control_at > now() + interval '1 year' FROM waha_sessions"


def adopt(tenant: Tenant, waha_name: str = "default") -> WahaSession:
    request = CreateWahaSession(tenant_id=tenant.id, name="shop", server="main")
    with tenant_transaction(tenant.id):
        return adopting.ask_adoption(
            request, waha_name, session_id=uuid7(), action_id=uuid7(), asker=OPERATOR, actor=OPERATOR.key
        )


def remove(tenant: Tenant) -> bool:
    with tenant_transaction(tenant.id):
        _, is_ours = session_ends.ask_removal(tenant.id, "shop", action_id=uuid7(), **BY_ANA)
        return is_ours


def want(tenant_id: UUID, state: DesiredState) -> None:
    sessions.want(tenant_id, "shop", state, actor=ANA.key)


def restart(tenant_id: UUID) -> None:
    sessions.ask_restart(tenant_id, "shop", action_id=uuid7(), reason="asked for", **BY_ANA)


def code(tenant_id: UUID, kind: ActionKind) -> None:
    sessions.ask_code(tenant_id, "shop", kind, action_id=uuid7(), **BY_ANA)


def logout(tenant_id: UUID) -> None:
    session_ends.ask_logout(tenant_id, "shop", action_id=uuid7(), **BY_ANA)


def proxy(tenant_id: UUID) -> None:
    configuring.set_proxy(tenant_id, "shop", None, action_id=uuid7(), **BY_ANA)


@pytest.mark.parametrize(
    "ask",
    [
        partial(want, state=DesiredState.RUNNING),
        partial(want, state=DesiredState.STOPPED),
        restart,
        partial(code, kind=ActionKind.QR),
        partial(code, kind=ActionKind.PAIR),
        logout,
        proxy,
    ],
)
def test_nothing_is_asked_of_waha_about_a_session_that_is_still_to_be_taken_over(
    world: World, tenant: Tenant, ask: Callable[[UUID], None]
) -> None:
    adopt(tenant)

    with pytest.raises(Conflict, match="still being taken over from WAHA server `main`"), tenant_transaction(tenant.id):
        ask(tenant.id)

    assert world.sql("SELECT kind FROM waha_actions") == [("adopt",)]
    assert world.sql(ROW) == [("running", True)]


def test_whoever_looks_after_sessions_does_not_restart_it_either(tenant: Tenant) -> None:
    session = adopt(tenant)

    with tenant_transaction(tenant.id):
        asked = sessions.ask_restart(
            tenant.id, session.id, action_id=uuid7(), asker=None, actor="test", reason="silent"
        )

    assert asked is False


def test_to_remove_it_gives_it_up_and_leaves_it_to_whoever_has_it_on_waha(world: World, tenant: Tenant) -> None:
    adopt(tenant)

    assert remove(tenant) is False

    assert world.sql("SELECT kind, parked_at IS NOT NULL FROM waha_actions") == [("adopt", True)]
    assert world.sql("SELECT status, deleted_at IS NOT NULL FROM waha_sessions") == [("stopped", True)]
    [(person, told)] = world.sql("SELECT slack_channel_id, payload->>'text' FROM slack_posts")
    assert person == OPERATOR.user_id
    assert told.startswith("Session `shop` was removed before it was taken over; on WAHA server `main` it stays")
    adopt(tenant)


@pytest.mark.database_role("switchboard_daemon")
def test_a_daemon_that_has_begun_to_take_it_over_does_not_bring_it_back(world: World, tenant: Tenant) -> None:
    adopt(tenant)
    [action] = actions.lease(1, LEASE)
    remove(tenant)

    is_taken = adopting.adopted(action, "It is yours.", status=SessionStatus.WORKING, me_id="1@c.us", trusts_ids=True)

    assert is_taken is False
    assert world.sql("SELECT desired_state, deleted_at IS NOT NULL FROM waha_sessions") == [("stopped", True)]


def test_one_that_was_taken_over_is_forgotten_by_waha_as_any_other(world: World, tenant: Tenant) -> None:
    adopt(tenant)
    world.sql("UPDATE waha_actions SET done_at = now()")

    assert remove(tenant) is True

    assert world.sql("SELECT kind FROM waha_actions WHERE done_at IS NULL") == [("remove",)]


def test_a_second_restart_waits_for_the_first_and_then_sees_it(world: World, tenant: Tenant) -> None:
    adopt(tenant)
    world.sql("UPDATE waha_actions SET done_at = now()")

    def again() -> None:
        with tenant_transaction(tenant.id):
            restart(tenant.id)

    with tenant_transaction(tenant.id):
        restart(tenant.id)
        second = beside(again)

    with pytest.raises(Conflict, match="being restarted already"):
        second.result(10)
    assert world.value("SELECT count(*) FROM waha_actions WHERE kind = 'restart'") == 1
