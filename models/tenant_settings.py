"""What a tenant decides about itself: the value of `tenants.settings`, checked whole."""

from __future__ import annotations

import difflib
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.enums import LoginProof

# A message is kept at least until nothing that it takes part in can still happen to it.
Days = Annotated[int, Field(ge=7, le=36_500)]

# JSON of which no statement reads a part. In the others PostgreSQL has to see what stands there.
ENCRYPTABLE = ("contacts.metadata", "messages.raw_payload", "users.preferences")


class TenantSettings(BaseModel):
    """Every setting with its default. A key that is not here is not a setting.

    Args:
        login: what proves who somebody is: Slack's sign-in, or a password as well, which does for `login_hours`.
        keep_messages_days: when messages are deleted with their texts; None: never.
        keep_audit_days: the same for entries of the audit.
        encrypted_fields: JSON fields whose values are encrypted at rest, as `table.column`.
        time_zone: the clock of its days, quiet hours and reports, such as `Europe/Berlin`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    login: LoginProof = LoginProof.SLACK
    login_hours: Annotated[int, Field(ge=1, le=720)] = 12
    keep_messages_days: Days | None = None
    keep_audit_days: Days | None = None
    encrypted_fields: tuple[str, ...] = ()
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in available_timezones():
            near = difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0.4)
            raise ValueError(f"is no time zone; {f'did you mean {near[0]}?' if near else 'write it as Europe/Berlin'}")
        return name

    @field_validator("encrypted_fields")
    @classmethod
    def _can_be_encrypted(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [field for field in fields if field not in ENCRYPTABLE]:
            raise ValueError(f"cannot be {unknown[0]}: choose from {', '.join(ENCRYPTABLE)}")
        return tuple(dict.fromkeys(fields))

    @classmethod
    def of(cls, stored: dict[str, object]) -> Self:
        """From the column, where only what differs from the defaults stands."""
        return cls.model_validate(stored)
