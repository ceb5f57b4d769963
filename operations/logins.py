"""Being logged in: a password was right, and until when that counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from database import set_tenant, tenant_transaction
from models import Login, LoginProof, Tenant, User
from models.tenant_settings import TenantSettings
from operations import audit, page_links
from operations.errors import AmbiguousTenant, NoRole, NotAllowed, NotFound
from operations.page_links import Link
from operations.posting import tell_person
from operations.sql import changed, first, value
from operations.standing import Membership, Person, memberships, routes_of
from operations.wording import quoted
from slack.mrkdwn import escape, local_time


def succeed(link: Link, *, login_id: UUID, new_hash: str | None) -> datetime | None:
    """Use the link up and let its person in; until when. None when it was used meanwhile, or is over.

    Args:
        link: its password was right, or there was none yet.
        login_id: the same for a repetition, which changes nothing more.
        new_hash: of the password that was chosen, which ends all other logins of the person in this tenant.
    """
    with tenant_transaction(link.tenant_id):
        if (before := Login.get_or_none(Login.id == login_id)) is not None:
            return before.expires_at
        if not _is_unchanged(link) or not _use_up(link):
            return None
        if new_hash is not None:
            _set_password(link, new_hash)
        return _let_in(link, login_id)


def _is_unchanged(link: Link) -> bool:
    """Whether the password is still the one that was looked at, and its user still let in; locks the user."""
    found = first(
        _Checked,
        "SELECT password_hash FROM users WHERE tenant_id = %s AND id = %s AND is_active AND deleted_at IS NULL "
        "FOR NO KEY UPDATE",
        (link.tenant_id, link.user_id),
    )
    return found is not None and found.password_hash == link.password_hash


@dataclass(frozen=True)
class _Checked:
    password_hash: str | None = field(repr=False)


def _use_up(link: Link) -> bool:
    return bool(
        changed(
            "UPDATE page_links SET used_at = clock_timestamp() WHERE tenant_id = %s AND id = %s "
            "AND used_at IS NULL AND expires_at > clock_timestamp()",
            (link.tenant_id, link.link_id),
        )
    )


def _set_password(link: Link, new_hash: str) -> None:
    changed(
        "UPDATE users SET password_hash = %s, updated_at = clock_timestamp() WHERE tenant_id = %s AND id = %s",
        (new_hash, link.tenant_id, link.user_id),
    )
    end_all(link.tenant_id, link.user_id)
    audit.record(
        link.person.key,
        "login.password_set",
        User.get_by_id(link.user_id),
        tenant_id=link.tenant_id,
        after={"was": "none" if link.password_hash is None else "another one"},
    )


def _let_in(link: Link, login_id: UUID) -> datetime:
    changed(
        "UPDATE users SET failed_logins = 0, locked_until = NULL, last_login_at = clock_timestamp() "
        "WHERE tenant_id = %s AND id = %s",
        (link.tenant_id, link.user_id),
    )
    hours = _settings_of(link.tenant_id).login_hours
    changed(
        "INSERT INTO logins (id, tenant_id, user_id, slack_team_id, slack_user_id, expires_at) "
        "VALUES (%s, %s, %s, %s, %s, clock_timestamp() + %s)",
        (login_id, link.tenant_id, link.user_id, link.person.team_id, link.person.user_id, timedelta(hours=hours)),
    )
    until = value("SELECT expires_at FROM logins WHERE tenant_id = %s AND id = %s", (link.tenant_id, login_id))
    audit.record(
        link.person.key,
        "login.success",
        User.get_by_id(link.user_id),
        tenant_id=link.tenant_id,
        after={"until": until.isoformat()},
    )
    tenant = escape(link.tenant_name)
    tell_person(
        link.person.team_id,
        link.person.user_id,
        f"You are logged in to *{tenant}* until {local_time(until)}. If that was not you, run "
        f"`logout --tenant {quoted(tenant)}` at once and tell one of its administrators.",
        tenant_id=link.tenant_id,
        slot=f"login:{login_id}",
    )
    return cast("datetime", until)


def end_all(tenant_id: UUID, user_id: UUID) -> int:
    """Nobody is logged in as this user any more, nor can be by a link told before; how many logins that ended.

    In the running transaction, whose tenant it sets. Also for who is deactivated or removed. The entry in the audit is
    the caller's.
    """
    set_tenant(tenant_id)
    page_links.withdraw(tenant_id, user_id)
    return changed(
        "UPDATE logins SET ended_at = clock_timestamp() WHERE tenant_id = %s AND user_id = %s "
        "AND ended_at IS NULL AND expires_at > clock_timestamp()",
        (tenant_id, user_id),
    )


def log_out(mine: Membership, person: Person) -> int:
    """End all of one's logins in a tenant, in the running transaction; how many there were."""
    ended = end_all(mine.tenant_id, mine.user_id)
    if ended:
        user = User.get_by_id(mine.user_id)
        audit.record(person.key, "logout", user, tenant_id=mine.tenant_id, after={"ended": ended})
    return ended


