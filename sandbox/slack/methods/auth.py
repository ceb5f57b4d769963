"""Who the app is, and how it opens a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.slack.methods.registry import method

if TYPE_CHECKING:
    from sandbox.slack.arguments import Arguments
    from sandbox.slack.refusal import Json
    from sandbox.slack.state import State


@method("api.test")
def echo(_state: State, arguments: Arguments) -> Json:
    """What was sent."""
    return {"args": arguments.values}


@method("auth.test")
def auth_test(state: State, _arguments: Arguments) -> Json:
    """The workspace and the app's user in it."""
    installation = state.workspace.installation
    return {
        "url": f"https://{installation.team_domain}.slack.com/",
        "team": installation.team_name,
        "user": installation.bot_name,
        "team_id": installation.team_id,
        "user_id": installation.bot_user,
        "bot_id": installation.bot_id,
        "is_enterprise_install": False,
    }


@method("team.info")
def team_info(state: State, _arguments: Arguments) -> Json:
    """The workspace."""
    installation = state.workspace.installation
    team = {"id": installation.team_id, "name": installation.team_name, "domain": installation.team_domain}
    return {"team": team}


@method("apps.connections.open", caller="app")
def open_connection(state: State, _arguments: Arguments) -> Json:
    """An address that opens one websocket."""
    address = state.address.replace("http://", "ws://", 1)
    app_id = state.workspace.installation.app_id
    return {"url": f"{address}/link/?ticket={state.socket_mode.ticket()}&app_id={app_id}"}
