"""What to tell the person. The sentence of every one of these is shown as it is, in Slack's mrkdwn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class Refused(Exception):
    """What was asked for is not done; the sentence says why and what would be right."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BadInput(Refused):
    """What was typed cannot be meant."""


class NotFound(Refused):
    """There is no such thing in this tenant."""


class Conflict(Refused):
    """It exists already, or something else is in the way."""


class NotAllowed(Refused):
    """The person may not; the sentence says whom to ask."""


class NoRole(NotAllowed):
    """The person has no role in any tenant."""


class AmbiguousTenant(Refused):
    """Several tenants could be meant, and guessing would show one's matters to another.

    `choices` are their ids and names, of which the person is asked to choose one.
    """

    def __init__(self, sentence: str, choices: Sequence[tuple[UUID, str]]) -> None:
        super().__init__(sentence)
        self.choices = choices
