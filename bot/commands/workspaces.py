from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from bot.commands.command import Asked, Command, Option, Turn, request_of
from operations import moving, workspaces
from operations.errors import BadInput, Conflict
from operations.moving import Moved
from operations.permissions import Permission
from operations.slack_inbox import Answer
from operations.wording import counted, quoted
from operations.workspaces import Place, Shown, Tokens
from slack.client import SlackClient
from slack.errors import SlackRefused
from slack.mrkdwn import escape

_SHOWN = 40
_STILL_THERE = "Channels, people and messages of its tenants stay as they are"


def _beginning(prefix: str) -> AfterValidator:
    """Slack shows its tokens on different pages, and they are easily swapped."""

    def check(token: str) -> str:
        if not token.strip().startswith(prefix):
            raise ValueError(f"must begin with `{prefix}`")
        return token.strip()

    return AfterValidator(check)


class GivenTokens(BaseModel):
    """What is entered in the form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bot_token: Annotated[str, _beginning("xoxb-")]
    app_token: Annotated[str, _beginning("xapp-")] | None = None
    signing_secret: str | None = None

    def __repr__(self) -> str:
        return "GivenTokens()"


async def ask_slack(asked: Asked, slack: SlackClient) -> Asked:
    """Ask Slack whose the tokens are, before they are kept.

    Raises:
        BadInput: Slack refuses one.
    """
    given = _given(asked)
    try:
        async with slack.under(given.bot_token) as other:
            identity = await other.auth_test()
    except SlackRefused as error:
        raise BadInput(f"Slack refuses the bot token: {error.sentence} {_WHERE}") from error
    if given.app_token is not None:
        try:
            async with slack.under(given.app_token) as app:
                await app.check_app_token()
        except SlackRefused as error:
            raise BadInput(f"Slack refuses the app token: {error.sentence} {_WHERE}") from error
    return replace(asked, slack_identity=identity)


_WHERE = "See *OAuth & Permissions* and *Basic Information* of the app in that workspace, and run this again."


def _given(asked: Asked) -> GivenTokens:
    return request_of(
        ADD,
        GivenTokens,
        bot_token=asked.word(0),
        app_token=asked.option("app-token"),
        signing_secret=asked.option("signing-secret"),
    )


def add(turn: Turn) -> Answer:
    identity, given = turn.asked.slack_identity, _given(turn.asked)
    if identity is None:
        raise LookupError("ask_slack has to run first.")
    if identity.team_id in turn.installation.teams:
        raise Conflict(f"*{escape(identity.team)}* is the workspace of the settings, and served already.")
    place = Place(identity.team_id, identity.team or identity.team_id, identity.user_id, identity.bot_id)
    resumed = workspaces.connect(
        place,
        Tokens(given.bot_token, given.app_token, given.signing_secret),
        workspace_id=turn.asked.new_id("workspace"),
        actor=turn.actor,
    )
    waited = f" {counted(resumed, 'post')} that waited for it follow now." if resumed else ""
    return Answer(
        f"*{escape(place.name)}* (`{place.team_id}`) is served from now on, without a restart.{waited} Let a tenant "
        f"belong to it with `workspace bind NAME {place.team_id}`; then its people link channels there."
    )


def list_(_turn: Turn) -> Answer:
    found = workspaces.list_all()
    if not found:
        return Answer("Only the workspace of the settings is served. Connect another with `workspace add`.")
    left = f"\nand {len(found) - _SHOWN} more." if len(found) > _SHOWN else ""
    lines = "\n".join(_line(one) for one in found[:_SHOWN])
    return Answer(f"*{counted(len(found), 'workspace')} besides that of the settings*\n{lines}{left}")


def show(turn: Turn) -> Answer:
    found = workspaces.show(turn.asked.word(0))
    tenants = ", ".join(f"*{escape(name)}*" for name in found.tenants) or "none"
    app = (
        "an app of its own"
        if found.workspace.app_token or found.workspace.signing_secret
        else "the app of the settings"
    )
    how = f"\nServed through {app}." if found.workspace.bot_token else ""
    return Answer(f"{_line(found)}{how}\nTenants: {tenants}.")


def _line(one: Shown) -> str:
    workspace = one.workspace
    state = workspace.state.value if not workspace.why else f"{workspace.state.value}: {workspace.why}"
    return (
        f"• *{escape(workspace.name)}* (`{workspace.slack_team_id}`), {state.rstrip('.')}: "
        f"{counted(len(one.tenants), 'tenant')}, {counted(one.waiting, 'post')} waiting"
    )


def _before_removing(turn: Turn) -> str:
    found = workspaces.show(turn.asked.word(0))
    return (
        f"Stop serving *{escape(found.workspace.name)}*? Its tokens are deleted, and nothing is posted there for "
        f"{counted(len(found.tenants), 'tenant')}. {_STILL_THERE}, and what customers write is kept."
    )


def remove(turn: Turn) -> Answer:
    found = workspaces.disconnect(turn.asked.word(0), actor=turn.actor)
    waiting = f"{counted(found.waiting, 'post')} {'waits' if found.waiting == 1 else 'wait'}"
    return Answer(
        f"*{escape(found.workspace.name)}* is not served any more, and its tokens are deleted. {_STILL_THERE}; "
        f"{waiting} until `workspace add` connects it again."
    )


def bind(turn: Turn) -> Answer:
    wanted = turn.asked.word(1)
    if wanted in turn.installation.teams:
        moved = moving.bind(turn.asked.word(0), None, actor=turn.actor)
        return _told(moved, "the workspace of the settings")
    workspace = workspaces.named(wanted)
    moved = moving.bind(turn.asked.word(0), workspace.slack_team_id, actor=turn.actor)
    return _told(moved, f"*{escape(workspace.name)}*")


def _told(moved: Moved, where: str) -> Answer:
    name = escape(moved.tenant_name)
    left = f" `{escape(moved.left)}` is nobody in it any more." if moved.left else ""
    return Answer(
        f"*{name}* belongs to {where}: its people and channels are there and nowhere else.{left} Its first "
        f"administrator comes next, in that workspace: `user add @person TENANT_ADMIN --tenant {quoted(name)}`."
    )


ADD = Command(
    noun="workspace",
    verb="add",
    needs=("BOT_TOKEN",),
    options=(Option("app-token", "TOKEN", "xapp-…"), Option("signing-secret", "SECRET", "…")),
    summary="serve another Slack workspace; type it alone, and its form asks for the tokens",
    example="workspace add xoxb-…",
    permission=Permission.WORKSPACE_MANAGE,
    request=GivenTokens,
    takes_secrets=True,
    prepare=ask_slack,
    run=add,
)

COMMANDS = (
    ADD,
    Command(
        noun="workspace",
        verb="list",
        summary="the Slack workspaces besides that of the settings",
        example="workspace list",
        permission=Permission.WORKSPACE_MANAGE,
        run=list_,
    ),
    Command(
        noun="workspace",
        verb="show",
        needs=("WORKSPACE",),
        summary="one of them, its tenants and what waits for it",
        example="workspace show T0123ABCD",
        permission=Permission.WORKSPACE_MANAGE,
        run=show,
    ),
    Command(
        noun="workspace",
        verb="remove",
        needs=("WORKSPACE",),
        summary="stop serving one and forget its tokens; nothing else is lost",
        example="workspace remove T0123ABCD",
        permission=Permission.WORKSPACE_MANAGE,
        confirm=_before_removing,
        run=remove,
    ),
    Command(
        noun="workspace",
        verb="bind",
        needs=("TENANT", "WORKSPACE"),
        summary="let an organisation's people and channels be in one",
        example="workspace bind Acme T0123ABCD",
        permission=Permission.WORKSPACE_MANAGE,
        run=bind,
    ),
)
