"""The Slack workspaces that operators connected besides that of the settings: their tokens, their tenants, their end.

Where the app was removed, nothing is tried and nothing is lost: posts wait, and follow when it is back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from database import notify, transaction
from models import SlackWorkspace, WorkspaceState, now_utc
from operations import audit, catching_up, unreadable
from operations.encryption import CannotDecrypt, seal, unseal
from operations.errors import Conflict, NotFound
from operations.posting import tell_person
from operations.sql import locked, rows, value
from settings.logs import get_logger
from slack.mrkdwn import escape

# What is only of its day, as a report or an alert, is not posted after the app was away for longer.
STALE_AFTER = timedelta(hours=24)

_TABLE = "slack_workspaces"
_SECRETS = ("bot_token", "app_token", "signing_secret")

log = get_logger(__name__)


@dataclass(frozen=True)
class Tokens:
    """What Slack gave for one workspace. Without the last two its app is the one of the settings."""

    bot_token: str = field(repr=False)
    app_token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Place:
    """A workspace, and who we are there, as Slack answered to its token."""

    team_id: str
    name: str
    bot_user_id: str
    bot_id: str


@dataclass(frozen=True)
class Connected:
    """A workspace with its tokens; `active_since` changes with them."""

    place: Place
    tokens: Tokens
    active_since: datetime

    @property
    def team_id(self) -> str:
        return self.place.team_id


@dataclass(frozen=True)
class Shown:
    """What operators are told of a workspace."""

    workspace: SlackWorkspace
    tenants: tuple[str, ...]
    waiting: int


def active() -> list[Connected]:
    """The workspaces that are served now. One whose tokens no key opens is left out and said."""
    with transaction():
        found = list(SlackWorkspace.select().where(SlackWorkspace.state == WorkspaceState.ACTIVE))
    return [connected for workspace in found if (connected := _opened(workspace)) is not None]


def team_ids() -> list[str]:
    """All that were ever connected: nothing of theirs goes out under the token of the settings."""
    with transaction():
        return [one.slack_team_id for one in SlackWorkspace.select(SlackWorkspace.slack_team_id)]


def connect(place: Place, tokens: Tokens, *, workspace_id: UUID, actor: str) -> int:
    """Serve a workspace from now on, or with other tokens than before; returns how many posts waited for it.

    In the running transaction, after Slack took the tokens.
    """
    before = _locked(place.team_id)
    row_id = before.id if before is not None else workspace_id
    given = {"bot_token": tokens.bot_token, "app_token": tokens.app_token, "signing_secret": tokens.signing_secret}
    sealed = {
        column: seal(secret, table=_TABLE, column=column, row=row_id) if secret else None
        for column, secret in given.items()
    }
    facts = {"name": place.name, "bot_user_id": place.bot_user_id, "bot_id": place.bot_id, "added_by": actor}
    state = {"state": WorkspaceState.ACTIVE, "why": "", "active_since": now_utc(), "removed_at": None, "told_at": None}
    if before is None:
        SlackWorkspace.create(id=row_id, slack_team_id=place.team_id, **facts, **sealed, **state)
    else:
        changes = {**facts, **sealed, **state, "updated_at": now_utc()}
        SlackWorkspace.update(**changes).where(SlackWorkspace.id == row_id).execute()
    was_served = before is not None and before.state is WorkspaceState.ACTIVE
    stale_after = None if was_served else STALE_AFTER
    resumed = int(value("SELECT resume_posts_of(%s, %s::interval)", (place.team_id, stale_after)))
    audit.record(
        actor,
        "workspace.add",
        SlackWorkspace,
        tenant_id=None,
        before={"state": before.state.value} if before is not None else None,
        after={"team": place.team_id, "name": place.name},
    )
    catching_up.request(team_id=place.team_id)
    notify("posts")
    notify("workspaces")
    return resumed


def disconnect(team_or_name: str, *, actor: str) -> Shown:
    """Stop serving a workspace, as an operator asks.

    Raises:
        NotFound: it is not connected.
    """
    workspace = named(team_or_name)
    if workspace.state is WorkspaceState.REMOVED:
        raise NotFound(f"*{escape(workspace.name)}* is not connected any more; nothing was changed.")
    _end(workspace, "An operator disconnected it.", actor=actor)
    SlackWorkspace.update(told_at=now_utc()).where(SlackWorkspace.id == workspace.id).execute()
    return _shown(workspace)


def lost(team_id: str, why: str, *, before: datetime | None = None) -> bool:
    """The app is not in the workspace any more, or its token is revoked; False where that is no news.

    `before` is when it happened: tokens that were given later are not meant.
    """
    with transaction():
        workspace = _locked(team_id)
        if workspace is None:
            log.error("the app was removed from the workspace of the settings", team_id=team_id, reason=why)
            return False
        if workspace.state is WorkspaceState.REMOVED:
            return False
        if before is not None and workspace.active_since > before:
            return False
        _end(workspace, why, actor="slack")
    log.error("the app was removed from a workspace", team_id=team_id, reason=why)
    return True


def tell_of_losses(operators: Collection[str]) -> None:
    """Tell operators where the app was removed, once."""
    with transaction():
        untold = SlackWorkspace.select().where(
            SlackWorkspace.state == WorkspaceState.REMOVED, SlackWorkspace.told_at.is_null()
        )
        for workspace in locked(untold):
            _tell_operators(workspace, operators)
            SlackWorkspace.update(told_at=now_utc()).where(SlackWorkspace.id == workspace.id).execute()


def named(team_or_name: str) -> SlackWorkspace:
    """A workspace by its id or its name.

    Raises:
        NotFound: there is none, or several have that name.
    """
    wanted = team_or_name.strip().casefold()
    every = list(SlackWorkspace.select().order_by(SlackWorkspace.name))
    found = [one for one in every if wanted in {one.slack_team_id.casefold(), one.name.casefold()}]
    if len(found) != 1:
        known = ", ".join(f"`{one.slack_team_id}` ({escape(one.name)})" for one in every) or "none yet"
        raise NotFound(f"No workspace is called `{escape(team_or_name)}`. Connected by operators: {known}.")
    return found[0]


def show(team_or_name: str) -> Shown:
    return _shown(named(team_or_name))


def list_all() -> list[Shown]:
    return [_shown(workspace) for workspace in SlackWorkspace.select().order_by(SlackWorkspace.name)]


def refuse_elsewhere(tenant_id: UUID, team_id: str) -> None:
    """Keep a tenant's people and channels in its own workspace, which is no other one until the transaction ends.

    Raises:
        Conflict: `team_id` is another one.
    """
    own = value("SELECT slack_team_id FROM tenants WHERE id = %s FOR SHARE", (tenant_id,))
    is_at_home = own == team_id if own is not None else _found(team_id) is None
    if not is_at_home:
        raise Conflict(
            "This tenant belongs to another Slack workspace, and its people and channels are there. Do this in that "
            "workspace, or let an operator move the tenant: `workspace bind`."
        )


def home_of_new_tenant(team_id: str) -> str | None:
    """What a tenant is bound to that is made in a workspace: None for that of the settings."""
    return team_id if _found(team_id) is not None else None


def _found(team_id: str) -> SlackWorkspace | None:
    found: SlackWorkspace | None = SlackWorkspace.select().where(SlackWorkspace.slack_team_id == team_id).first()
    return found


def _locked(team_id: str) -> SlackWorkspace | None:
    found: SlackWorkspace | None = locked(
        SlackWorkspace.select().where(SlackWorkspace.slack_team_id == team_id)
    ).first()
    return found


def _shown(workspace: SlackWorkspace) -> Shown:
    team_id = workspace.slack_team_id
    tenants = rows(_TenantName, "SELECT tenant_name FROM tenants_of_workspace(%s)", (team_id,))
    waiting = int(value("SELECT posts_waiting_for(%s)", (team_id,)))
    return Shown(workspace, tuple(one.tenant_name for one in tenants), waiting)


@dataclass(frozen=True)
class _TenantName:
    tenant_name: str


def _end(workspace: SlackWorkspace, why: str, *, actor: str) -> None:
    """Forget the tokens and try nothing more; channels, people and what waits stay as they are."""
    changes = dict.fromkeys(_SECRETS) | {
        "state": WorkspaceState.REMOVED,
        "why": why,
        "removed_at": now_utc(),
        "updated_at": now_utc(),
    }
    SlackWorkspace.update(**changes).where(SlackWorkspace.id == workspace.id).execute()
    value("SELECT hold_posts_of(%s)", (workspace.slack_team_id,))
    audit.record(
        actor,
        "workspace.remove",
        workspace,
        tenant_id=None,
        before={"state": workspace.state.value},
        after={"why": why},
    )
    notify("workspaces")


def _tell_operators(workspace: SlackWorkspace, operators: Collection[str]) -> None:
    text = (
        f"The app is not in the Slack workspace *{escape(workspace.name)}* (`{workspace.slack_team_id}`) any more: "
        f"{workspace.why} Nothing is posted there; what customers write is kept. Install the app there again and run "
        "`workspace add`; then what waited is posted."
    )
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        if team_id != workspace.slack_team_id:
            tell_person(team_id, user_id, text, tenant_id=None)


def _opened(workspace: SlackWorkspace) -> Connected | None:
    try:
        bot_token, app_token, signing_secret = (_secret(workspace, column) for column in _SECRETS)
    except CannotDecrypt as error:
        unreadable.say(workspace.id, "the tokens of a workspace cannot be read", error, team_id=workspace.slack_team_id)
        return None
    unreadable.forget(workspace.id)
    place = Place(workspace.slack_team_id, workspace.name, workspace.bot_user_id, workspace.bot_id)
    return Connected(place, Tokens(bot_token or "", app_token, signing_secret), workspace.active_since)


def _secret(workspace: SlackWorkspace, column: str) -> str | None:
    envelope: str | None = getattr(workspace, column)
    return unseal(envelope, table=_TABLE, column=column, row=workspace.id) if envelope is not None else None
