"""What a tenant decides about itself. Stored is only what differs from the defaults, so that these may change.

Sentences name a setting in bold: `login` in backticks would be the command.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast
from uuid import UUID

from pydantic import ValidationError

from database import set_tenant
from models import SlackIdentity, Tenant, User, now_utc
from models.enums import LoginProof
from models.requests import explain
from models.tenant_settings import TenantSettings
from operations import audit
from operations.errors import BadInput, NotFound
from operations.posting import tell_person
from operations.sql import locked
from operations.standing import Person
from operations.wording import quoted
from slack.mrkdwn import escape

DEFAULT: Final = "default"
"""The word that takes a setting back."""

_NOTHING = frozenset({"none", "never"})
_MEANS = {
    "login": "what proves who somebody is: `slack` alone, or a `password` as well",
    "login_hours": "how long a password does, in hours",
    "keep_messages_days": "after how many days messages are deleted with their texts; `never`: they are kept",
    "keep_audit_days": "after how many days entries of the audit are deleted; `never`: they are kept",
    "encrypted_fields": "JSON fields that are encrypted at rest, as `table.column`, with commas between; nothing is "
    "written into any of them yet",
    "time_zone": "the clock of its days, quiet hours and reports, such as `Europe/Berlin`",
}


@dataclass(frozen=True)
class Setting:
    """One setting as people read it."""

    key: str
    value: str
    default: str
    means: str

    @property
    def is_default(self) -> bool:
        return self.value == self.default


@dataclass(frozen=True)
class Changed:
    """A setting before and after; `without_password` are the Slack ids of who can no longer come in without one."""

    before: Setting
    after: Setting
    without_password: tuple[str, ...] = ()


def list_all(tenant_id: UUID) -> list[Setting]:
    settings = settings_of(tenant_id)
    return [_setting(settings, key) for key in TenantSettings.model_fields]


def settings_of(tenant_id: UUID) -> TenantSettings:
    """What counts in a tenant.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    set_tenant(tenant_id)
    tenant = Tenant.find(tenant_id)
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    return TenantSettings.of(tenant.settings)


def show(tenant_id: UUID, key: str) -> Setting:
    return _setting(settings_of(tenant_id), _key(key))


def shut_out(tenant_id: UUID, key: str, typed: str) -> list[Person]:
    """Who could do nothing more before they have given a password, if a setting were put so.

    Raises:
        BadInput: there is no such setting, or it cannot have this value.
    """
    before = settings_of(tenant_id)
    return _people(tenant_id) if _asks_now(before, _with(before, _key(key), typed)) else []


def put(tenant_id: UUID, key: str, typed: str, *, actor: str) -> Changed:
    """Set one setting, or take it back with `DEFAULT`. Whom it shuts out is told so directly, but for the actor.

    Raises:
        BadInput: there is no such setting, or it cannot have this value.
    """
    key = _key(key)
    set_tenant(tenant_id)
    tenant = locked(Tenant.live().where(Tenant.id == tenant_id)).first()
    if tenant is None:
        raise NotFound("This tenant was deleted.")
    before = TenantSettings.of(tenant.settings)
    after = _with(before, key, typed)
    if after != before:
        stored = after.model_dump(mode="json", exclude_defaults=True)
        Tenant.update(settings=stored, updated_at=now_utc()).where(Tenant.id == tenant_id).execute()
        audit.record(
            actor,
            "tenant.settings",
            tenant,
            tenant_id=tenant_id,
            before={key: before.model_dump(mode="json")[key]},
            after={key: after.model_dump(mode="json")[key]},
        )
    if not _asks_now(before, after):
        return Changed(_setting(before, key), _setting(after, key))
    _tell_shut_out(tenant, actor)
    without = tuple(one.user_id for one in _people(tenant_id, User.password_hash.is_null()))
    return Changed(_setting(before, key), _setting(after, key), without)


def _asks_now(before: TenantSettings, after: TenantSettings) -> bool:
    return after.login is LoginProof.PASSWORD and before.login is not LoginProof.PASSWORD


def _tell_shut_out(tenant: Tenant, actor: str) -> None:
    name, by = escape(tenant.name), actor.partition("/")[2]
    for person in _people(tenant.id):
        if person.key != actor:
            text = (
                f"*{name}* asks for a password from now on, as <@{by}> decided. Run `login --tenant {quoted(name)}`: "
                "it gives you a link to a page where you set or enter yours. Until then you can do nothing there."
            )
            tell_person(person.team_id, person.user_id, text, tenant_id=tenant.id)


def _with(before: TenantSettings, key: str, typed: str) -> TenantSettings:
    values: dict[str, Any] = before.model_dump(exclude_defaults=True)
    values.pop(key, None)
    if typed.strip().lower() != DEFAULT:
        values[key] = _value(key, typed.strip())
    try:
        return TenantSettings.model_validate(values)
    except ValidationError as error:
        raise BadInput(" ".join([*explain(error, {key: f"*{key}*"}), f"It is {_MEANS[key]}."])) from error


def _value(key: str, typed: str) -> object:
    is_nothing = typed.lower() in _NOTHING
    if isinstance(TenantSettings.model_fields[key].default, tuple):
        return () if is_nothing else tuple(part.strip() for part in typed.split(",") if part.strip())
    return None if is_nothing else typed.lower()


def _key(typed: str) -> str:
    key = typed.strip().lower().replace("-", "_")
    if key in TenantSettings.model_fields:
        return key
    near = difflib.get_close_matches(key, list(TenantSettings.model_fields), n=1)
    meant = f" Did you mean *{near[0]}*?" if near else ""
    known = ", ".join(f"*{name}*" for name in TenantSettings.model_fields)
    raise BadInput(f"There is no setting `{escape(typed)}`.{meant} There are {known}.")


def _setting(settings: TenantSettings, key: str) -> Setting:
    default = TenantSettings.model_fields[key].default
    return Setting(key, _shown(getattr(settings, key)), _shown(default), _MEANS[key])


def _shown(value: object) -> str:
    if value is None:
        return "never"
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "none"
    return value.value if isinstance(value, StrEnum) else str(value)


def _people(tenant_id: UUID, *only: Any) -> list[Person]:
    people = (
        User.select(SlackIdentity.slack_team_id, SlackIdentity.slack_user_id)
        .join(SlackIdentity, on=(SlackIdentity.user_id == User.id))
        .where(User.tenant_id == tenant_id, User.deleted_at.is_null(), User.is_active, *only)
        .where(SlackIdentity.deleted_at.is_null())
        .order_by(User.email)
        .tuples()
    )
    return [Person(team_id, user_id) for team_id, user_id in cast("Iterable[tuple[str, str]]", people)]
