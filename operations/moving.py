"""A tenant's move to another Slack workspace. Its people and channels are in one and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from models import ChannelRoute, Tenant, User, now_utc
from operations import audit, users
from operations.colleagues import take_turns
from operations.errors import Conflict, NotFound
from operations.sql import changed, locked, rows
from operations.standing import all_tenants
from operations.wording import counted
from slack.mrkdwn import escape

# No team means the workspace of the settings, and whatever was not connected by operators.
_ELSEWHERE = """
    CASE WHEN %(team)s::text IS NULL THEN slack_team_id IN (SELECT w.slack_team_id FROM slack_workspaces w)
    ELSE slack_team_id <> %(team)s END
"""


@dataclass(frozen=True)
class Moved:
    """A tenant where it is now; `left` is the e-mail address of who was its last person where it was."""

    tenant_name: str
    left: str = ""


def bind(tenant_name: str, team_id: str | None, *, actor: str) -> Moved:
    """Let a tenant belong to a workspace, None for that of the settings.

    The last of its people there is taken out: nobody else may remove the last administrator.

    Raises:
        NotFound: there is no such tenant.
        Conflict: it shows its conversations in channels of another workspace, or has more people there.
    """
    wanted = tenant_name.strip().casefold()
    found = next((one for one in all_tenants() if one.tenant_name.casefold() == wanted), None)
    if found is None:
        raise NotFound(f"There is no tenant called `{escape(tenant_name)}`; see `tenant list`.")
    take_turns(found.tenant_id)
    tenant: Tenant = locked(Tenant.live().where(Tenant.id == found.tenant_id)).get()
    if tenant.slack_team_id == team_id:
        return Moved(tenant.name)
    _refuse_channels(tenant)
    last = _last_elsewhere(tenant, team_id)
    if last is not None:
        users.take_out(last, actor=actor)
    _withdraw_invitations(tenant, team_id)
    Tenant.update(slack_team_id=team_id, updated_at=now_utc()).where(Tenant.id == tenant.id).execute()
    audit.record(
        actor,
        "tenant.bind",
        tenant,
        tenant_id=tenant.id,
        before={"team": tenant.slack_team_id},
        after={"team": team_id},
    )
    return Moved(tenant.name, last.email if last is not None else "")


def _refuse_channels(tenant: Tenant) -> None:
    routes = ChannelRoute.live().where(ChannelRoute.tenant_id == tenant.id)
    if linked := routes.count():
        raise Conflict(
            f"*{escape(tenant.name)}* has {counted(linked, 'channel')} in the workspace where it is now. Unlink them "
            "there first: `channel list`, `channel unlink`."
        )


@dataclass(frozen=True)
class _Somebody:
    user_id: UUID


def _last_elsewhere(tenant: Tenant, team_id: str | None) -> User | None:
    """Who alone is somebody in the tenant from another workspace.

    Raises:
        Conflict: several are.
    """
    people = rows(
        _Somebody,
        "SELECT DISTINCT user_id FROM slack_identities "  # noqa: S608 - our own words
        f"WHERE tenant_id = %(tenant)s AND deleted_at IS NULL AND {_ELSEWHERE}",
        {"tenant": tenant.id, "team": team_id},
    )
    if len(people) > 1:
        raise Conflict(
            f"*{escape(tenant.name)}* has {len(people)} people in the workspace where it is now. "
            "Remove them first, all but the last administrator, whom the move takes out: `user list`, `user remove`."
        )
    return User.get(User.tenant_id == tenant.id, User.id == people[0].user_id) if people else None


def _withdraw_invitations(tenant: Tenant, team_id: str | None) -> None:
    """Nobody comes in from where the tenant is no more."""
    changed(
        "UPDATE invitations SET withdrawn_at = clock_timestamp() WHERE tenant_id = %(tenant)s "  # noqa: S608
        f"AND accepted_at IS NULL AND declined_at IS NULL AND withdrawn_at IS NULL AND {_ELSEWHERE}",
        {"tenant": tenant.id, "team": team_id},
    )
