"""What may be asked of the four entities: every length, enum, e-mail, UUID and not-empty rule, broken in a sentence.

`Create…` has what a new row needs, `Update…` what may change later; a field that was not given stays as it is
(`request.changes()`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from models.enums import DesiredState, Direction, Engine, MessageStatus, SessionStatus, TenantStatus, UserRole

SESSION_NAME = r"^[a-z0-9][a-z0-9_-]*$"
NO_NUL = "must not hold the character U+0000"
UNICODE = "must be text in Unicode"
SURROGATE = re.compile("[\ud800-\udfff]")


def _storable_text(value: Any) -> Any:
    """What text takes: half of a surrogate pair is a Python string, but no Unicode."""
    if isinstance(value, str) and "\x00" in value:
        raise ValueError(NO_NUL)
    if isinstance(value, str) and SURROGATE.search(value):
        raise ValueError(UNICODE)
    return value


def _text(minimum: int, maximum: int) -> tuple[StringConstraints, BeforeValidator]:
    # The order matters: a validator before the constraints would make pydantic measure before it strips.
    return (
        StringConstraints(strip_whitespace=True, min_length=minimum, max_length=maximum),
        BeforeValidator(_storable_text),
    )


def _lower(value: str) -> str:
    return value.lower()


def _lowered(value: Any) -> Any:
    """Before a pattern that knows small letters only: people type names as they please."""
    return value.lower() if isinstance(value, str) else value


def _storable_json(value: dict[str, Any]) -> dict[str, Any]:
    """What jsonb takes: it refuses U+0000, half of a surrogate pair and numbers that are none."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError):
        raise ValueError("must hold nothing but JSON") from None
    if r"\u0000" in text.replace(r"\\", ""):
        raise ValueError(NO_NUL)
    return value


Text = Annotated[str, BeforeValidator(_storable_text)]
Object = Annotated[dict[str, Any], AfterValidator(_storable_json)]
TenantName = Annotated[str, *_text(1, 100)]
PersonName = Annotated[str, *_text(0, 50)]
# EmailStr admits at most 254 characters, RFC 5321's limit, which is inside the column's 255.
Email = Annotated[EmailStr, AfterValidator(_lower)]
ServerName = Annotated[str, *_text(1, 100)]
ChatId = Annotated[str, *_text(1, 255)]
PasswordHash = Annotated[str, *_text(1, 255)]
WahaMessageId = Annotated[str, *_text(1, 255)]
MessageType = Annotated[str, *_text(1, 50)]
MediaUrl = Annotated[str, *_text(1, 500)]
SessionName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=SESSION_NAME),
    BeforeValidator(_lowered),
]
Msisdn = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[0-9]+$")]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Update(Request):
    """At least one field; one that was not given stays as it is."""

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("Nothing to change was given.")
        return self


class CreateTenant(Request):
    name: TenantName
    status: TenantStatus = TenantStatus.ACTIVE
    description: Text | None = None
    settings: Object = Field(default_factory=dict)


class UpdateTenant(Update):
    name: TenantName = ""
    status: TenantStatus = TenantStatus.ACTIVE
    description: Text | None = None
    settings: Object = Field(default_factory=dict)


class CreateUser(Request):
    tenant_id: UUID
    email: Email
    role: UserRole
    first_name: PersonName = ""
    last_name: PersonName = ""
    password_hash: PasswordHash | None = Field(default=None, repr=False)
    is_active: bool = True
    preferences: Object = Field(default_factory=dict)


class UpdateUser(Update):
    email: Email = ""
    role: UserRole = UserRole.AUDITOR
    first_name: PersonName = ""
    last_name: PersonName = ""
    password_hash: PasswordHash | None = Field(default=None, repr=False)
    is_active: bool = True
    preferences: Object = Field(default_factory=dict)


class CreateWahaSession(Request):
    tenant_id: UUID
    name: SessionName
    server: ServerName
    engine: Engine = Engine.GOWS
    desired_state: DesiredState = DesiredState.RUNNING
    metadata: Object = Field(default_factory=dict)
    config: Object = Field(default_factory=dict, repr=False)


class UpdateWahaSession(Update):
    name: SessionName = ""
    status: SessionStatus = SessionStatus.STOPPED
    desired_state: DesiredState = DesiredState.RUNNING
    metadata: Object = Field(default_factory=dict)
    config: Object = Field(default_factory=dict, repr=False)
    error_message: Text | None = None


class CreateMessage(Request):
    """A text has a body, what else WhatsApp carries need not; the other side is known by chat id, often by number."""

    tenant_id: UUID
    session_id: UUID
    direction: Direction
    to_msisdn: Msisdn | None = None
    from_msisdn: Msisdn | None = None
    chat_id: ChatId
    body: Text = ""
    status: MessageStatus = MessageStatus.QUEUED
    waha_message_id: WahaMessageId | None = None
    message_type: MessageType = "text"
    media_url: MediaUrl | None = None
    metadata: Object = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.message_type == "text" and not self.body.strip():
            raise ValueError("The text is empty; write what should be sent.")
        return self


class UpdateMessage(Update):
    status: MessageStatus = MessageStatus.QUEUED
    waha_message_id: WahaMessageId | None = None
    error_message: Text | None = None
    metadata: Object = Field(default_factory=dict)


_SENTENCES = {
    "missing": "is needed",
    "extra_forbidden": "is not a field of this",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "enum": "must be one of {expected}",
    "uuid_parsing": "is not a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057",
    "uuid_type": "is not a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057",
    "string_type": "must be text",
    "string_unicode": UNICODE,
    "int_parsing": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_parsing": "must be yes or no",
    "bool_type": "must be yes or no",
    "dict_type": "must be an object of names and values",
}
_PATTERNS = {
    SESSION_NAME: "may hold small letters, digits, `-` and `_`, such as `sales-berlin`",
    "^[0-9]+$": "must be digits only, country code first, such as 4915123456789",
}


def explain(error: ValidationError, shown: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """A sentence for every rule that was broken, without repeating what was typed: it may be private.

    `shown` are what people know the fields as, such as {"email": "`--email`"}.
    """
    return [_sentence(broken, shown) for broken in error.errors(include_input=False, include_url=False)]


def _sentence(broken: Any, shown: Mapping[str, str]) -> str:
    field = ".".join(str(part) for part in broken["loc"])
    context = broken.get("ctx", {})
    if broken["type"] == "string_pattern_mismatch":
        rule = _PATTERNS.get(context["pattern"], "has characters that are not allowed")
    elif broken["type"] == "value_error" and "email" in field:
        rule = "is not an e-mail address, such as ana@example.org"
    elif broken["type"] == "value_error":
        rule = str(context["error"])
    else:
        rule = _SENTENCES.get(broken["type"], broken["msg"]).format(**context)
    return f"{shown.get(field) or field.replace('_', ' ').capitalize()} {rule}." if field else rule
