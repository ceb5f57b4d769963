from __future__ import annotations

import difflib

from bot.commands.command import Command, Turn
from models import DesiredState, ServerState, SessionStatus
from operations import servers
from operations.errors import NotFound
from operations.permissions import Permission
from operations.servers import Host, OnServer
from operations.slack_inbox import Answer
from operations.wording import counted
from slack.mrkdwn import escape, foreign, local_time
from waha.versions import FIRST_WITH_IDS, parse_version

_SHOWN = 20
_NO_OTHER = "No other server has room: until one has, nobody can add a session."
_STATE = {
    ServerState.UNKNOWN: "⚪ was not looked at yet",
    ServerState.UP: "🟢 answers",
    ServerState.DOWN: "🔴 is away",
    ServerState.KEY_REFUSED: "🔴 refuses our API key",
}


def list_(turn: Turn) -> Answer:
    found = servers.hosts(turn.installation.servers, turn.installation.capacities)
    lines = "\n".join(f"• {_line(host)}" for host in found)
    return Answer(f"*{counted(len(found), 'WAHA server')}*\n{lines}\nMore about one: `server show NAME`.")


def show(turn: Turn) -> Answer:
    host = _named(turn)
    troubled = [one for one in servers.sessions_on(host.name, most=_SHOWN) if _is_shown(host, one)]
    said = [_line(host), *_facts(host), *(f"• {_of_tenant(one)}" for one in troubled)]
    left = (host.load.sessions if host.draining_since else host.load.troubled) - len(troubled)
    return Answer("\n".join([*said, *([f"and {left} more."] if troubled and left > 0 else []), _next_step(host)]))


def _before_draining(turn: Turn) -> str:
    host = _named(turn)
    number = host.load.sessions
    held = (
        f"Its {counted(number, 'session')} {'stays and goes' if number == 1 else 'stay and go'} on working: a pairing "
        "with WhatsApp belongs to the server that has it, and does not move."
    )
    nowhere = "" if _have_room_besides(turn, host) else f" {_NO_OTHER}"
    return f"Place no new session on `{escape(host.name)}`? {held}{nowhere}"


def drain(turn: Turn) -> Answer:
    host = _named(turn)
    is_new = servers.drain(host.name, actor=turn.actor)
    if not is_new:
        begin = "No new session goes there already."
    elif _have_room_besides(turn, host):
        begin = "New sessions go to other servers from now on."
    else:
        begin = f"No new session goes there from now on. {_NO_OTHER}"
    return Answer(f"{begin} {_moving(host)}")


def _have_room_besides(turn: Turn, host: Host) -> bool:
    found = servers.hosts(turn.installation.servers, turn.installation.capacities)
    return any(other.name != host.name and other.why_not(None) is None for other in found)


def undrain(turn: Turn) -> Answer:
    host = _named(turn)
    is_new = servers.undrain(host.name, actor=turn.actor)
    begin = "may have new sessions again" if is_new else "may have new sessions already"
    return Answer(f"`{escape(host.name)}` {begin}. See `server list`.")


def _named(turn: Turn) -> Host:
    """The server of the settings that was named.

    Raises:
        NotFound: the settings have none of that name.
    """
    name, known = turn.asked.word(0).strip(), turn.installation.servers
    if name in known:
        return servers.hosts([name], turn.installation.capacities)[0]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else "See `server list`."
    raise NotFound(f"The settings have no WAHA server called `{escape(name)}`. {hint}")


def _line(host: Host) -> str:
    room = f" of {host.capacity}" if host.capacity else ""
    draining = ", being drained" if host.draining_since is not None else ""
    version = f", WAHA {foreign(host.version)}" if host.version else ""
    engine = f" {foreign(host.engine)}" if host.engine else ""
    held = f"{host.load.sessions}{room} sessions" if room else counted(host.load.sessions, "session")
    trouble = f", {host.load.troubled} in trouble" if host.load.troubled else ""
    return f"`{escape(host.name)}` {_STATE[host.state]}{version}{engine}: {held}{trouble}{draining}"


def _facts(host: Host) -> list[str]:
    facts = []
    if host.error_message and host.state is not ServerState.UP:
        facts.append(foreign(host.error_message))
    if _is_too_old(host):
        first = ".".join(str(part) for part in FIRST_WITH_IDS)
        facts.append(
            f"This version takes no ids for messages: what was interrupted is put to a person. {first} and newer do."
        )
    if host.last_webhook_at is not None:
        facts.append(f"Its last webhook came {local_time(host.last_webhook_at)}.")
    if host.load.oldest_trouble_at is not None:
        facts.append(f"The oldest trouble is from {local_time(host.load.oldest_trouble_at)}.")
    if host.draining_since is not None:
        facts.append(f"Drained since {local_time(host.draining_since)}: no new session is placed there.")
    return facts


def _is_too_old(host: Host) -> bool:
    version = parse_version(host.version)
    return version is not None and version < FIRST_WITH_IDS


def _is_shown(host: Host, session: OnServer) -> bool:
    is_troubled = session.desired_state == DesiredState.RUNNING and session.status != SessionStatus.WORKING
    return is_troubled or host.draining_since is not None


def _of_tenant(session: OnServer) -> str:
    since = f" since {local_time(session.status_changed_at)}" if session.status_changed_at else ""
    wanted = ", stopped by its people" if session.desired_state == DesiredState.STOPPED else ""
    return f"`{foreign(session.name)}` of *{escape(session.tenant_name)}*: {session.status}{wanted}{since}"


def _next_step(host: Host) -> str:
    match host.state:
        case ServerState.DOWN:
            return "Start WAHA again, or look at the way to it; its sessions go on by themselves then."
        case ServerState.KEY_REFUSED:
            return f"Set the same key as its WAHA_API_KEY and as `waha.servers.{escape(host.name)}.api_key`."
        case ServerState.UNKNOWN:
            return "Does a daemon run, with the role reconciler? It asks each server of its settings."
    if host.draining_since is not None:
        return _moving(host)
    if host.free <= 0:
        return "It is full. Add a server, or raise its `capacity` in the settings if the machine can take more."
    if host.load.troubled:
        return "What to do about a session: `session show NAME --tenant TENANT`."
    return "Nothing is to be done."


def _moving(host: Host) -> str:
    if not host.load.sessions:
        return f"`{escape(host.name)}` has no session and can be taken out of the settings."
    return (
        f"`{escape(host.name)}` has {counted(host.load.sessions, 'session')}. To move one, its people run "
        "`session stop NAME`, add another with `session add`, link their channel to it and scan its code: customers' "
        "chats go on in new threads. Then `session remove NAME`. `server undrain` takes it back."
    )


COMMANDS = (
    Command(
        noun="server",
        verb="list",
        summary="the WAHA servers, and how full each is",
        example="server list",
        permission=Permission.SERVER_MANAGE,
        run=list_,
    ),
    Command(
        noun="server",
        verb="show",
        needs=("NAME",),
        summary="one of them, what is in trouble there, and what to do",
        example="server show main",
        permission=Permission.SERVER_MANAGE,
        run=show,
    ),
    Command(
        noun="server",
        verb="drain",
        needs=("NAME",),
        summary="place no new session there; those that it has stay",
        example="server drain main",
        permission=Permission.SERVER_MANAGE,
        confirm=_before_draining,
        run=drain,
    ),
    Command(
        noun="server",
        verb="undrain",
        needs=("NAME",),
        summary="let it have new sessions again",
        example="server undrain main",
        permission=Permission.SERVER_MANAGE,
        run=undrain,
    ),
)
