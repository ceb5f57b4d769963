"""Who is asking, for which tenant, and in which role. Never a guess: what is ambiguous is asked back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from models import TenantStatus, UserRole
from operations.errors import AmbiguousTenant, NoRole, NotAllowed, NotFound
from operations.permissions import ROLES_OF, WHILE_DEACTIVATED, Permission, may, who_may
from operations.sql import rows, value
from operations.wording import quoted
from slack.mrkdwn import escape


@dataclass(frozen=True)
class Person:
    """A Slack user, as Slack named them."""

    team_id: str
    user_id: str

    @property
    def key(self) -> str:
        return f"{self.team_id}/{self.user_id}"


@dataclass(frozen=True)
class Membership:
    """What a person is in one tenant."""

    tenant_id: UUID
    tenant_name: str
    tenant_status: str
    user_id: UUID
    role: str
    is_active: bool
    is_chosen: bool
    needs_login: bool
    outside: str

    @property
    def role_held(self) -> UserRole | None:
        """The role that counts now: none while something keeps the person out."""
        return None if self.closed_because else UserRole(self.role)

    @property
    def role_kept(self) -> UserRole | None:
        """The role that counts for what was asked for before: a login that ran out meanwhile takes nothing back."""
        return UserRole(self.role) if self.is_active and not self.outside else None

    @property
    def closed_because(self) -> str:
        """Why the person is not let in although they have a role, and what would be right; "" when they are."""
        tenant = escape(self.tenant_name)
        if self.outside:
            return kept_out(self.outside)
        if not self.is_active:
            return f"Your account in *{tenant}* is deactivated. Ask one of its administrators."
        if self.needs_login:
            return f"*{tenant}* asks for your password. Run `login --tenant {quoted(tenant)}`, then do this again."
        return ""


_OUTSIDE = {
    "guest": "You are a guest in this Slack workspace, and guests are not let in",
    "stranger": "You belong to another company's Slack workspace, and are not let in here",
    "deactivated": "Your Slack account is deactivated",
    "bot": "Bots are not let in",
}


def kept_out(outside: str) -> str:
    """To somebody whom Slack does not count as the workspace's own: why that closes every door, and whom to ask."""
    return f"{_OUTSIDE[outside]}. Ask an administrator of this Slack workspace for a full account."


@dataclass(frozen=True)
class Route:
    """What a Slack channel is linked to; without a session it is for all of the tenant's."""

    tenant_id: UUID
    tenant_name: str
    session_id: UUID | None
    purpose: str


@dataclass(frozen=True)
class TenantLine:
    """A tenant in the operators' list."""

    tenant_id: UUID
    tenant_name: str
    tenant_status: str
    sessions: int
    users: int
    created_at: object


@dataclass(frozen=True)
class Standing:
    """A person before a tenant: what they may do is decided from this alone.

    `closed_because` is why an operator's role does not count now, "" where it does or there is none.
    """

    person: Person
    tenant_id: UUID
    tenant_name: str
    tenant_status: TenantStatus
    role: UserRole | None
    user_id: UUID | None
    is_operator: bool
    closed_because: str = ""

    def require(self, permission: Permission) -> None:
        """Refuse whoever may not.

        Raises:
            NotAllowed: the role does not include it, or the tenant is deactivated.
        """
        if not may(permission, self.role, is_operator=self.is_operator):
            role = self.role or ("operator" if self.is_operator else "nobody")
            raise NotAllowed(
                f"That needs {who_may(permission)} in *{escape(self.tenant_name)}*; you are {role} there. "
                f"{self._way_out(permission)}"
            )
        if self.tenant_status is not TenantStatus.ACTIVE and permission not in WHILE_DEACTIVATED:
            raise NotAllowed(
                f"*{escape(self.tenant_name)}* is deactivated: nothing is sent and nothing is shown, and what "
                f"customers write is kept. Ask an operator to run `tenant activate {quoted(escape(self.tenant_name))}`."
            )

    def _way_out(self, permission: Permission) -> str:
        if self.closed_because:
            # They have a role: giving it to them again would take a higher one away.
            return self.closed_because
        if not self.is_operator:
            return "Ask one of its administrators." if ROLES_OF[permission] else "Ask an operator of this installation."
        least = [role for role in UserRole if role in ROLES_OF[permission]][-1]
        tenant = quoted(escape(self.tenant_name))
        return f"Give yourself the role: `user add <@{self.person.user_id}> {least} --tenant {tenant}`."


def memberships(person: Person) -> list[Membership]:
    return rows(Membership, "SELECT * FROM tenants_of(%s, %s)", (person.team_id, person.user_id))


def routes_of(team_id: str, channel_id: str) -> list[Route]:
    return rows(Route, "SELECT * FROM route_of(%s, %s)", (team_id, channel_id))


