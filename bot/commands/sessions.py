from __future__ import annotations

from datetime import UTC, datetime

from bot.commands.command import Command, Option, Turn, request_of
from bot.commands.session_setup import server_named
from models import DesiredState, Engine, ServerState, SessionStatus, WahaSession
from models.requests import CreateWahaSession
from operations import passkeys, servers, session_details, sessions
from operations.controlling import RESTARTS_A_DAY
from operations.permissions import Permission
from operations.sessions import SessionFacts
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.blocks import actions, sections
from slack.mrkdwn import escape, foreign, local_time

_ENGINES = "|".join(Engine)
_SHOWN = 40
_STATE = {
    SessionStatus.WORKING: "🟢 working",
    SessionStatus.STARTING: "🟡 starting",
    SessionStatus.SCAN_QR: "🟠 waits for its QR code to be scanned",
    SessionStatus.FAILED: "🔴 failed",
    SessionStatus.STOPPED: "⚪ stopped",
}


def add(turn: Turn) -> Answer:
    asked, standing = turn.asked, turn.standing
    house, wish = turn.installation, asked.option("server")
    if wish is not None:
        wish = server_named(wish, house.servers)
    named = (asked.option("engine") or "").upper()
    # One that there is not is refused below, with those that there are.
    engine = Engine(named) if named in set(Engine) else None
    server = servers.place(house.servers, house.capacities, engine, wish=wish)
    request = request_of(
        turn.command,
        CreateWahaSession,
        tenant_id=standing.tenant_id,
        name=asked.word(0),
        server=server,
        # WAHA runs one engine a server; before it has said which, the one that it recommends is the best guess.
        engine=named or sessions.engine_of(server) or Engine.GOWS,
    )
    session = sessions.add(
        request,
        session_id=asked.new_id("session"),
        external_session_id=sessions.new_external_session_id(standing.tenant_name, request.name),
        actor=turn.actor,
    )
    name = foreign(session.name)
    return Answer(
        f"Session `{name}` was added and is being started. Link its phone with `session qr {name}`, and a channel for "
        f"its conversations with `channel link --session {name}`."
    )


def start(turn: Turn) -> Answer:
    session, is_new = sessions.want(turn.standing.tenant_id, turn.asked.word(0), DesiredState.RUNNING, actor=turn.actor)
    name = foreign(session.name)
    begin = (
        f"Session `{name}` is being started."
        if is_new
        else f"Session `{name}` was to run already; it is looked at again."
    )
    return Answer(f"{begin} See `session show {name}`.")


def stop(turn: Turn) -> Answer:
    session, is_new = sessions.want(turn.standing.tenant_id, turn.asked.word(0), DesiredState.STOPPED, actor=turn.actor)
    name = foreign(session.name)
    begin = f"Session `{name}` is being stopped." if is_new else f"Session `{name}` was to be stopped already."
    return Answer(f"{begin} Messages to its customers wait until `session start {name}`.")


def restart(turn: Turn) -> Answer:
    name = foreign(turn.asked.word(0).strip().lower())
    sessions.ask_restart(
        turn.standing.tenant_id,
        turn.asked.word(0),
        action_id=turn.asked.new_id("action"),
        asker=turn.asked.person,
        actor=turn.actor,
        reason="asked for",
    )
    return Answer(
        f"Session `{name}` is being restarted; its phone stays linked. How it ended comes to you by direct message."
    )


def list_(turn: Turn) -> Answer:
    found, tenant = sessions.list_all(turn.standing.tenant_id), escape(turn.standing.tenant_name)
    if not found:
        return Answer(f"*{tenant}* has no session yet. Add one: `session add NAME`.")
    begin = int(turn.asked.cursor) if turn.asked.cursor.isdecimal() else 0
    begin = begin if begin < len(found) else 0
    shown = found[begin : begin + _SHOWN]
    which = f", {begin + 1} to {begin + len(shown)} of {len(found)}" if len(found) > _SHOWN else ""
    lines = "\n".join(f"• {_line(facts)}{_place(facts)}" for facts in shown)
    text = f"*Sessions of {tenant}*{which}\n{lines}\nMore about one: `session show NAME`."
    places = (("Back", begin - _SHOWN), ("Next", begin + _SHOWN))
    buttons = [turn.page_button(label, str(place)) for label, place in places if 0 <= place < len(found)]
    return Answer(text, [*sections(text), *([actions(*buttons)] if buttons else [])], replaces=bool(turn.asked.cursor))


def _place(facts: SessionFacts) -> str:
    """Which account, and where it runs."""
    number = session_details.account(facts.session)
    return f", {number}{' ' if number else ''}on `{foreign(facts.session.server)}`"


