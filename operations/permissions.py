"""Who may do what: one table, which the help and the checks read. What is not in it, nobody may do."""

from __future__ import annotations

from enum import StrEnum

from models import UserRole

_ADMIN = frozenset({UserRole.TENANT_ADMIN})
_LEADERS = _ADMIN | {UserRole.MANAGER}
_WRITERS = _LEADERS | {UserRole.AGENT}
_EVERYONE = frozenset(UserRole)
_OPERATORS_ONLY: frozenset[UserRole] = frozenset()


class Permission(StrEnum):
    TENANT_CREATE = "tenant.create"
    TENANT_LIST = "tenant.list"
    TENANT_SHOW = "tenant.show"
    USER_ADD = "user.add"
    SESSION_CONTROL = "session.control"
    SESSION_SHOW = "session.show"
    CHANNEL_LINK = "channel.link"
    CHANNEL_LIST = "channel.list"
    MESSAGE_SEND = "message.send"
    MESSAGE_SHOW = "message.show"
    REPORT_NOW = "report.now"


ROLES_OF: dict[Permission, frozenset[UserRole]] = {
    Permission.TENANT_CREATE: _OPERATORS_ONLY,
    Permission.TENANT_LIST: _OPERATORS_ONLY,
    Permission.TENANT_SHOW: _EVERYONE,
    Permission.USER_ADD: _ADMIN,
    Permission.SESSION_CONTROL: _LEADERS,
    Permission.SESSION_SHOW: _EVERYONE,
    Permission.CHANNEL_LINK: _LEADERS,
    Permission.CHANNEL_LIST: _EVERYONE,
    Permission.MESSAGE_SEND: _WRITERS,
    Permission.MESSAGE_SHOW: _EVERYONE,
    Permission.REPORT_NOW: _LEADERS | {UserRole.AUDITOR},
}

# An operator runs the installation: makes tenants, lets their first people in, and sees what runs. Customers are the
# tenant's own matter; who reads or writes messages there has a role there, which leaves an entry in the audit.
FOR_OPERATORS = frozenset(
    {
        Permission.TENANT_CREATE,
        Permission.TENANT_LIST,
        Permission.TENANT_SHOW,
        Permission.USER_ADD,
        Permission.SESSION_SHOW,
        Permission.CHANNEL_LIST,
    }
)


def may(permission: Permission, role: UserRole | None, *, is_operator: bool) -> bool:
    if is_operator and permission in FOR_OPERATORS:
        return True
    return role is not None and role in ROLES_OF[permission]


def who_may(permission: Permission) -> str:
    """For the help and for refusals: `TENANT_ADMIN, MANAGER or operator`."""
    names = [role.value for role in UserRole if role in ROLES_OF[permission]]
    names += ["operator"] if permission in FOR_OPERATORS else []
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