def all_tenants() -> list[TenantLine]:
    return rows(TenantLine, "SELECT * FROM list_tenants()")


def require_somewhere(person: Person, permission: Permission, *, operators: Collection[str]) -> None:
    """Refuse whoever may not do this in any tenant, for what names none.

    Raises:
        NoRole: the person is nobody here.
        NotAllowed: they are kept out wherever they could, or their role includes it nowhere.
    """
    is_operator, mine = person.key in operators, memberships(person)
    if may(permission, None, is_operator=is_operator) or any(
        may(permission, one.role_held, is_operator=False) for one in mine
    ):
        return
    if not mine:
        raise _no_role(person)
    reasons = [one.closed_because for one in mine if one.closed_because]
    raise NotAllowed(reasons[0] if reasons else f"That needs {who_may(permission)}; you are {mine[0].role}.")


def _no_role(person: Person) -> NoRole:
    return NoRole(
        "You have no role in any tenant here, so this was not done. Ask an administrator of your tenant to run "
        f"`user invite <@{person.user_id}> AGENT`."
    )


def stand(
    person: Person,
    *,
    channel_id: str,
    tenant_name: str | None,
    operators: Collection[str],
    tenant_id: UUID | None = None,
) -> Standing:
    """Find the tenant that a person speaks of: named, else the channel's, else the one they chose, else their only one.

    `tenant_id` is one that they were offered and took, which is nobody's word for it: they must still belong there.

    Raises:
        NoRole: the person is nobody here.
        NotAllowed: something keeps the person out, such as a deactivated account.
        NotFound: no tenant of theirs has that name or id.
        AmbiguousTenant: several could be meant.
    """
    is_operator = person.key in operators
    mine = memberships(person)
    if not mine and not is_operator:
        raise _no_role(person)
    choices: Sequence[Membership | TenantLine] = all_tenants() if is_operator else mine
    if tenant_id is not None:
        chosen = _with_id(choices, tenant_id)
    elif tenant_name is not None:
        chosen = _named(choices, tenant_name)
    else:
        chosen = _meant(person, mine, choices, channel_id)
    membership = next((one for one in mine if one.tenant_id == chosen.tenant_id), None)
    if membership is not None and not is_operator and (reason := membership.closed_because):
        raise NotAllowed(reason)
    return Standing(
        person=person,
        tenant_id=chosen.tenant_id,
        tenant_name=chosen.tenant_name,
        tenant_status=TenantStatus(chosen.tenant_status),
        role=membership.role_held if membership else None,
        user_id=membership.user_id if membership else None,
        is_operator=is_operator,
        closed_because=membership.closed_because if membership else "",
    )


def _meant(
    person: Person, mine: Sequence[Membership], choices: Sequence[Membership | TenantLine], channel_id: str
) -> Membership | TenantLine:
    channel = {route.tenant_id for route in routes_of(person.team_id, channel_id)}
    if of_channel := [one for one in choices if one.tenant_id in channel]:
        return of_channel[0]
    # Operators choose among all, also where they are nobody.
    chosen_id = value("SELECT chosen_tenant(%s, %s)", (person.team_id, person.user_id))
    if chosen := [one for one in choices if one.tenant_id == chosen_id]:
        return chosen[0]
    # A deactivated account leaves no choice open: what is left is meant, and if nothing is, it is said why.
    for able in ([one for one in mine if one.is_active], mine):
        if len(able) == 1:
            return able[0]
    if not choices:
        raise NotFound("There is no tenant yet. Create one with `tenant create NAME`.")
    raise AmbiguousTenant(
        f"Which tenant? Add `--tenant NAME`, with one of: {_names(choices)}.",
        [(one.tenant_id, one.tenant_name) for one in choices],
    )


def _with_id(choices: Sequence[Membership | TenantLine], tenant_id: UUID) -> Membership | TenantLine:
    found = next((one for one in choices if one.tenant_id == tenant_id), None)
    if found is None:
        raise NotFound("You have no such tenant any more." + (f" Yours: {_names(choices)}." if choices else ""))
    return found


def _named(choices: Sequence[Membership | TenantLine], name: str) -> Membership | TenantLine:
    wanted = name.strip().casefold()
    found = [one for one in choices if one.tenant_name.casefold() == wanted]
    exact = [one for one in found if one.tenant_name == name.strip()]
    if len(exact or found) == 1:
        return (exact or found)[0]
    raise NotFound(f"You have no tenant called `{escape(name)}`. " + (f"Yours: {_names(choices)}." if choices else ""))


def _names(choices: Sequence[Membership | TenantLine]) -> str:
    shown = [f"`{escape(one.tenant_name)}`" for one in choices[:20]]
    return ", ".join(shown) + (f" and {len(choices) - 20} more" if len(choices) > len(shown) else "")
