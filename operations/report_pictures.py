"""The pictures of a health report, as the figures that `daemon.plotting` draws. No customer is in them.

Each is JSON and stands in its post, so that what is drawn is what its alternative text says, however late it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from operations.report_facts import ReportFacts, Responses, SessionFacts, Volume
from operations.telling_words import lasted
from operations.wording import counted

MOST_SESSIONS = 15
"""As many lines as a phone can show."""

_LONGEST_NAME = 22
# Up to which time an answer counts, and how that is called.
_WITHIN = (
    (timedelta(minutes=1), "1 min"),
    (timedelta(minutes=5), "5 min"),
    (timedelta(minutes=15), "15 min"),
    (timedelta(hours=1), "1 h"),
    (timedelta(hours=4), "4 h"),
    (timedelta(hours=24), "24 h"),
)
_LATER = "later"


@dataclass(frozen=True)
class Picture:
    """A file's name, what it shows in words, and what is drawn."""

    filename: str
    alt_text: str
    figures: dict[str, Any]


def pictures(facts: ReportFacts) -> list[Picture]:
    """Of what there is something to see."""
    made = [_timeline(facts), _volume(facts), _answers(facts)]
    return [picture for picture in made if picture is not None]


def _timeline(facts: ReportFacts) -> Picture | None:
    known = [one for one in facts.sessions if one.is_wanted and one.uptime is not None and one.spans]
    if not known:
        return None
    shown = sorted(known, key=lambda one: (one.uptime or 0.0, one.name))[:MOST_SESSIONS]
    worst = shown[0]
    first = f"The least: {worst.name}, {_percent(worst)} of the time." if _percent(worst) != "100 %" else ""
    left = f" Not shown: {len(known) - len(shown)} that worked more." if len(known) > len(shown) else ""
    figures = {
        "sessions": [
            {
                "name": _shortened(one.name),
                "up": _percent(one),
                "spans": [[_seconds(span.begin), _seconds(span.end), span.status] for span in one.spans],
            }
            for one in shown
        ],
        **_period(facts),
        # Before the first of them was known there is nothing to see.
        "since": max(_seconds(facts.since), min(_seconds(span.begin) for one in shown for span in one.spans)),
    }
    alt = (
        f"Status of {counted(len(shown), 'session')} over {lasted(facts.until - facts.since)}. "
        f"{sum(_percent(one) == '100 %' for one in shown)} worked all the time. {first}{left}"
    )
    return Picture("status.png", alt.strip(), {"kind": "timeline", **figures})


def _volume(facts: ReportFacts) -> Picture | None:
    volume = facts.volume
    if not any(volume.received) and not any(volume.sent):
        return None
    by = "hour" if volume.step <= timedelta(hours=1) else "day"
    totals = [received + sent for received, sent in zip(volume.received, volume.sent, strict=True)]
    busiest = max(range(len(totals)), key=totals.__getitem__)
    alt = (
        f"Messages by {by}: {sum(volume.received)} received and {sum(volume.sent)} sent in all; the busiest {by} had "
        f"{volume.received[busiest]} received and {volume.sent[busiest]} sent."
    )
    return Picture(f"messages-by-{by}.png", alt, {"kind": "volume", "by": by, **_counts(volume), **_period(facts)})


def _counts(volume: Volume) -> dict[str, Any]:
    return {
        "begins": [_seconds(begin) for begin in volume.begins],
        "step": volume.step.total_seconds(),
        "received": list(volume.received),
        "sent": list(volume.sent),
    }


def _answers(facts: ReportFacts) -> Picture | None:
    responses = facts.responses
    if not responses.seconds:
        return None
    counts = _within(responses)
    alt = (
        f"How long {counted(len(responses.seconds), 'customer')} waited for the first answer: half at most "
        f"{lasted(responses.median)}, nine of ten at most {lasted(responses.ninetieth)}. Up to "
        + ", ".join(f"{label}: {count}" for label, count in counts[:-1])
        + f", {_LATER}: {counts[-1][1]}."
    )
    figures = {
        "labels": [label for label, _ in counts],
        "counts": [count for _, count in counts],
        "median": lasted(responses.median),
        "ninetieth": lasted(responses.ninetieth),
    }
    return Picture("first-answers.png", alt, {"kind": "answers", **figures, **_period(facts)})


def _within(responses: Responses) -> Sequence[tuple[str, int]]:
    bounds = [limit.total_seconds() for limit, _ in _WITHIN]
    places = [
        next((place for place, most in enumerate(bounds) if one <= most), len(bounds)) for one in responses.seconds
    ]
    return [(label, places.count(place)) for place, label in enumerate([*(label for _, label in _WITHIN), _LATER])]


def _period(facts: ReportFacts) -> dict[str, Any]:
    return {"since": _seconds(facts.since), "until": _seconds(facts.until), "time_zone": facts.time_zone}


def _percent(one: SessionFacts) -> str:
    """100 % only where nothing is missing."""
    share = one.uptime or 0.0
    return "100 %" if share == 1 else f"{min(share, 0.999) * 100:.1f} %"


def _seconds(time: datetime) -> float:
    return time.timestamp()


def _shortened(name: str) -> str:
    """Both ends stay: names of branches often differ in the last."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"
