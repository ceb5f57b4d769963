"""What becomes of a session that is taken for silent: verified, named, restarted once, ended or handed to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from models import IncidentKind, SessionWatch, Suspicion, uuid7
from operations import incidents, sessions, silence_words
from operations.rhythms import hour_of_week
from operations.silence_proofs import is_as_before, is_relieved
from operations.sql import first

ACTOR: Final = "silence watch"

# While something is suspected.
_LOOK_AGAIN = timedelta(seconds=10)
_LOOK_AFTER_RESTART = timedelta(seconds=60)
# What was missed is read within seconds; where it cannot be read, the silence is named all the same.
_READ_WITHIN = timedelta(seconds=40)
# In this time the other sessions of the server are looked at: it may be the way that is cut, and not the session.
_RESTART_AFTER = timedelta(seconds=60)
_RESTARTS_WITHIN = timedelta(minutes=2)
_PROVED_AFTER = timedelta(minutes=5)
_ONE_RESTART_IN = timedelta(hours=24)
# One silent session of a server with many says nothing about the way.
_SEVERAL = 2


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


@dataclass(frozen=True)
class _Way:
    has_told: bool
    silent: int


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
    if cause := _cause_outside(watched, watch):
        incidents.begin(watched.tenant_id, watched.session_id, IncidentKind.SILENT, at=watched.now, cause=cause)
        return _later(watched, _LOOK_AFTER_RESTART)
    if watch.restarted_at is not None and watched.now - watch.restarted_at < _ONE_RESTART_IN:
        return _give_up(watched, watch, silence_words.NOT_AGAIN)
    return _restart(watched, watch)


def _cause_outside(watched: Watched, watch: SessionWatch) -> str:
    """What is the matter where it is not the session; a restart would cost a connection and mend nothing."""
    if watch.suspicion is Suspicion.UNHEARD:
        way = first(_Way, "SELECT * FROM silence_of_server(%s, %s)", (watched.server, watch.missed_from))
        if way is not None and not way.has_told and way.silent >= _SEVERAL:
            return silence_words.WAY_IS_CUT.format(server=watched.server)
    return ""


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
    what = "Restarted once." if asked else "A restart was under way already."
    incidents.note(watched.tenant_id, watched.session_id, IncidentKind.SILENT, what, at=watched.now)
    return Course("restarted", {"restarted_at": watched.now, "next_check_at": watched.now + _LOOK_AFTER_RESTART})


def _after_restart(watched: Watched, watch: SessionWatch, news: News) -> Course:
    if is_relieved(watch, watch.restarted_at):
        return _end(watched, f"It {silence_words.again(watch.suspicion)} since the restart.")
    since = watched.now - watch.restarted_at
    if watched.working_since <= watch.restarted_at and since < _RESTARTS_WITHIN:
        return _later(watched, _LOOK_AGAIN)
    if watch.given_up_at is not None:
        return _later(watched, _LOOK_AFTER_RESTART)
    if is_as_before(watch, news.missed_from, now=watched.now):
        return _give_up(watched, watch, silence_words.GIVEN_UP)
    if since >= _PROVED_AFTER:
        return _end(watched, "Nothing points to it any more since the restart.")
    return _later(watched, _LOOK_AFTER_RESTART)


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