def forget_password(tenant_id: UUID, user_id: UUID, *, told: Person, actor: str) -> bool:
    """Take a password away, so that its user chooses another by the next link; False when there was none.

    In the running transaction. A lock ends with the password that it protected. The user, who is the Slack user `told`,
    learns of it.
    """
    set_tenant(tenant_id)
    forgotten = changed(
        "UPDATE users SET password_hash = NULL, failed_logins = 0, locked_until = NULL, updated_at = clock_timestamp() "
        "WHERE tenant_id = %s AND id = %s AND password_hash IS NOT NULL",
        (tenant_id, user_id),
    )
    if not forgotten:
        return False
    ended = end_all(tenant_id, user_id)
    user = User.get_by_id(user_id)
    audit.record(actor, "login.password_forgotten", user, tenant_id=tenant_id, after={"ended": ended})
    tenant = escape(Tenant.get_by_id(tenant_id).name)
    tell_person(
        told.team_id,
        told.user_id,
        f"<@{actor.partition('/')[2]}> made *{tenant}* forget your password and ended your logins. Choose another one "
        f"with `login --tenant {quoted(tenant)}`.",
        tenant_id=tenant_id,
    )
    return True


def proof_of(tenant_id: UUID) -> LoginProof:
    """What proves to a tenant who somebody is."""
    set_tenant(tenant_id)
    return _settings_of(tenant_id).login


def _settings_of(tenant_id: UUID) -> TenantSettings:
    return TenantSettings.of(Tenant.get_by_id(tenant_id).settings)


def own_membership(
    person: Person, *, channel_id: str, tenant_name: str | None = None, tenant_id: UUID | None = None
) -> Membership:
    """What one is in the tenant that one means, also while that asks for a password.

    Raises:
        NoRole: the person is nobody here.
        NotFound: no tenant of theirs has that name.
        AmbiguousTenant: several could be meant.
        NotAllowed: the person is kept out by more than a password.
    """
    mine = memberships(person)
    if not mine:
        raise NoRole("You have no role in any tenant here, so there is nothing to log in to.")
    if tenant_name is not None:
        meant = _named(mine, tenant_name)
    else:
        meant = _meant(mine, tenant_id, {route.tenant_id for route in routes_of(person.team_id, channel_id)})
    if meant.outside or not meant.is_active:
        raise NotAllowed(meant.closed_because)
    return meant


def _named(mine: Sequence[Membership], name: str) -> Membership:
    wanted = name.strip().casefold()
    found = [one for one in mine if one.tenant_name.casefold() == wanted]
    exact = [one for one in found if one.tenant_name == name.strip()]
    if len(exact or found) != 1:
        raise NotFound(f"You have no tenant called `{escape(name)}`. Yours: {_names(mine)}.")
    return (exact or found)[0]


def _meant(mine: Sequence[Membership], tenant_id: UUID | None, of_channel: Collection[UUID]) -> Membership:
    for told in (
        [one for one in mine if one.tenant_id == tenant_id],
        [one for one in mine if one.tenant_id in of_channel],
        [one for one in mine if one.is_chosen],
        mine,
        # There is nothing to log in to anywhere else.
        [one for one in mine if one.needs_login],
    ):
        if len(told) == 1:
            return told[0]
    raise AmbiguousTenant(
        f"Which tenant? Add `--tenant NAME`, with one of: {_names(mine)}.",
        [(one.tenant_id, one.tenant_name) for one in mine],
    )


def _names(mine: Sequence[Membership]) -> str:
    return ", ".join(f"`{escape(one.tenant_name)}`" for one in mine)
