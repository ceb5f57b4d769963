"""Outages of Slack, told by another way than Slack: once when they begin and once when they are over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from database import transaction
from models import uuid7
from operations.sql import changed, clean, database_now, first, value
from operations.telling_words import lasted
from operations.wording import counted

# So long nothing was taken by Slack from anybody before it is an outage.
LASTS = timedelta(seconds=60)
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Untold:
    """An outage of which the beginning, the end or both are to be told; whoever got it tells it."""

    id: UUID
    reason: str
    began_at: datetime
    ended_at: datetime | None
    waited: int
    told_at: datetime | None
    tries: int


def begin(reason: str, *, since: datetime, now: datetime | None = None) -> bool:
    """Slack cannot be reached from here; False where another daemon posted in the last minute, or it is known.

    Since the end of an outage is what Slack takes after its beginning, it begins after what Slack took last.
    """
    with transaction():
        moment = now or database_now()
        posted_at = value("SELECT last_posted()")
        since = max(since, posted_at) if posted_at is not None else since
        if moment - since < LASTS:
            return False
        return bool(
            changed(
                "INSERT INTO outages (id, kind, reason, began_at) VALUES (%s, 'slack', %s, %s) "
                "ON CONFLICT (kind) WHERE ended_at IS NULL DO NOTHING",
                (uuid7(), clean(reason), since),
            )
        )


def last_posted() -> datetime | None:
    """When Slack last took something from whichever daemon; None where that is longer ago than an hour."""
    with transaction():
        posted_at: datetime | None = value("SELECT last_posted()")
    return posted_at


def do_posts_wait(*, now: datetime | None = None) -> bool:
    """Whether anything waits for Slack, so that it is tried again."""
    with transaction():
        return bool(value("SELECT posts_that_waited(%s)", (now or database_now(),)))


def end() -> bool:
    """Slack took something since it began, from whichever daemon; False where it did not, or there is no outage."""
    with transaction():
        return bool(
            changed(
                "UPDATE outages SET ended_at = last_posted(), waited = posts_that_waited(last_posted()), "
                "tries = 0, next_try_at = clock_timestamp() "
                "WHERE ended_at IS NULL AND last_posted() > began_at"
            )
        )


def to_tell(*, now: datetime | None = None) -> Untold | None:
    """What is to be told now; it is nobody else's until the pause before the next try is over."""
    with transaction():
        moment = now or database_now()
        return first(
            Untold,
            "UPDATE outages SET tries = tries + 1, "
            "next_try_at = %(now)s + least(%(first)s * power(2, least(tries, 10)), %(longest)s) "
            "WHERE id = (SELECT id FROM outages WHERE next_try_at <= %(now)s AND (told_at IS NULL "
            "OR (ended_at IS NOT NULL AND end_told_at IS NULL)) ORDER BY began_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
            "RETURNING id, reason, began_at, ended_at, waited, told_at, tries",
            {"now": moment, "first": _FIRST_PAUSE, "longest": _LONGEST_PAUSE},
        )


def told(outage: Untold) -> None:
    with transaction():
        changed(
            "UPDATE outages SET told_at = coalesce(told_at, clock_timestamp()), "
            "end_told_at = CASE WHEN %s THEN clock_timestamp() END, tries = 0, next_try_at = clock_timestamp() "
            "WHERE id = %s",
            (outage.ended_at is not None, outage.id),
        )


def sentence(outage: Untold) -> str:
    """Without Slack's markup: it is read elsewhere."""
    if outage.ended_at is None:
        return (
            f"Switchboard cannot post to Slack since {_clock(outage.began_at)}: {outage.reason} What customers write "
            "is kept and posted when Slack is back; replies in Slack do not arrive meanwhile. Next: look at "
            "https://slack-status.com, the network of the daemon, and its /readyz."
        )
    waited = counted(outage.waited, "post")
    return (
        f"Switchboard posts to Slack again: it could not from {_clock(outage.began_at)} to {_clock(outage.ended_at)} "
        f"({lasted(outage.ended_at - outage.began_at)}). {waited} waited and {'is' if outage.waited == 1 else 'are'} "
        "posted now, in order. Next: nothing."
    )


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