def show(turn: Turn) -> Answer:
    facts = sessions.show(turn.standing.tenant_id, turn.asked.word(0))
    session = facts.session
    lines = [
        _line(facts),
        f"Engine {session.engine.value} on server `{foreign(session.server)}`{_server_state(facts)}.",
    ]
    if session.status_changed_at is not None:
        lines.append(f"In this state since {local_time(session.status_changed_at)}.")
    if session.last_activity_at is not None:
        lines.append(f"Last activity {local_time(session.last_activity_at)}.")
    if session.error_message:
        lines.append(f"WAHA says: {foreign(session.error_message)}")
    lines += session_details.details(session)
    return Answer("\n".join([*lines, _next_step(facts)]))


def _line(facts: SessionFacts) -> str:
    session = facts.session
    queued = f", {counted(facts.queued, 'message')} queued" if facts.queued else ", queue empty"
    differs = session.desired_state == DesiredState.STOPPED and session.status != SessionStatus.STOPPED
    wanted = " (should be stopped)" if differs else ""
    return f"`{foreign(session.name)}` {_state(session)}{wanted}{queued}"


def _state(session: WahaSession) -> str:
    return "🟠 waits for a passkey" if _wants_passkey(session) else _STATE[session.status]


def _wants_passkey(session: WahaSession) -> bool:
    return session.status is SessionStatus.SCAN_QR and passkeys.is_asked_for(_raw(session))


def _raw(session: WahaSession) -> str:
    return str(session.metadata.get("raw_status") or "")


def _server_state(facts: SessionFacts) -> str:
    match facts.server.state if facts.server is not None else ServerState.UNKNOWN:
        case ServerState.DOWN:
            return ", which is away"
        case ServerState.KEY_REFUSED:
            return ", which refuses our API key"
    return ""


def _next_step(facts: SessionFacts) -> str:
    name = foreign(facts.session.name)
    if facts.session.desired_state == DesiredState.STOPPED:
        return f"Start it with `session start {name}`."
    if _wants_passkey(facts.session):
        return passkeys.sentence(_raw(facts.session), facts.session.name, facts.session.server)
    match facts.session.status:
        case SessionStatus.SCAN_QR:
            return f"Link its phone: `session qr {name}`."
        case SessionStatus.FAILED:
            return _after_failing(facts.session)
        case SessionStatus.WORKING:
            return f"Its messages: `message list --session {name}`."
    return f"It is being started; look again in a moment: `session show {name}`."


def _after_failing(session: WahaSession) -> str:
    name = foreign(session.name)
    if not session.metadata.get("me_id"):
        return f"No phone is linked to it, so no restart helps. Link its phone: `session qr {name}`."
    by_hand = f"look whether WhatsApp is open on its phone and this device still linked, then `session restart {name}`."
    if session.restarts_on == datetime.now(UTC).date() and session.restarts >= RESTARTS_A_DAY:
        return f"Restarting it by itself did not help today: {by_hand}"
    return f"It is restarted by itself. If that does not help: {by_hand}"


COMMANDS = (
    Command(
        noun="session",
        verb="add",
        needs=("NAME",),
        options=(Option("engine", _ENGINES, "GOWS"), Option("server", "NAME", "main")),
        summary="add a WhatsApp account",
        example="session add sales-berlin",
        request=CreateWahaSession,
        permission=Permission.SESSION_CONTROL,
        run=add,
    ),
    Command(
        noun="session",
        verb="start",
        needs=("NAME",),
        summary="start it",
        example="session start sales-berlin",
        permission=Permission.SESSION_CONTROL,
        run=start,
    ),
    Command(
        noun="session",
        verb="stop",
        needs=("NAME",),
        summary="stop it; its phone stays linked",
        example="session stop sales-berlin",
        permission=Permission.SESSION_CONTROL,
        run=stop,
    ),
    Command(
        noun="session",
        verb="restart",
        needs=("NAME",),
        summary="stop it and start it again; its phone stays linked",
        example="session restart sales-berlin",
        permission=Permission.SESSION_CONTROL,
        run=restart,
    ),
    Command(
        noun="session",
        verb="list",
        pages=True,
        summary="all sessions and their states",
        example="session list",
        permission=Permission.SESSION_SHOW,
        run=list_,
    ),
    Command(
        noun="session",
        verb="show",
        needs=("NAME",),
        summary="one session, and what to do about it",
        example="session show sales-berlin",
        permission=Permission.SESSION_SHOW,
        run=show,
    ),
)
