"""What people set about a session's sending. Stored is only what was set, so that defaults may change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import Any, Final
from uuid import UUID

from psycopg2.extras import Json
from pydantic import ValidationError

from database import notify
from models import WahaSession
from models.requests import explain
from models.session_limits import SessionLimits
from operations import audit, sessions, tenant_settings
from operations.errors import BadInput
from operations.hold_reasons import DAY_IS_FULL, QUIET_HOURS, UNANSWERED
from operations.sql import changed, locked, rows
from slack.mrkdwn import escape

OFF: Final = "off"
DEFAULT: Final = "default"
_NOTHING: Final = frozenset({OFF, DEFAULT, "none", "never"})
_SWITCH: Final = {"on": True, "yes": True, "off": False, "no": False}
_HOURS = re.compile(r"\s*([0-9]{1,2}(?::[0-9]{2})?)\s*(?:-|\u2013|\u2014|to|bis)\s*([0-9]{1,2}(?::[0-9]{2})?)\s*")
_NAMES: Final = {
    "new_contacts_per_day": "`--new-contacts`",
    "quiet_from": "`--quiet`",
    "quiet_to": "`--quiet`",
    "canary_minutes": "`--canary`",
    "": "`--quiet`",
}


@dataclass(frozen=True)
class Limits:
    """The limits of a session, with the clock by which its hours count."""

    session: WahaSession
    limits: SessionLimits
    time_zone: str


@dataclass(frozen=True)
class _Id:
    id: UUID


def show(tenant_id: UUID, name: str) -> Limits:
    """Raises `NotFound` where the tenant has no session of that name."""
    session = sessions.named(tenant_id, name)
    return Limits(session, SessionLimits.of(session.limits), tenant_settings.settings_of(tenant_id).time_zone)


def put(
    tenant_id: UUID,
    name: str,
    *,
    new_contacts: str | None = None,
    quiet: str | None = None,
    human: str | None = None,
    canary: str | None = None,
    actor: str,
) -> tuple[Limits, bool]:
    """Set what was typed, and leave the rest as it is; the second value says whether anything is new.

    What waits because of a limit is looked at again at once.

    Raises:
        BadInput: a value is none, with what would be one.
        NotFound: the tenant has no session of that name.
    """
    found = sessions.named(tenant_id, name)
    session = locked(WahaSession.select().where(WahaSession.id == found.id, WahaSession.tenant_id == tenant_id)).get()
    before = SessionLimits.of(session.limits)
    stored = before.model_dump(mode="json")
    for typed, read in ((new_contacts, _new_contacts), (quiet, _quiet), (human, _human), (canary, _canary)):
        stored |= {} if typed is None else read(typed.strip().lower())
    try:
        after = SessionLimits.of(stored)
    except ValidationError as error:
        raise BadInput(" ".join(dict.fromkeys(explain(error, _NAMES)))) from error
    if after != before:
        _write(session, before, after, actor)
    return show(tenant_id, name), after != before


def _write(session: WahaSession, before: SessionLimits, after: SessionLimits, actor: str) -> None:
    old, new = (one.model_dump(mode="json", exclude_none=True) for one in (before, after))
    _look_again(session)
    changed(
        "UPDATE waha_sessions SET limits = %s, updated_at = clock_timestamp() WHERE id = %s AND tenant_id = %s",
        (Json(new), session.id, session.tenant_id),
    )
    audit.record(actor, "session.limits", session, tenant_id=session.tenant_id, before=old, after=new)


def _look_again(session: WahaSession) -> None:
    place = (session.id, session.tenant_id)
    # Conversations before their messages, as everybody does who writes both.
    rows(
        _Id,
        "SELECT id FROM conversations WHERE session_id = %s AND tenant_id = %s AND sends_from IS NOT NULL "
        "ORDER BY created_at, id FOR NO KEY UPDATE",
        place,
    )
    changed(
        "UPDATE messages SET next_attempt_at = clock_timestamp() WHERE session_id = %s AND tenant_id = %s "
        "AND status = 'queued' AND direction = 'outbound' AND parked_at IS NULL "
        "AND next_attempt_at > clock_timestamp() AND hold_reason = ANY (%s)",
        (*place, [QUIET_HOURS, DAY_IS_FULL, UNANSWERED]),
    )
    notify("messages")


def _new_contacts(typed: str) -> dict[str, Any]:
    return {"new_contacts_per_day": _number(typed, "--new-contacts 30", f"or `--new-contacts {DEFAULT}`")}


def _canary(typed: str) -> dict[str, Any]:
    return {"canary_minutes": _number(typed, "--canary 30", f"or `--canary {OFF}`")}


def _number(typed: str, such_as: str, otherwise: str) -> int | None:
    if typed in _NOTHING:
        return None
    if not (typed.isascii() and typed.isdigit()):
        raise BadInput(f"`{escape(typed)}` is no whole number; write `{such_as}`, {otherwise}.")
    return int(typed)


def _quiet(typed: str) -> dict[str, Any]:
    if typed in _NOTHING:
        return {"quiet_from": None, "quiet_to": None}
    hours = _HOURS.fullmatch(typed)
    begins, ends = (_clock(one) for one in hours.groups()) if hours is not None else (None, None)
    if begins is None or ends is None:
        raise BadInput(
            f"`{escape(typed)}` are no quiet hours; write `--quiet 22:00-07:00` by the tenant's clock, or "
            f"`--quiet {OFF}` for none."
        )
    if begins == ends:
        raise BadInput(f"Quiet hours that begin and end at {begins} are none; write `--quiet {OFF}` for none.")
    return {"quiet_from": begins, "quiet_to": ends}


def _clock(typed: str) -> str | None:
    """`7` -> `07:00`; None for what no clock shows."""
    try:
        return time.fromisoformat(f"{typed.partition(':')[0]:0>2}:{typed.partition(':')[2] or '00'}").strftime("%H:%M")
    except ValueError:
        return None


def _human(typed: str) -> dict[str, Any]:
    if typed != DEFAULT and typed not in _SWITCH:
        raise BadInput(f"`{escape(typed)}` is neither; write `--human on`, `--human off` or `--human {DEFAULT}`.")
    return {"human_like": _SWITCH.get(typed)}
