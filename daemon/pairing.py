"""Links a phone to a session, for whoever asked: each code as WhatsApp makes it, until it is scanned or nobody did."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.servers import Server
from database import in_database
from models import ActionKind, DesiredState, SessionStatus, WahaSession, uuid7
from operations import actions, pairing, passkeys
from operations.actions import LeasedAction
from operations.encryption import KeyRing
from operations.pairing import Progress
from settings.logs import get_logger
from slack.mrkdwn import foreign
from waha.errors import SessionNotReady, SessionUnknown, WahaBusy, WahaError, WahaNotSent, WahaRejected
from waha.payloads import SessionInfo

log = get_logger(__name__)

# WhatsApp shows the first code for a minute and five more for 20 s each, then gives up.
CODES_LAST = timedelta(seconds=160)
# Codes that end so soon began long before somebody asked for them, who is promised more than what was left.
_ASKED_LATE = CODES_LAST / 2
# A restart leads from failed by way of these to the next code, a scanned code on one engine to working.
_ON_THE_WAY = frozenset({SessionStatus.STARTING, SessionStatus.STOPPED})
# One that is scanned in the last second still has to connect.
_CONNECTS_WITHIN = timedelta(seconds=30)
_PASSKEY_LASTS = timedelta(minutes=15)
_FIRST_CODE_WITHIN = timedelta(minutes=2)
# What failed and is still so had its codes for nobody, while no daemon ran say.
_COMES_UP_WITHIN = timedelta(seconds=5)
_LOOK_AGAIN_AFTER = timedelta(seconds=1)
_RESTARTED = "restarted"
# An account is told a moment after its phone was linked.
_ACCOUNT_KNOWN_WITHIN = timedelta(seconds=10)


class Step(StrEnum):
    """What is done next about a code that was asked for."""

    WAIT = "wait"
    FETCH = "fetch"
    RESTART = "restart"
    PASSKEY = "passkey"
    PAIRED = "paired"
    UNSCANNED = "unscanned"
    UNHEARD = "unheard"
    STOPPED = "stopped"
    REPLACED = "replaced"
    NEVER_CAME = "never came"


@dataclass(frozen=True)
class Facts:
    """What decides about the next step.

    `has_failed_again`: it was restarted for this order, and made its codes for nobody once more. `is_heard`: its server
    answers, as far as it was asked.
    """

    status: SessionStatus
    raw_status: str
    should_run: bool
    is_replaced: bool
    has_failed_again: bool = False
    is_heard: bool = True


def step_of(facts: Facts, progress: Progress, asked_at: datetime, now: datetime) -> Step:
    """The next step; the time is handed in."""
    if not facts.is_heard:
        return Step.UNHEARD
    if facts.is_replaced:
        return Step.REPLACED
    if facts.status is SessionStatus.WORKING:
        return Step.PAIRED
    if not facts.should_run:
        return Step.STOPPED
    if progress.first_at is None:
        return _before_the_first(facts, now - asked_at)
    shown_for = now - progress.first_at
    if passkeys.is_asked_for(facts.raw_status):
        return Step.PASSKEY if shown_for < _PASSKEY_LASTS else Step.UNSCANNED
    if facts.status in _ON_THE_WAY:
        return Step.WAIT if shown_for < CODES_LAST + _CONNECTS_WITHIN else Step.UNSCANNED
    if facts.status is SessionStatus.FAILED and shown_for < _ASKED_LATE and not facts.has_failed_again:
        return Step.RESTART
    if facts.status is not SessionStatus.SCAN_QR or shown_for >= CODES_LAST:
        return Step.UNSCANNED
    return Step.FETCH


def _before_the_first(facts: Facts, waited: timedelta) -> Step:
    if passkeys.is_asked_for(facts.raw_status):
        return Step.PASSKEY
    if waited >= _FIRST_CODE_WITHIN:
        return Step.NEVER_CAME
    if facts.status is SessionStatus.FAILED and waited >= _COMES_UP_WITHIN:
        return Step.RESTART
    return Step.FETCH if facts.status is SessionStatus.SCAN_QR else Step.WAIT


async def look(action: LeasedAction, server: Server, ring: KeyRing, *, now: datetime) -> None:
    """Do what is next about a QR code or a pairing code that was asked for."""
    if not await in_database(pairing.is_allowed, action):
        await in_database(pairing.end, action, _not_allowed(action), post_id=uuid7())
        return
    session = await in_database(actions.session_of, action)
    facts = Facts(
        session.status,
        str(session.metadata.get("raw_status") or ""),
        session.desired_state is DesiredState.RUNNING and session.deleted_at is None,
        await in_database(pairing.is_replaced, action),
        await in_database(pairing.has_failed_again, action),
    )
    step = step_of(facts, Progress.of(action), action.created_at, now)
    if step is Step.UNSCANNED:
        facts = await _as_waha_says(action, server, facts)
        step = step_of(facts, Progress.of(action), action.created_at, now)
    match step:
        case Step.WAIT:
            await in_database(actions.later, action, _LOOK_AGAIN_AFTER, f"The session is {facts.status.value}.")
        case Step.RESTART:
            await _restart(action, now)
        case Step.FETCH:
            await _fetch(action, server, ring, now)
        case Step.PASSKEY:
            await _tell_of_passkey(action, facts.raw_status, now)
        case Step.PAIRED:
            await _tell_of_account(action, server, session, now)
        case Step.UNSCANNED:
            await in_database(pairing.end, action, _unscanned(action), post_id=uuid7(), stops_unpaired=True)
        case _:
            await in_database(pairing.end, action, _LAST_WORDS[step](action, session), post_id=uuid7())


async def _as_waha_says(action: LeasedAction, server: Server, facts: Facts) -> Facts:
    """Our row may be as old as the last poll, and what follows may stop the session."""
    try:
        info = await server.client.get_session(action.external_session_id)
    except SessionUnknown:
        return facts
    except WahaError:
        return replace(facts, is_heard=False)
    return replace(facts, status=SessionStatus(info.status or SessionStatus.STARTING), raw_status=info.waha_status)


async def _restart(action: LeasedAction, now: datetime) -> None:
    """What is shown is worth nothing any more, so it goes; the next code takes its place."""
    await in_database(pairing.restart_for_code, action)
    before = Progress.of(action)
    if before.first_at is None or before.says == _RESTARTED:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, "The session failed and is restarted.")
        return
    name = foreign(action.session_name)
    text = f"⚪ The codes of session `{name}` ran out. It is restarted: a new code comes here in a moment."
    await in_database(pairing.say, action, text, says=_RESTARTED, post_id=uuid7(), now=now)


async def _fetch(action: LeasedAction, server: Server, ring: KeyRing, now: datetime) -> None:
    try:
        if action.kind == ActionKind.PAIR:
            await _fetch_pairing_code(action, server, ring, now)
        else:
            await _fetch_picture(action, server, ring, now)
    except (SessionNotReady, WahaNotSent, WahaBusy) as error:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, error.sentence)
    except WahaError as error:
        log.warning("code not had", action_id=action.action_id, kind=action.kind, reason=error.sentence)
        if action.kind == ActionKind.PAIR and isinstance(error, WahaRejected):
            await in_database(pairing.end, action, _no_pairing_code(action), post_id=uuid7())
        else:
            await in_database(actions.later, action, _LOOK_AGAIN_AFTER, error.sentence)


async def _fetch_picture(action: LeasedAction, server: Server, ring: KeyRing, now: datetime) -> None:
    value = await server.client.qr_value(action.external_session_id)
    fingerprint = hashlib.sha256(value.encode()).hexdigest()
    if fingerprint == Progress.of(action).says:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, "The code is the one that is shown.")
        return
    png = await server.client.qr_png(action.external_session_id)
    await in_database(pairing.show_picture, action, png, says=fingerprint, post_id=uuid7(), ring=ring, now=now)


async def _fetch_pairing_code(action: LeasedAction, server: Server, ring: KeyRing, now: datetime) -> None:
    if Progress.of(action).says == "code":
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, "The code is shown.")
        return
    code = await server.client.request_code(action.external_session_id, str(action.payload["number"]))
    await in_database(pairing.show_pairing_code, action, code, post_id=uuid7(), ring=ring, now=now)


async def _tell_of_passkey(action: LeasedAction, raw_status: str, now: datetime) -> None:
    if Progress.of(action).says == raw_status:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, raw_status)
        return
    text = f"🟠 {passkeys.sentence(raw_status, action.session_name, action.server)}"
    await in_database(pairing.say, action, text, says=raw_status, post_id=uuid7(), now=now)


async def _tell_of_account(action: LeasedAction, server: Server, session: WahaSession, now: datetime) -> None:
    """WAHA says which account it is, or our rows do; it is told a moment after the phone was linked."""
    try:
        number = number_of(await server.client.get_session(action.external_session_id))
    except WahaError:
        number = ""
    linked_at = session.status_changed_at or now
    if not number and now - linked_at < _ACCOUNT_KNOWN_WITHIN:
        await in_database(actions.later, action, _LOOK_AGAIN_AFTER, "The account is not known yet.")
        return
    name = foreign(action.session_name)
    as_whom = f" as {number}" if number else ""
    was_asked = "is linked to its phone already" if Progress.of(action).first_at is None else "is paired"
    text = (
        f"🟢 Session `{name}` {was_asked}{as_whom}. Give its conversations a channel: `channel link --session {name}`."
    )
    await in_database(pairing.end, action, text, post_id=uuid7())


def number_of(info: SessionInfo) -> str:
    """`+4930901820`; "" where WAHA tells no number."""
    digits, _, kind = (info.me.chat_id if info.me else "").partition("@")
    return f"+{digits}" if digits.isdigit() and kind == "c.us" else ""


def _unscanned(action: LeasedAction) -> str:
    name = foreign(action.session_name)
    verb = "pair" if action.kind == ActionKind.PAIR else "qr"
    entered = "typed the code" if action.kind == ActionKind.PAIR else "scanned the code"
    more = f"session {verb} {name}" + (" NUMBER" if verb == "pair" else "")
    return f"⚪ Nobody {entered} of session `{name}` in time, so it is gone. `{more}` starts again."


def _no_pairing_code(action: LeasedAction) -> str:
    name = foreign(action.session_name)
    return (
        f"WhatsApp gave no code for +{foreign(str(action.payload.get('number', '')))}, which may be mistyped, or this "
        f"kind of session has none. Scan a code instead: `session qr {name}`."
    )


def _stopped(action: LeasedAction, session: WahaSession) -> str:
    name = foreign(action.session_name)
    if session.deleted_at is not None:
        return f"Session `{name}` was removed, so its code is gone. See `session list`."
    return f"⚪ Session `{name}` was stopped, so its code is gone. `session qr {name}` starts again."


def _replaced(action: LeasedAction, _session: WahaSession) -> str:
    return f"A newer code of session `{foreign(action.session_name)}` was asked for: it comes in a message of its own."


def _never_came(action: LeasedAction, session: WahaSession) -> str:
    name = foreign(action.session_name)
    return (
        f"Session `{name}` had no code within two minutes; it is {session.status.value}. "
        f"See `session show {name}` for what to do, then ask again: `session qr {name}`."
    )


def _unheard(action: LeasedAction, _session: WahaSession) -> str:
    name = foreign(action.session_name)
    return (
        f"⚪ The code of session `{name}` is over. Whether somebody used it is not known, since WAHA server "
        f"`{foreign(action.server)}` does not answer. See `session show {name}`."
    )


def _not_allowed(action: LeasedAction) -> str:
    return (
        f"You may not link a phone to session `{foreign(action.session_name)}` any more, so its code is gone. Ask an "
        "administrator of its tenant."
    )


_LAST_WORDS = {Step.UNHEARD: _unheard, Step.STOPPED: _stopped, Step.REPLACED: _replaced, Step.NEVER_CAME: _never_came}
