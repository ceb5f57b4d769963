"""Commands about how a session is set up on WAHA: taking one over, and the way it goes to WhatsApp."""

from __future__ import annotations

import re
from typing import Any

from bot.commands.command import Command, Option, Turn, request_of
from models import Engine
from models.requests import CreateWahaSession
from operations import adopting, configuring, sessions
from operations.errors import BadInput
from operations.permissions import Permission
from operations.slack_inbox import Answer
from slack.mrkdwn import escape, foreign

_NO_PROXY = "none"
_ADDRESS = re.compile(r"(?:(?:https?|socks5)://)?[A-Za-z0-9_.-]+:[0-9]{1,5}")
_WAHA_NAME = re.compile(r"[A-Za-z0-9_-]{1,54}")


def adopt(turn: Turn) -> Answer:
    request, waha_name = _adoption(turn)
    session = adopting.ask_adoption(
        request,
        waha_name,
        session_id=turn.asked.new_id("session"),
        action_id=turn.asked.new_id("action"),
        asker=turn.asked.person,
        actor=turn.actor,
    )
    return Answer(
        f"Session `{foreign(waha_name)}` of WAHA server `{foreign(request.server)}` is looked for, to become session "
        f"`{foreign(session.name)}` of *{escape(turn.standing.tenant_name)}*. What came of it comes to you by direct "
        "message."
    )


def _before_adopting(turn: Turn) -> str:
    request, waha_name = _adoption(turn)
    return (
        f"Take over session `{foreign(waha_name)}` of WAHA server `{foreign(request.server)}` for "
        f"*{escape(turn.standing.tenant_name)}*? Make sure that its account is theirs: they read and write everything "
        "in it from now on. Its phone stays linked. Our webhook is added to its configuration where it is missing, "
        "which restarts it once if it runs; webhooks of others stay."
    )


def _adoption(turn: Turn) -> tuple[CreateWahaSession, str]:
    """What the row says, and what the session is called on WAHA."""
    asked, waha_name = turn.asked, turn.asked.word(0)
    if not _WAHA_NAME.fullmatch(waha_name):
        raise BadInput(f"`{escape(waha_name)}` is no name of a session on WAHA: it has letters, digits, `-` and `_`.")
    server = server_named(asked.option("server"), turn.installation.servers)
    request = request_of(
        turn.command,
        CreateWahaSession,
        tenant_id=turn.standing.tenant_id,
        name=asked.option("as") or waha_name.lower()[:40],
        server=server,
        engine=sessions.engine_of(server) or Engine.GOWS,
    )
    return request, waha_name


def server_named(named: str | None, servers: tuple[str, ...]) -> str:
    """The server that is meant.

    Raises:
        BadInput: there is none of that name, or it has to be said which.
    """
    choices = ", ".join(f"`--server {name}`" for name in servers)
    if named is None and len(servers) > 1:
        raise BadInput(f"On which WAHA server is it? Add one of {choices}.")
    if named is not None and named not in servers:
        raise BadInput(f"There is no WAHA server called `{escape(named)}`. There is {choices}.")
    return named or servers[0]


def proxy(turn: Turn) -> Answer:
    wanted = _proxy_of(turn)
    session = configuring.set_proxy(
        turn.standing.tenant_id,
        turn.asked.word(0),
        wanted,
        action_id=turn.asked.new_id("action"),
        asker=turn.asked.person,
        actor=turn.actor,
    )
    shown = configuring.shown_proxy(session)
    how = f"through proxy {foreign(shown)}" if shown else "without a proxy"
    return Answer(
        f"Session `{foreign(session.name)}` is to go to WhatsApp {how}; it is restarted for that if it runs. What came "
        "of it comes to you by direct message."
    )


def _proxy_of(turn: Turn) -> dict[str, Any] | None:
    address = turn.asked.word(1).strip()
    if address.lower() == _NO_PROXY:
        return None
    if "@" in address:
        raise turn.command.misused("A user and a password have fields of their own, and do not stand in the address.")
    if not _ADDRESS.fullmatch(address):
        raise turn.command.misused(
            f"`{escape(address)}` is not the address of a proxy. It is a host and a port, such as "
            f"`proxy.example.org:3128`, or `{_NO_PROXY}`."
        )
    user, password = turn.asked.option("user"), turn.asked.option("password")
    if password is not None and user is None:
        raise turn.command.misused("A proxy with a password has a user too.")
    login = {"username": user, "password": password} if user is not None else {}
    return {"server": address, **{name: value for name, value in login.items() if value is not None}}


COMMANDS = (
    Command(
        noun="session",
        verb="adopt",
        needs=("WAHA_NAME",),
        options=(Option("as", "NAME", "sales-berlin"), Option("server", "NAME", "main")),
        summary="take over one that is on a WAHA server already; its phone stays linked",
        example="session adopt default --as sales-berlin",
        request=CreateWahaSession,
        permission=Permission.SESSION_ADOPT,
        confirm=_before_adopting,
        yes="Take over",
        run=adopt,
    ),
    Command(
        noun="session",
        verb="proxy",
        needs=("NAME", "ADDRESS"),
        options=(Option("user", "USER", "acme"), Option("password", "PASSWORD", "…")),
        labels={"ADDRESS": "Host and port, or none"},
        summary="lead it to WhatsApp through a proxy, or through none",
        example="session proxy sales-berlin proxy.example.org:3128",
        permission=Permission.SESSION_CONTROL,
        takes_secrets=True,
        run=proxy,
    ),
)
