"""Who may do what: one table, which the help, the docs and the checks read. What is not in it, nobody may do."""

from __future__ import annotations

from enum import StrEnum

from models import UserRole

_ADMIN = frozenset({UserRole.TENANT_ADMIN})
_LEADERS = _ADMIN | {UserRole.MANAGER}
_WRITERS = _LEADERS | {UserRole.AGENT}
_CONTROLLERS = _ADMIN | {UserRole.AUDITOR}
_EVERYONE = frozenset(UserRole)
_OPERATORS_ONLY: frozenset[UserRole] = frozenset()


class Permission(StrEnum):
    TENANT_CREATE = "tenant.create"
    TENANT_LIST = "tenant.list"
    TENANT_SHOW = "tenant.show"
    TENANT_UPDATE = "tenant.update"
    TENANT_SETTINGS = "tenant.settings"
    TENANT_ACTIVATE = "tenant.activate"
    TENANT_DELETE = "tenant.delete"
    TENANT_USE = "tenant.use"
    USER_ADD = "user.add"
    USER_SHOW = "user.show"
    USER_MANAGE = "user.manage"
    SESSION_CONTROL = "session.control"
    SESSION_ADOPT = "session.adopt"
    SESSION_SHOW = "session.show"
    CHANNEL_LINK = "channel.link"
    CHANNEL_LIST = "channel.list"
    MESSAGE_SEND = "message.send"
    MESSAGE_SHOW = "message.show"
    CONTACT_RIGHTS = "contact.rights"
    REPORT_NOW = "report.now"
    REPORT_SHOW = "report.show"
    REPORT_SCHEDULE = "report.schedule"
    SERVER_MANAGE = "server.manage"
    INSTALLATION_CHECK = "installation.check"
    AUDIT_SHOW = "audit.show"
    AUDIT_INSTALLATION = "audit.installation"
    WORKSPACE_MANAGE = "workspace.manage"
    # Of oneself and of nobody else: what may be asked for, who one is, to be let in.
    ONESELF = "oneself"


ROLES_OF: dict[Permission, frozenset[UserRole]] = {
    Permission.TENANT_CREATE: _OPERATORS_ONLY,
    Permission.TENANT_LIST: _OPERATORS_ONLY,
    Permission.TENANT_SHOW: _EVERYONE,
    Permission.TENANT_UPDATE: _ADMIN,
    Permission.TENANT_SETTINGS: _ADMIN,
    Permission.TENANT_ACTIVATE: _OPERATORS_ONLY,
    Permission.TENANT_DELETE: _OPERATORS_ONLY,
    Permission.TENANT_USE: _EVERYONE,
    Permission.USER_ADD: _ADMIN,
    Permission.USER_SHOW: _EVERYONE,
    Permission.USER_MANAGE: _ADMIN,
    Permission.SESSION_CONTROL: _LEADERS,
    # Whoever guesses a name on a shared server must not get another organisation's account by it.
    Permission.SESSION_ADOPT: _OPERATORS_ONLY,
    Permission.SESSION_SHOW: _EVERYONE,
    Permission.CHANNEL_LINK: _LEADERS,
    Permission.CHANNEL_LIST: _EVERYONE,
    Permission.MESSAGE_SEND: _WRITERS,
    Permission.MESSAGE_SHOW: _EVERYONE,
    Permission.CONTACT_RIGHTS: _ADMIN,
    Permission.REPORT_NOW: _LEADERS | {UserRole.AUDITOR},
    Permission.REPORT_SHOW: _EVERYONE,
    Permission.REPORT_SCHEDULE: _LEADERS,
    Permission.SERVER_MANAGE: _OPERATORS_ONLY,
    Permission.INSTALLATION_CHECK: _OPERATORS_ONLY,
    Permission.AUDIT_SHOW: _CONTROLLERS,
    Permission.AUDIT_INSTALLATION: _OPERATORS_ONLY,
    Permission.WORKSPACE_MANAGE: _OPERATORS_ONLY,
    Permission.ONESELF: _EVERYONE,
}

# An operator runs the installation: makes tenants, lets their first people in, and sees what runs. Customers are the
# tenant's own matter; who reads or writes messages there has a role there, which leaves an entry in the audit.
FOR_OPERATORS = frozenset(
    {
        Permission.TENANT_CREATE,
        Permission.TENANT_LIST,
        Permission.TENANT_SHOW,
        Permission.TENANT_UPDATE,
        Permission.TENANT_SETTINGS,
        Permission.TENANT_ACTIVATE,
        Permission.TENANT_DELETE,
        Permission.TENANT_USE,
        Permission.USER_ADD,
        Permission.USER_SHOW,
        Permission.USER_MANAGE,
        Permission.SESSION_ADOPT,
        Permission.SESSION_SHOW,
        Permission.CHANNEL_LIST,
        Permission.REPORT_SHOW,
        Permission.SERVER_MANAGE,
        Permission.INSTALLATION_CHECK,
        Permission.AUDIT_SHOW,
        Permission.AUDIT_INSTALLATION,
        Permission.WORKSPACE_MANAGE,
        Permission.ONESELF,
    }
)

# Also whoever has no role anywhere: it shows and changes nothing of any tenant.
FOR_ANYBODY = frozenset({Permission.ONESELF})

# What does not name one tenant: the installation's, and one's own.
WITHOUT_TENANT = frozenset(
    {
        Permission.TENANT_CREATE,
        Permission.TENANT_LIST,
        Permission.TENANT_ACTIVATE,
        Permission.TENANT_DELETE,
        Permission.TENANT_USE,
        Permission.AUDIT_INSTALLATION,
        Permission.SERVER_MANAGE,
        Permission.INSTALLATION_CHECK,
        Permission.WORKSPACE_MANAGE,
        Permission.ONESELF,
    }
)

# What goes on in a tenant that is deactivated: looking after the house, and the rights of whoever is in its rows.
# Nothing is sent, and no customer's message is shown.
WHILE_DEACTIVATED = WITHOUT_TENANT | {
    Permission.TENANT_SHOW,
    Permission.TENANT_UPDATE,
    Permission.TENANT_SETTINGS,
    Permission.USER_ADD,
    Permission.USER_SHOW,
    Permission.USER_MANAGE,
    Permission.SESSION_SHOW,
    Permission.CHANNEL_LIST,
    Permission.REPORT_SHOW,
    Permission.CONTACT_RIGHTS,
    Permission.AUDIT_SHOW,
}


def may(permission: Permission, role: UserRole | None, *, is_operator: bool) -> bool:
    if permission in FOR_ANYBODY or (is_operator and permission in FOR_OPERATORS):
        return True
    return role is not None and role in ROLES_OF[permission]


def who_may(permission: Permission) -> str:
    """For the help and for refusals: `TENANT_ADMIN, MANAGER or operator`."""
    if permission in FOR_ANYBODY:
        return "everybody"
    names = [role.value for role in UserRole if role in ROLES_OF[permission]]
    names += ["operator"] if permission in FOR_OPERATORS else []
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
