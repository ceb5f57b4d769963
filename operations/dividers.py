"""The line in a thread that tells what was missed, and is shown or sent only now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from models import Cause

DIVIDER: Final = "switchboard.divider"
"""Metadata of the first message that was recovered of a conversation: the line above it."""

NOT_SHOWN: Final = "switchboard.not_shown"
"""Metadata of a recovered message that is kept, and only counted in its thread."""

SHOWN_FOR: Final = timedelta(hours=24)
"""What is older when it is found is old news: it is counted and kept, not poured out."""

_WHY = {
    Cause.SWITCHBOARD: "while Switchboard was not running",
    Cause.WAHA: "while WhatsApp was not reachable",
    Cause.QUIET: "of which WhatsApp had not told",
}
_DAY_AND_TIME, _TIME = "{date_short_pretty} {time}", "{time}"


@dataclass(frozen=True)
class Recovered:
    """What was found of one conversation: `recent` messages are shown or sent, `older` ones are only counted."""

    recent: int
    older: int
    first: datetime
    last: datetime
    cause: str

    def above_messages(self) -> str:
        """Of what customers wrote, above it."""
        kept = f" {self.older} older than a day {_are(self.older)} kept and not shown." if self.older else ""
        return f"— {self._found('message', 'messages')} {_WHY[Cause(self.cause)]}.{kept} —"

    def below_replies(self, *, ask_after: timedelta) -> str:
        """Of what the team wrote to the customer, and what becomes of it; it stands where they wrote it."""
        asked = f" What is older than {ask_after.total_seconds() / 60:g} minutes asks before it is sent."
        left = f" {self.older} older than a day {_are(self.older)} not sent: write again what is still wanted."
        later = f"{asked if self.recent else ''}{left if self.older else ''}"
        return f"— {self._found('reply', 'replies')} while Switchboard did not listen.{later} —"

    def _found(self, one: str, more: str) -> str:
        count = self.recent + self.older
        return f"{count} {one if count == 1 else more} recovered, written {_span(self.first, self.last)}"


def brought_by(metadata: Mapping[str, str]) -> str:
    """The divider that a recovered message brings along; empty for all but the first of a conversation."""
    return metadata.get(DIVIDER, "")


def _span(first: datetime, last: datetime) -> str:
    if int(first.timestamp()) // 60 == int(last.timestamp()) // 60:
        return _moment(first, _DAY_AND_TIME)
    is_one_day = last - first < timedelta(hours=12)
    return f"{_moment(first, _DAY_AND_TIME)}–{_moment(last, _TIME if is_one_day else _DAY_AND_TIME)}"  # noqa: RUF001 - from, to


def _moment(at: datetime, shape: str) -> str:
    """Slack shows each reader their own time; what cannot show that shows the words behind the bar."""
    return f"<!date^{int(at.timestamp())}^{shape}|{at:%Y-%m-%d %H:%M} UTC>"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
