"""Commands that link a phone: a code to be scanned, or one to be typed."""

from __future__ import annotations

import re
from uuid import UUID

from bot.commands.command import Command, Turn
from models import ActionKind, SessionStatus
from operations import passkeys, sessions
from operations.errors import BadInput
from operations.permissions import Permission
from operations.sessions import SessionFacts
from operations.slack_inbox import Answer
from slack.mrkdwn import escape, foreign

# E.164: a country code, and at most 15 digits in all.
_NUMBER = re.compile(r"[1-9][0-9]{7,14}")
_WRITTEN_AROUND = re.compile(r"[\s()./-]")


def qr(turn: Turn) -> Answer:
    facts = sessions.show(turn.standing.tenant_id, turn.asked.word(0))
    if other := _without_code(facts):
        return Answer(other)
    _ask(turn, facts, ActionKind.QR, {})
    name = foreign(facts.session.name)
    return Answer(
        f"{_start(facts)}The code of session `{name}` comes to you by direct message as soon as WAHA has one, and is "
        "replaced there whenever WhatsApp makes a new one. Whoever scans it can read and write everything: show it to "
        "nobody."
    )


def pair(turn: Turn) -> Answer:
    number = number_in(turn.asked.word(1))
    facts = sessions.show(turn.standing.tenant_id, turn.asked.word(0))
    if other := _without_code(facts):
        return Answer(other)
    _ask(turn, facts, ActionKind.PAIR, {"number": number})
    name = foreign(facts.session.name)
    return Answer(
        f"{_start(facts)}The code to be typed on the phone with +{number} comes to you by direct message. Show it to "
        f"nobody. If none comes, scan one instead: `session qr {name}`."
    )


def number_in(typed: str) -> str:
    """`+49 (30) 901820` -> `4930901820`.

    Raises:
        BadInput: it is no number with its country code.
    """
    bare = _WRITTEN_AROUND.sub("", typed.strip())
    digits = bare.removeprefix("+").removeprefix("00") if bare.startswith(("+", "00")) else bare
    if not _NUMBER.fullmatch(digits):
        raise BadInput(
            f"`{escape(typed)}` is not the number of a phone. Write it with its country code and without spaces, such "
            "as `+4915123456789`."
        )
    return digits


def _without_code(facts: SessionFacts) -> str:
    """Why there is nothing to scan or to type; "" where there is, or soon will be."""
    session, name = facts.session, foreign(facts.session.name)
    if session.status is SessionStatus.WORKING:
        return f"Session `{name}` works: its phone is linked, and there is no code to scan. See `session show {name}`."
    raw = str(session.metadata.get("raw_status") or "")
    is_waiting = session.status is SessionStatus.SCAN_QR and passkeys.is_asked_for(raw)
    return passkeys.sentence(raw, session.name, session.server) if is_waiting else ""


def _ask(turn: Turn, facts: SessionFacts, kind: ActionKind, payload: dict[str, str]) -> UUID:
    action_id = turn.asked.new_id("action")
    sessions.ask_code(
        turn.standing.tenant_id,
        facts.session.name,
        kind,
        action_id=action_id,
        payload=payload,
        asker=turn.asked.person,
        actor=turn.actor,
    )
    return action_id


def _start(facts: SessionFacts) -> str:
    runs = facts.session.status in {SessionStatus.SCAN_QR, SessionStatus.STARTING}
    return "" if runs else f"Session `{foreign(facts.session.name)}` is started for it. "


COMMANDS = (
    Command(
        noun="session",
        verb="qr",
        needs=("NAME",),
        summary="the code that links its phone, by direct message",
        example="session qr sales-berlin",
        permission=Permission.SESSION_CONTROL,
        run=qr,
    ),
    Command(
        noun="session",
        verb="pair",
        needs=("NAME", "NUMBER"),
        summary="a code to be typed on the phone instead of scanning one, by direct message",
        example="session pair sales-berlin +4915123456789",
        permission=Permission.SESSION_CONTROL,
        run=pair,
    ),
)
