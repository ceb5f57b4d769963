"""What becomes of a session that is taken for silent: verified, named, restarted once, ended or handed to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from models import IncidentKind, SessionWatch, Suspicion, uuid7
from operations import incidents, sessions, silence_restarts, silence_words
from operations.rhythms import hour_of_week
from operations.silence_proofs import is_as_before, is_relieved

ACTOR: Final = "silence watch"

# While something is suspected.
_LOOK_AGAIN = timedelta(seconds=10)
_LOOK_AFTER_RESTART = timedelta(seconds=60)
# What was missed is read within seconds; where it cannot be read, the silence is named all the same.
_READ_WITHIN = timedelta(seconds=40)
# In this time the other sessions of the server are looked at: it may be the way that is cut, and not the session.
_RESTART_AFTER = timedelta(seconds=60)
_PROVED_AFTER = timedelta(minutes=5)
_ONE_RESTART_IN = timedelta(hours=24)


@dataclass(frozen=True)
class Watched:
    """A session that is ours to check until the lease ends; `now` is when it was handed out."""

    watch_id: UUID
    lease_token: UUID
    tenant_id: UUID
    session_id: UUID
    external_session_id: str
    server: str
    account: str | None
    now: datetime
    working_since: datetime
    caught_up_to: datetime | None
    usual_seconds: int
    is_check_due: bool
    is_canary_due: bool


@dataclass(frozen=True)
class News:
    """What WAHA knows and has not told.

    `missed_from` is the oldest of it since the session was last heard; `is_young`: some of it may be on its way;
    `is_any`: something should be read, though the session may have told of others since.
    """

    missed_from: datetime | None = None
    is_young: bool = False
    is_any: bool = False


@dataclass(frozen=True)
class Course:
    """What was concluded: a word for the log, and what is written of it."""

    word: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def suspect(watched: Watched, suspicion: Suspicion, *, missed_from: datetime) -> Course:
    """Something is missing that may be found within seconds; nobody is told yet."""
    changes = {
        "suspicion": suspicion.value,
        "suspected_at": watched.now,
        "missed_from": missed_from,
        "named_at": None,
        "given_up_at": None,
        "next_check_at": watched.now + _LOOK_AGAIN,
    }
    return Course("suspected", changes)


def follow(watched: Watched, watch: SessionWatch, news: News) -> Course:
    """The next step about a session that is suspected."""
    if watch.named_at is None:
        return _verify(watched, watch)
    if not silence_restarts.is_told(watch):
        # A stop has ended the incident, and what comes after it is another silence.
        return _over(watched, "begins anew")
    if _was_restarted_by_others(watched, watch):
        return _take_over(watched)
    if watch.restarted_at is None or watch.restarted_at < watch.suspected_at:
        return _before_restart(watched, watch)
    return _after_restart(watched, watch, news)


def _verify(watched: Watched, watch: SessionWatch) -> Course:
    is_read = watched.caught_up_to is not None and watched.caught_up_to >= watch.missed_from
    if is_read or is_relieved(watch, watch.suspected_at):
        return _over(watched, "withdrawn")
    if watched.now - watch.suspected_at < _READ_WITHIN:
        return _later(watched, _LOOK_AGAIN)
    name(watch, Suspicion.UNHEARD, now=watched.now)
    what = "What was missed could not be read at once; it is tried again."
    incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    return Course("named", {"named_at": watched.now, "next_check_at": watched.now})


def name(watch: SessionWatch, suspicion: Suspicion, *, now: datetime) -> None:
    """People are told; what a catch-up recovers says in which time customers were not heard."""
    usual = watch.rhythm.get(str(hour_of_week(now)))
    cause = silence_words.cause(suspicion, usual)
    incidents.begin(watch.tenant_id, watch.session_id, IncidentKind.SILENT, at=now, cause=cause)


def _was_restarted_by_others(watched: Watched, watch: SessionWatch) -> bool:
    """Whether a person, or whoever keeps sessions running, did meanwhile what we would do or had given up."""
    is_ours = watch.restarted_at is not None and watch.restarted_at >= watch.suspected_at
    done_last = watch.given_up_at or (None if is_ours else watch.suspected_at)
    return done_last is not None and watched.working_since > done_last


def _take_over(watched: Watched) -> Course:
    what = "It was restarted by somebody else."
    incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    changes = {"restarted_at": watched.working_since, "given_up_at": None}
    return Course("restarted by others", changes | {"next_check_at": watched.now + _LOOK_AFTER_RESTART})


def _before_restart(watched: Watched, watch: SessionWatch) -> Course:
    if is_relieved(watch, watch.suspected_at):
        return _end(watched, f"It {silence_words.again(watch.suspicion)}, without a restart.")
    if watch.given_up_at is not None:
        return _later(watched, _LOOK_AFTER_RESTART)
    if watched.now - watch.suspected_at < _RESTART_AFTER:
        return _later(watched, _LOOK_AGAIN)
    if silence_restarts.is_way_cut(watched.server, watch):
        cause = silence_words.WAY_IS_CUT.format(server=watched.server)
        incidents.begin(watched.tenant_id, watched.session_id, IncidentKind.SILENT, at=watched.now, cause=cause)
        return _later(watched, _LOOK_AFTER_RESTART)
    if watch.restarted_at is not None and watched.now - watch.restarted_at < _ONE_RESTART_IN:
        return _give_up(watched, watch, silence_words.NOT_AGAIN)
    if not silence_restarts.is_turn(watched.server, watch, now=watched.now):
        return _later(watched, _LOOK_AGAIN)
    return _restart(watched, watch)


def say_everywhere(watch: SessionWatch, server: str, *, now: datetime) -> None:
    """Nothing that the server's sessions send is confirmed: said, and left alone."""
    cause = silence_words.EVERYWHERE.format(server=server)
    incidents.begin(watch.tenant_id, watch.session_id, IncidentKind.SILENT, at=now, cause=cause)


