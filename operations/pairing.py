"""Codes that link a phone: shown to whoever asked, replaced as WhatsApp replaces them, taken away at the end.

A code opens the account, so no row holds one in plain text. What stands in Slack is one message, which each step brings
up to date; the file of a code that is over is deleted, and that is a row too before it is done.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid5

from database import notify, tenant_transaction
from models import ActionKind, DesiredState, PostKind, TenantStatus, WahaSession
from operations import audit
from operations.actions import LeasedAction, close
from operations.encryption import KeyRing
from operations.permissions import Permission, may
from operations.posting import queue_post
from operations.sessions import ask_restart, is_under_way
from operations.sql import changed, value
from operations.standing import Person, memberships
from slack.mrkdwn import foreign

SYSTEM = "system: pairing"
_PLACE: dict[str, Any] = {"table": "slack_posts", "column": "payload"}
_LOOK_AGAIN_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class Progress:
    """What was shown of an order so far.

    `newest` is the post that shows it, `pictured` the one whose file is in it. `says` is what is shown: a fingerprint
    of the code, or a word.
    """

    first_at: datetime | None = None
    says: str = ""
    newest: str = ""
    pictured: str = ""

    @classmethod
    def of(cls, action: LeasedAction) -> Self:
        kept = action.payload.get("progress", {})
        first_at = kept.get("first_at")
        return cls(
            datetime.fromisoformat(first_at) if first_at else None,
            kept.get("says", ""),
            kept.get("newest", ""),
            kept.get("pictured", ""),
        )


def show_picture(action: LeasedAction, png: bytes, *, says: str, post_id: UUID, ring: KeyRing, now: datetime) -> None:
    """Show a QR code in place of the one before; `says` is a fingerprint of it."""
    name = foreign(action.session_name)
    payload = {
        "text": f"Scan this code with the phone of session `{name}`: WhatsApp, Linked devices, Link a device. It is "
        "replaced here by itself for about three minutes, until it is scanned. Whoever scans it can read and write "
        "everything: show it to nobody.",
        "picture": True,
        "file": ring.encrypt(base64.b64encode(png), row=post_id, **_PLACE),
        "filename": "whatsapp-qr.png",
        "alt_text": f"QR code that links a phone to session {action.session_name}",
    }
    _next(action, payload, says=says, post_id=post_id, now=now)


def show_pairing_code(action: LeasedAction, code: str, *, post_id: UUID, ring: KeyRing, now: datetime) -> None:
    """Show a code to be typed on the phone."""
    name, number = foreign(action.session_name), foreign(str(action.payload.get("number", "")))
    text = (
        f"Type `{code}` on the phone with +{number}: WhatsApp, Linked devices, Link a device, *Link with phone number "
        f"instead*. It links session `{name}` and holds for about three minutes. Show it to nobody."
    )
    payload = {
        "text": f"A code that links the phone of session `{name}`.",
        "sealed_text": ring.encrypt(text.encode(), row=post_id, **_PLACE),
    }
    _next(action, payload, says="code", post_id=post_id, now=now)


def say(action: LeasedAction, text: str, *, says: str, post_id: UUID, now: datetime) -> None:
    """Show a sentence in place of a code, while it goes on."""
    _next(action, {"text": text}, says=says, post_id=post_id, now=now)


def end(action: LeasedAction, text: str, *, post_id: UUID, stops_unpaired: bool = False) -> None:
    """The last word in place of the code, whose file goes.

    With `stops_unpaired` a session that never had an account is stopped, unless somebody else waits for its code: it
    would make codes for nobody.
    """
    with tenant_transaction(action.tenant_id):
        if not close(action, "done_at = clock_timestamp(), error = NULL", ()):
            return
        _show(action, {"text": text}, post_id)
        if stops_unpaired:
            _stop_unpaired(action)


def is_allowed(action: LeasedAction) -> bool:
    """Whether the asker might still ask for it: each code that is shown opens the account, for minutes after."""
    person = Person(action.slack_team_id, action.slack_user_id)
    with tenant_transaction(action.tenant_id):
        mine = next((one for one in memberships(person) if one.tenant_id == action.tenant_id), None)
    return (
        mine is not None
        and mine.tenant_status == TenantStatus.ACTIVE
        and may(Permission.SESSION_CONTROL, mine.role_kept, is_operator=False)
    )


def is_replaced(action: LeasedAction) -> bool:
    """Whether the same person asked for another code of the session since."""
    with tenant_transaction(action.tenant_id):
        return bool(
            value(
                "SELECT EXISTS (SELECT 1 FROM waha_actions WHERE tenant_id = %s AND session_id = %s "
                "AND kind = ANY (%s) AND slack_team_id = %s AND slack_user_id = %s AND id <> %s AND created_at > %s)",
                (
                    action.tenant_id,
                    action.session_id,
                    [ActionKind.QR.value, ActionKind.PAIR.value],
                    action.slack_team_id,
                    action.slack_user_id,
                    action.action_id,
                    action.created_at,
                ),
            )
        )


def restart_for_code(action: LeasedAction) -> bool:
    """Have a session that failed before its code could be scanned restarted for it, once; False where it was."""
    again, reason = _again(action), "a code was asked for"
    with tenant_transaction(action.tenant_id):
        return ask_restart(
            action.tenant_id, action.session_id, action_id=again, asker=None, actor=SYSTEM, reason=reason
        )


def has_failed_again(action: LeasedAction) -> bool:
    """Whether the session failed once more since it was restarted for this order."""
    with tenant_transaction(action.tenant_id):
        return bool(
            value(
                "SELECT EXISTS (SELECT 1 FROM waha_actions a JOIN waha_sessions s ON s.id = a.session_id "
                "AND s.tenant_id = a.tenant_id WHERE a.id = %s AND a.tenant_id = %s AND s.status = 'failed' "
                "AND s.status_changed_at > coalesce(a.done_at, a.parked_at))",
                (_again(action), action.tenant_id),
            )
        )


def _again(action: LeasedAction) -> UUID:
    return uuid5(action.action_id, "again")


def _next(action: LeasedAction, payload: dict[str, Any], *, says: str, post_id: UUID, now: datetime) -> None:
    before = Progress.of(action)
    progress = {
        "first_at": (before.first_at or now).isoformat(),
        "says": says,
        "newest": str(post_id),
        "pictured": str(post_id) if "file" in payload else "",
    }
    with tenant_transaction(action.tenant_id):
        assignments = (
            "payload = payload || jsonb_build_object('progress', %s::jsonb), attempts = attempts + 1, error = NULL, "
            "next_attempt_at = clock_timestamp() + %s"
        )
        if close(action, assignments, (_json(progress), _LOOK_AGAIN_AFTER)):
            _show(action, payload, post_id)


def _show(action: LeasedAction, payload: dict[str, Any], post_id: UUID) -> None:
    """The first post of an order is a direct message, every other one replaces what it says."""
    before = Progress.of(action)
    kind = PostKind.UPDATE if before.newest else PostKind.DIRECT
    _queue(action, kind, payload | ({"of": before.newest} if before.newest else {}), post_id)
    if before.pictured:
        _queue(action, PostKind.DELETE, {"text": "", "file_of": before.pictured}, None)


def _queue(action: LeasedAction, kind: PostKind, payload: dict[str, Any], post_id: UUID | None) -> None:
    # A lane of its own: a code holds nothing up that is to be said to the person, and waits for nothing.
    queue_post(
        f"codes:{action.slack_team_id}/{action.slack_user_id}",
        kind,
        payload | {"names_commands": True},
        team_id=action.slack_team_id,
        channel_id=action.slack_user_id,
        tenant_id=action.tenant_id,
        post_id=post_id,
    )


def _stop_unpaired(action: LeasedAction) -> None:
    session = WahaSession.get_by_id(action.session_id)
    if is_under_way(session, ActionKind.QR, ActionKind.PAIR):
        return
    stopped = changed(
        "UPDATE waha_sessions SET desired_state = 'stopped', updated_at = clock_timestamp() "
        "WHERE id = %s AND tenant_id = %s AND desired_state = 'running' AND metadata ->> 'me_id' IS NULL",
        (action.session_id, action.tenant_id),
    )
    if stopped:
        audit.record(
            SYSTEM,
            "session.want.stopped",
            session,
            tenant_id=action.tenant_id,
            before={"desired_state": session.desired_state.value},
            after={"desired_state": DesiredState.STOPPED.value},
            source="job:pairing",
        )
        notify("sessions")


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found)
