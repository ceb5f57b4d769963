"""The configuration of sessions on WAHA: what people want of it, and what is put right when others changed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from database import notify, tenant_transaction
from models import ActionKind, WahaAction, WahaSession, uuid7
from operations import audit, catching_up
from operations.actions import LeasedAction, close, tell_asker
from operations.posting import tell_person
from operations.session_config import sealed_config
from operations.sessions import in_hand, named, order
from operations.sql import rows
from operations.standing import Person
from slack.mrkdwn import foreign

SYSTEM = "system: reconciler"

# Each change of a configuration restarts the session. Somebody who writes over ours again and again would have it
# restarted for ever.
_REPAIRS_A_DAY = 3
_DAY = timedelta(days=1)
# So many in one poll, and one after another: the others are found by the next one.
_REPAIRS_AT_ONCE = 20
_BETWEEN_REPAIRS = timedelta(seconds=2)


def set_proxy(
    tenant_id: UUID, name: str, proxy: dict[str, Any] | None, *, action_id: UUID, asker: Person, actor: str
) -> WahaSession:
    """Lead a session through a proxy, or through none; its password is kept encrypted.

    Raises:
        NotFound: there is no such session.
        Conflict: it is still being taken over.
    """
    session = in_hand(tenant_id, name)
    kept = {key: value for key, value in session.config.items() if key != "proxy"}
    config = kept if proxy is None else sealed_config(kept | {"proxy": proxy}, session.id)
    payload = {"proxy": "none"} if proxy is None else {"proxy": str(proxy["server"])}
    if order(session, ActionKind.CONFIGURE, action_id=action_id, asker=asker, payload=payload):
        before = {"proxy": shown_proxy(session)}
        WahaSession.update(config=config).where(WahaSession.id == session.id).execute()
        session = named(tenant_id, name)
        after = {"proxy": shown_proxy(session)}
        audit.record(actor, "session.proxy", session, tenant_id=tenant_id, before=before, after=after)
    return session


def shown_proxy(session: WahaSession) -> str:
    """Where a session's proxy is and who it is to it, without the password; "" where it has none."""
    proxy = session.config.get("proxy")
    if not isinstance(proxy, dict):
        return ""
    user = f" as {proxy['username']}" if proxy.get("username") else ""
    return f"{proxy.get('server', '')}{user}"


def ask_repairs(drifted: Sequence[tuple[UUID, UUID]], *, operators: Collection[str], now: datetime) -> int:
    """Have our part of these sessions' configurations put right, by tenant and session; how many were asked for.

    One that had to be put right too often today is left alone, and the operators are told once a day.
    """
    of_tenants: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, session_id in drifted:
        of_tenants[tenant_id].append(session_id)
    asked = said = 0
    for tenant_id, sessions in of_tenants.items():
        with tenant_transaction(tenant_id):
            for one in _to_be_repaired(tenant_id, sessions, now - _DAY):
                if one.repairs < _REPAIRS_A_DAY:
                    _order_repair(tenant_id, one.session_id, now + asked * _BETWEEN_REPAIRS)
                    asked += 1
                # Whoever hears of so many need not hear of each.
                elif said < _REPAIRS_AT_ONCE:
                    _say_it_is_left(WahaSession.get_by_id(one.session_id), operators, now)
                    said += 1
                if asked == _REPAIRS_AT_ONCE:
                    return asked
    return asked


@dataclass(frozen=True)
class _Drifted:
    session_id: UUID
    repairs: int


def _to_be_repaired(tenant_id: UUID, sessions: list[UUID], since: datetime) -> list[_Drifted]:
    """Those of them that nobody puts right already, in their order, with how often it was done since."""
    return rows(
        _Drifted,
        "SELECT s.id AS session_id, (SELECT count(*) FROM waha_actions a WHERE a.tenant_id = s.tenant_id "
        "AND a.session_id = s.id AND a.kind = 'configure' AND a.payload ? 'repair' AND a.created_at > %(since)s) "
        "AS repairs FROM waha_sessions s WHERE s.tenant_id = %(tenant)s AND s.id = ANY (%(ids)s::uuid[]) "
        "AND s.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM waha_actions o WHERE o.tenant_id = s.tenant_id "
        "AND o.session_id = s.id AND o.kind IN ('configure', 'adopt', 'remove') AND o.done_at IS NULL "
        "AND o.parked_at IS NULL) ORDER BY array_position(%(ids)s::uuid[], s.id)",
        {"tenant": tenant_id, "ids": sessions, "since": since},
    )


def _order_repair(tenant_id: UUID, session_id: UUID, due_at: datetime) -> None:
    WahaAction.create(
        id=uuid7(),
        tenant_id=tenant_id,
        session_id=session_id,
        kind=ActionKind.CONFIGURE,
        payload={"repair": True},
        next_attempt_at=due_at,
    )
    notify("actions")


def configured(action: LeasedAction, text: str) -> bool:
    """It is as people want it; who asked is told."""
    with tenant_transaction(action.tenant_id):
        is_mine = close(action, "done_at = clock_timestamp(), error = NULL", ())
        if is_mine and text:
            tell_asker(action, text)
        return is_mine


def repaired(action: LeasedAction, *, was_lost: bool, operators: Collection[str], now: datetime) -> bool:
    """Our part is right again. Where our webhook was gone, what was missed is read, and the operators hear of it."""
    with tenant_transaction(action.tenant_id):
        if not close(action, "done_at = clock_timestamp(), error = NULL", ()):
            return False
        session = WahaSession.get_by_id(action.session_id)
        after = {"was_lost": was_lost}
        audit.record(
            SYSTEM, "session.repair", session, tenant_id=action.tenant_id, after=after, source="job:reconciler"
        )
        if was_lost:
            catching_up.request_session(session.external_session_id)
            _say_it_was_lost(session, operators, now)
        return True


def _say_it_was_lost(session: WahaSession, operators: Collection[str], now: datetime) -> None:
    name = foreign(session.name)
    text = (
        f"Somebody changed the configuration of session `{name}` on WAHA server `{foreign(session.server)}`: our "
        "webhook was gone, so nothing was heard from it. It was put back beside the others, which restarted the "
        "session, and what customers wrote meanwhile is read from its history. Whoever changes a session on WAHA "
        f"should keep the webhooks that are there. See `session history {name}`."
    )
    _tell_operators(session, text, operators, f"webhook-lost:{session.id}:{now:%Y-%m-%d}")


def _say_it_is_left(session: WahaSession, operators: Collection[str], now: datetime) -> None:
    name = foreign(session.name)
    text = (
        f"The configuration of session `{name}` on WAHA server `{foreign(session.server)}` was put right "
        f"{_REPAIRS_A_DAY} times within a day and is changed again and again. It is left alone until tomorrow, since "
        "each time restarts the session; it may not be heard meanwhile. Find who changes it there, then "
        f"`session restart {name}`."
    )
    _tell_operators(session, text, operators, f"webhook-left:{session.id}:{now:%Y-%m-%d}")


def _tell_operators(session: WahaSession, text: str, operators: Collection[str], slot: str) -> None:
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        tell_person(team_id, user_id, text, tenant_id=session.tenant_id, slot=f"{slot}:{operator}")