def _restart(watched: Watched, watch: SessionWatch) -> Course:
    asked = sessions.ask_restart(
        watched.tenant_id,
        watched.session_id,
        action_id=uuid7(),
        asker=None,
        actor=ACTOR,
        reason=silence_words.CAUSES[watch.suspicion],
    )
    what = "A restart is asked for." if asked else "A restart was under way already."
    if not silence_restarts.is_noted_last(watch, silence_words.NOT_MADE):
        incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    return Course("restarted", {"restarted_at": watched.now, "next_check_at": watched.now + _LOOK_AFTER_RESTART})


def _after_restart(watched: Watched, watch: SessionWatch, news: News) -> Course:
    if is_relieved(watch, watch.restarted_at):
        return _end(watched, f"It {silence_words.again(watch.suspicion)} since the restart.")
    fate = "made" if watched.working_since >= watch.restarted_at else silence_restarts.fate(watch)
    if fate == "under way":
        return _later(watched, _LOOK_AGAIN)
    if fate == "not made":
        return _not_made(watched, watch)
    if watch.given_up_at is not None:
        return _later(watched, _LOOK_AFTER_RESTART)
    if is_as_before(watch, news.missed_from, now=watched.now):
        return _give_up(watched, watch, silence_words.GIVEN_UP)
    if watched.now - watch.restarted_at >= _PROVED_AFTER:
        return _end(watched, "Nothing points to it any more since the restart.")
    return _later(watched, _LOOK_AFTER_RESTART)


def _not_made(watched: Watched, watch: SessionWatch) -> Course:
    """WAHA was busy or away all the while: that proves nothing, and is no restart."""
    what = silence_words.NOT_MADE
    if not silence_restarts.is_noted_last(watch, what):
        incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    changes = {"restarted_at": None, "given_up_at": None, "next_check_at": watched.now + _LOOK_AFTER_RESTART}
    return Course("restart not made", changes)


def give_up(watched: Watched, watch: SessionWatch) -> Course:
    """The restart has not helped."""
    return _give_up(watched, watch, silence_words.GIVEN_UP)


def _give_up(watched: Watched, watch: SessionWatch, what: str) -> Course:
    changes: dict[str, Any] = {"next_check_at": watched.now + _LOOK_AFTER_RESTART}
    if watch.given_up_at is None:
        incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
        changes["given_up_at"] = watched.now
    return Course("given up", changes)


def _end(watched: Watched, what: str) -> Course:
    incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    incidents.end(watched.tenant_id, watched.session_id, IncidentKind.SILENT, at=watched.now)
    return _over(watched, "heard again")


def _over(watched: Watched, word: str) -> Course:
    changes = {"suspicion": None, "suspected_at": None, "missed_from": None, "named_at": None, "given_up_at": None}
    return Course(word, {**changes, "next_check_at": watched.now + _LOOK_AFTER_RESTART})


def _later(watched: Watched, pause: timedelta) -> Course:
    return Course("", {"next_check_at": watched.now + pause})
