"""What a failed call to Slack means for the caller: may I send it again?

SlackError
├── SlackNotSent          yes: nothing left this machine
├── SlackRateLimited      yes, after `retry_after`: Slack did nothing
├── SlackUncertain        only after looking it up: it may have been carried out
└── SlackRefused          no: the same call is refused again until somebody changes something
    └── SlackTokenRefused no call at all will pass until the token or the installation is mended
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack.refusals import PLACE_REASONS, TOKEN_REASONS, refusal_of

if TYPE_CHECKING:
    from datetime import timedelta


class SlackError(Exception):
    """A call to Slack failed. `method` is Slack's name of it, such as `chat.postMessage`."""

    def __init__(self, method: str, sentence: str) -> None:
        super().__init__(f"{method}: {sentence}")
        self.method = method
        self.sentence = sentence


class SlackNotSent(SlackError):
    """The connection was never made, so Slack cannot have seen the request."""


class SlackUncertain(SlackError):
    """The request may have reached Slack; whether it was carried out is not known."""


class SlackRateLimited(SlackError):
    """Slack did nothing and asks for a pause, of this method in this workspace."""

    def __init__(self, method: str, retry_after: timedelta) -> None:
        super().__init__(method, f"Slack asks to wait {retry_after.total_seconds():g} s.")
        self.retry_after = retry_after


class SlackRefused(SlackError):
    """Slack did nothing and will not do it later either.

    `reason` is Slack's raw word, `sentence` says it to a person, `next_step` says what to do about it. `details` are
    Slack's own messages, such as the block at fault.
    """

    def __init__(self, method: str, reason: str, *, details: tuple[str, ...] = ()) -> None:
        refusal = refusal_of(reason)
        super().__init__(method, refusal.sentence)
        self.reason = reason
        self.next_step = refusal.next_step
        self.details = details

    @property
    def is_about_the_place(self) -> bool:
        """Whether the same call will be taken once somebody lets the bot in, or opens the channel again."""
        return self.reason in PLACE_REASONS

    def __str__(self) -> str:
        known = f"{self.method}: {self.sentence} ({self.reason})"
        return "; ".join((known, *self.details))


class SlackTokenRefused(SlackRefused):
    """The token or the installation is refused, so every other call will be too."""


def refused(method: str, reason: str, *, details: tuple[str, ...] = ()) -> SlackRefused:
    """The refusal for Slack's raw `reason`, as the class that says how far it reaches."""
    kind = SlackTokenRefused if reason in TOKEN_REASONS else SlackRefused
    return kind(method, reason, details=details)
