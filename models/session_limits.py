"""What people set about a session's sending: the value of `waha_sessions.limits`, checked whole."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SessionLimits(BaseModel):
    """Every limit; None is what the settings of the installation say, or none.

    Args:
        new_contacts_per_day: how many people who never wrote to the account it may write to in a day of its tenant.
        quiet_from: when its quiet hours begin by its tenant's clock; with `quiet_to`, which may be on the next morning.
        human_like: whether it marks as read, types and pauses as a person would.
        canary_minutes: how often it writes to itself to see whether it hears; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    new_contacts_per_day: Annotated[int, Field(ge=0, le=10_000)] | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    human_like: bool | None = None
    canary_minutes: Annotated[int, Field(ge=5, le=1440)] | None = None

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("Quiet hours need a beginning and an end, such as 22:00-07:00.")
        return self

    @classmethod
    def of(cls, stored: dict[str, object]) -> Self:
        """From the column, where only what was set stands."""
        return cls.model_validate(stored)
