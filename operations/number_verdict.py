"""From what was measured of a phone number to how it is: a pure function with its limits.

Where they come from: WhatsApp itself tells of a timelock and of a quota of new chats, with warnings before its end.
That few answer, and that messages are not taken any more, is what accounts show before they are restricted, as WAHA's
"How to avoid blocking" and its users tell; how much of it is too much nobody publishes, so those figures are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models import HealthLevel
from operations.wording import counted
from slack.mrkdwn import local_time
from waha.payloads import Capping

SLOW_FROM_QUOTA: Final = 0.8
WATCH_FROM_LIMIT: Final = 0.8
WATCH_FROM_UNANSWERED: Final = 0.5
SLOW_FROM_UNANSWERED: Final = 0.7
FEWEST_CHATS: Final = 10
"""Of fewer chats that we began, the share of the unanswered says nothing."""

FEWEST_SENT: Final = 20
FEWEST_FAILED: Final = 3
USUAL_FAILURES: Final = 0.05
"""With no week before it to compare with."""

_FIRST_SLOW, _MOST_SLOW = 2.0, 4.0


@dataclass(frozen=True)
class Figures:
    """What was counted of one account.

    `begun` and `unanswered` are the chats that it began in the last week; `sent` and `failed` what left in the last
    day and was not taken by WhatsApp after all, `…_before` the same of the week before it.
    """

    new_contacts: int = 0
    most_new_contacts: int = 0
    begun: int = 0
    unanswered: int = 0
    sent: int = 0
    failed: int = 0
    sent_before: int = 0
    failed_before: int = 0
    restricted_until: datetime | None = None
    capping: Capping | None = None

    @property
    def unanswered_share(self) -> float | None:
        return self.unanswered / self.begun if self.begun >= FEWEST_CHATS else None

    @property
    def failure_share(self) -> float | None:
        return self.failed / self.sent if self.sent >= FEWEST_SENT else None

    @property
    def failure_share_before(self) -> float | None:
        return self.failed_before / self.sent_before if self.sent_before >= FEWEST_SENT else None


@dataclass(frozen=True)
class Verdict:
    """`reasons` are sentences, the gravest first; pauses are `slow_factor` times as long as usual."""

    level: HealthLevel
    reasons: tuple[str, ...]
    slow_factor: float


def verdict_on(figures: Figures, *, now: datetime) -> Verdict:
    stopped, slow, watch = (tuple(found(figures, now)) for found in (_stopping, _slowing, _watched))
    reasons = stopped + slow + watch
    if stopped:
        return Verdict(HealthLevel.STOPPED, reasons, _MOST_SLOW)
    if slow:
        return Verdict(HealthLevel.SLOW, reasons, min(_FIRST_SLOW + len(slow) - 1, _MOST_SLOW))
    if watch:
        return Verdict(HealthLevel.WATCH, reasons, 1.0)
    has_sent = figures.begun or figures.sent or figures.sent_before or figures.new_contacts
    return Verdict(HealthLevel.GOOD if has_sent or figures.capping else HealthLevel.UNKNOWN, (), 1.0)


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _stopping(figures: Figures, now: datetime) -> Iterator[str]:
    quota = figures.capping
    if quota is not None and quota.status == "CAPPED" and not _is_over(quota, now):
        ends = f" A new one begins {local_time(quota.cycle_ends_at)}." if quota.cycle_ends_at else ""
        yield f"WhatsApp's quota of new chats is used up: {quota.used} of {quota.total or 'them'}.{ends}"
    if figures.restricted_until is not None and figures.restricted_until > now:
        yield f"WhatsApp lets it start no new chats until {local_time(figures.restricted_until)} (463)."


def _slowing(figures: Figures, now: datetime) -> Iterator[str]:
    quota, unanswered = figures.capping, figures.unanswered_share
    if quota is not None and quota.status != "CAPPED" and not _is_over(quota, now) and _is_nearly_used_up(quota):
        of = f": {quota.used} of {quota.total}" if quota.total else ""
        yield f"WhatsApp's quota of new chats is nearly used up{of}."
    if unanswered is not None and unanswered > SLOW_FROM_UNANSWERED:
        yield (
            f"{percent(unanswered)} of the {figures.begun} people whom it wrote to first in the last week never "
            f"answered; above {percent(SLOW_FROM_UNANSWERED)} looks like spam."
        )
    if _fails_more_than_before(figures):
        before = figures.failure_share_before
        than = f"against {percent(before)} in the week before" if before is not None else "and has no week to compare"
        yield (
            f"WhatsApp did not take {figures.failed} of the {counted(figures.sent, 'message')} of the last day "
            f"({percent(figures.failed / figures.sent)}), {than}."
        )


def _watched(figures: Figures, now: datetime) -> Iterator[str]:
    quota, unanswered = figures.capping, figures.unanswered_share
    if quota is not None and quota.status == "FIRST_WARNING" and not _is_over(quota, now) and quota.total:
        yield f"WhatsApp warns for the first time: {quota.used} of {quota.total} new chats are begun."
    if unanswered is not None and WATCH_FROM_UNANSWERED < unanswered <= SLOW_FROM_UNANSWERED:
        yield f"{percent(unanswered)} of the {figures.begun} people whom it wrote to first never answered."
    if figures.most_new_contacts and figures.new_contacts >= WATCH_FROM_LIMIT * figures.most_new_contacts:
        yield f"It has begun {figures.new_contacts} of {figures.most_new_contacts} new chats that it may today."


def _is_nearly_used_up(quota: Capping) -> bool:
    return quota.status == "SECOND_WARNING" or quota.share >= SLOW_FROM_QUOTA


def _is_over(quota: Capping, now: datetime) -> bool:
    """What was told of a cycle that has ended says nothing of the next one."""
    return quota.cycle_ends_at is not None and quota.cycle_ends_at <= now


def _fails_more_than_before(figures: Figures) -> bool:
    share, before = figures.failure_share, figures.failure_share_before
    usual = USUAL_FAILURES if before is None else before
    return share is not None and figures.failed >= FEWEST_FAILED and share >= 2 * usual
