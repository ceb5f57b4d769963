"""How envelopes reach the app, and what comes of it: by Socket Mode, or by HTTP once an address is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from sandbox.slack.http_mode import HttpMode
    from sandbox.slack.refusal import Json
    from sandbox.slack.socket_mode import SocketMode

Kind: TypeAlias = Literal["events_api", "slash_commands", "interactive"]
# As Slack names them when it repeats an event; Socket Mode knows the first and `connection_failed` only.
Reason: TypeAlias = Literal["timeout", "http_timeout", "connection_failed", "http_error"]


@dataclass(frozen=True)
class Ack:
    """The app took an envelope; `payload` is what it answered with, if anything."""

    payload: object
    after_seconds: float


@dataclass(frozen=True)
class Undelivered:
    """The app did not take it. `final`: it asked not to be told again (`x-slack-no-retry: 1`)."""

    reason: Reason
    final: bool = False

    @property
    def shown(self) -> str:
        """What the person sees whose command or click this was."""
        return "operation_timeout" if self.reason in {"timeout", "http_timeout"} else "dispatch_failed"


@dataclass
class Envelope:
    """Something to tell the app; only events are repeated."""

    kind: Kind
    payload: Json
    retry_attempt: int = 0
    retry_reason: str = ""


@dataclass
class Delivery:
    """The way to the app that is in use."""

    socket_mode: SocketMode
    http_mode: HttpMode | None = None

    async def send(self, envelope: Envelope) -> Ack | Undelivered:
        """Tell the app, once."""
        return await (self.http_mode or self.socket_mode).send(envelope)
