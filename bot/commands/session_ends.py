"""Commands that end something about a session for good, and therefore ask first."""

from __future__ import annotations

from bot.commands.command import Command, Turn
from models import ActionKind, WahaSession
from operations import session_ends, sessions
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.mrkdwn import foreign


def logout(turn: Turn) -> Answer:
    session = session_ends.ask_logout(
        turn.standing.tenant_id,
        turn.asked.word(0),
        action_id=turn.asked.new_id("action"),
        asker=turn.asked.person,
        actor=turn.actor,
    )
    return Answer(
        f"Session `{foreign(session.name)}` is being logged out of its phone. That it is done comes to you by direct "
        "message."
    )


def remove(turn: Turn) -> Answer:
    session, is_ours = session_ends.ask_removal(
        turn.standing.tenant_id,
        turn.asked.word(0),
        action_id=turn.asked.new_id("action"),
        asker=turn.asked.person,
        actor=turn.actor,
    )
    if not is_ours:
        return Answer(
            f"Session `{foreign(session.name)}` is not taken over any more; on its WAHA server nothing is done to it. "
            "See `session list`."
        )
    return Answer(
        f"Session `{foreign(session.name)}` was removed. WAHA is told to forget it; that it has comes to you by direct "
        f"message. What was written stays readable, and the name is free: `session add {foreign(session.name)}`."
    )


def _before_logout(turn: Turn) -> str:
    session = sessions.in_hand(turn.standing.tenant_id, turn.asked.word(0))
    name = foreign(session.name)
    return (
        f"Log session `{name}` out of its phone? Its pairing is lost: nothing is sent or received until somebody links "
        f"a phone again by `session qr {name}`. {_waiting(session, 'until then')}"
        f"If it only hangs, `session restart {name}` is enough."
    )


def _before_removing(turn: Turn) -> str:
    session = sessions.named(turn.standing.tenant_id, turn.asked.word(0))
    name = foreign(session.name)
    if sessions.is_under_way(session, ActionKind.ADOPT):
        return f"Give up taking over session `{name}`? On its WAHA server nothing is done to it."
    return (
        f"Remove session `{name}`? Its pairing is lost and WAHA forgets it; it cannot come back, and replies in its "
        f"threads are not sent any more. {_waiting(session, 'and will fail')}What was written stays readable. To pause "
        f"it, `session stop {name}` is enough."
    )


def _waiting(session: WahaSession, what_then: str) -> str:
    waiting = session_ends.waiting_messages(session)
    return (
        f"{counted(waiting, 'message')} to customers {'waits' if waiting == 1 else 'wait'} {what_then}. "
        if waiting
        else ""
    )


COMMANDS = (
    Command(
        noun="session",
        verb="logout",
        needs=("NAME",),
        summary="end the link to its phone, which then has to be linked anew",
        example="session logout sales-berlin",
        permission=Permission.SESSION_CONTROL,
        confirm=_before_logout,
        yes="Log out",
        run=logout,
    ),
    Command(
        noun="session",
        verb="remove",
        needs=("NAME",),
        summary="remove it for good; what was written stays readable",
        example="session remove sales-berlin",
        permission=Permission.SESSION_CONTROL,
        confirm=_before_removing,
        run=remove,
    ),
)
