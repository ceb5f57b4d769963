"""What was asked of WAHA besides messages: leased, carried out by the daemon, answered to the asker alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg2.extras import Json

from database import tenant_transaction, transaction
from models import WahaSession
from operations.posting import tell_person
from operations.sql import changed, clean_json, rows


@dataclass(frozen=True)
class LeasedAction:
    """An action that is ours until its lease ends."""

    action_id: UUID
    tenant_id: UUID
    session_id: UUID
    lease_token: UUID
    lease_expires_at: datetime
    kind: str
    payload: dict[str, Any]
    attempts: int
    slack_team_id: str
    slack_user_id: str
    external_session_id: str
    session_name: str
    status: str
    server: str
    created_at: datetime


def lease(limit: int, lease: timedelta, *, servers: Collection[str] | None = None) -> list[LeasedAction]:
    """Up to `limit` actions on these WAHA servers; without `servers` on all."""
    with transaction():
        names = None if servers is None else list(servers)
        return rows(LeasedAction, "SELECT * FROM lease_actions(%s, %s, %s)", (limit, lease, names))


def later(action: LeasedAction, pause: timedelta, reason: str) -> None:
    """Not possible yet."""
    with tenant_transaction(action.tenant_id):
        close(action, "next_attempt_at = clock_timestamp() + %s, attempts = attempts + 1, error = %s", (pause, reason))


def give_up(action: LeasedAction, text: str) -> None:
    """Tell the asker why it was not done."""
    with tenant_transaction(action.tenant_id):
        if close(action, "parked_at = clock_timestamp(), error = %s", (text,)):
            tell_asker(action, text)


def done(action: LeasedAction, text: str = "") -> bool:
    """It was done; the asker, if there is one, is told. False when the lease was no longer ours."""
    with tenant_transaction(action.tenant_id):
        is_mine = close(action, "done_at = clock_timestamp(), error = NULL", ())
        if is_mine and text:
            tell_asker(action, text)
        return is_mine


def begin(action: LeasedAction, **facts: Any) -> bool:
    """Remember what is about to be done, before the call: after a crash the next daemon looks what became of it.

    False when the lease was no longer ours, and nothing may be done.
    """
    with tenant_transaction(action.tenant_id):
        return bool(
            changed(
                "UPDATE waha_actions SET payload = payload || %s "
                "WHERE id = %s AND tenant_id = %s AND lease_token = %s AND lease_expires_at > clock_timestamp()",
                (Json(clean_json(facts)), action.action_id, action.tenant_id, action.lease_token),
            )
        )


def tell_once(action: LeasedAction, text: str) -> None:
    """Something to the asker while it goes on, at most once an order."""
    with tenant_transaction(action.tenant_id):
        if changed(
            "UPDATE waha_actions SET payload = payload || '{\"told\": true}' "
            "WHERE id = %s AND tenant_id = %s AND lease_token = %s AND NOT payload ? 'told'",
            (action.action_id, action.tenant_id, action.lease_token),
        ):
            tell_asker(action, text)


def session_of(action: LeasedAction) -> WahaSession:
    """The session as it is by now, also one that was removed."""
    with tenant_transaction(action.tenant_id):
        session: WahaSession = WahaSession.get_by_id(action.session_id)
        return session


def tell_asker(action: LeasedAction, text: str) -> None:
    """By direct message, once; nobody where we asked ourselves."""
    if action.slack_user_id:
        tell_person(action.slack_team_id, action.slack_user_id, text, tenant_id=action.tenant_id)


def close(action: LeasedAction, assignments: str, parameters: tuple[object, ...]) -> bool:
    """Write what became of it and give the lease back; False when it was no longer ours."""
    return bool(
        changed(
            f"UPDATE waha_actions SET {assignments}, lease_token = NULL, lease_expires_at = NULL "  # noqa: S608 - words of ours
            "WHERE id = %s AND tenant_id = %s AND lease_token = %s",
            (*parameters, action.action_id, action.tenant_id, action.lease_token),
        )
    )
