"""What is to be done about the sessions of a server: decided from what people want and what a poll saw, nothing else.

Never a logout, never a deletion. What waits for its code waits for a person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import UUID

from models import IncidentKind
from operations.controlling import RESTARTS_A_DAY
from operations.observing import Seen, Wanted
from waha.payloads import SessionInfo
from waha.status import status_of

Verb = Literal["create", "start", "stop", "restart"]

# Longer than any engine takes to log in; what hangs by then goes on hanging.
STARTS_WITHIN = timedelta(minutes=2)
# WEBJS starts a browser that crashed anew by itself.
RECOVERS_WITHIN = timedelta(seconds=60)
# WhatsApp drops a connection now and then; so often in so short a time is no connection.
RESTLESS_TIMES, RESTLESS_WITHIN = 6, timedelta(minutes=10)
# Sessions failing together have a cause in common, which restarting all of them does not mend.
TOGETHER, SHARE = 3, 0.3

_RECOVERING_ENGINES = frozenset({"WEBJS"})
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=15)
_PAUSES_OF_RESTARTS = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))


@dataclass(frozen=True)
class Step:
    """What is done about a session: a verb of WAHA's; a restart with the trouble that it is for."""

    verb: Verb
    wanted: Wanted
    kind: IncidentKind | None = None


@dataclass(frozen=True)
class Plan:
    """What follows from a poll.

    Args:
        stuck: sessions of which it is to be said that they hang, each with a sentence why.
        freed: sessions that hung and do not any more.
        given_up: sessions of which it is to be said that they are not restarted again today, and why they would be.
        settled: sessions that have been as people want them for long enough to count tries anew.
        failing_together: whether so many fail that restarts are tried out on a few first.
    """

    steps: list[Step] = field(default_factory=list)
    stuck: list[tuple[Wanted, str]] = field(default_factory=list)
    freed: list[Wanted] = field(default_factory=list)
    given_up: list[tuple[Wanted, IncidentKind]] = field(default_factory=list)
    settled: list[Wanted] = field(default_factory=list)
    failing_together: bool = False


def plan(
    wanted: Collection[Wanted], seen: Mapping[str, SessionInfo], restless: Mapping[UUID, int] | None = None
) -> Plan:
    """What to do about sessions that are not as people want them."""
    made, often, failing = Plan(), restless or {}, 0
    for session in wanted:
        word = _word(session, seen)
        trouble = _trouble(session, word, often)
        failing += trouble is not None
        _note(made, session, word, trouble, often)
        step = _step(session, word, trouble)
        if step is not None and session.is_control_due:
            made.steps.append(step)
    running = sum(1 for session in wanted if session.should_run and session.me_id is not None)
    together = failing >= TOGETHER and failing > SHARE * running
    made.steps.sort(key=_urgency)
    return Plan(made.steps, made.stuck, made.freed, made.given_up, made.settled, together)


def _word(session: Wanted, seen: Mapping[str, SessionInfo]) -> str | None:
    info = seen.get(session.external_session_id)
    return info.waha_status if info is not None else None


def _trouble(session: Wanted, word: str | None, restless: Mapping[UUID, int]) -> IncidentKind | None:
    """What a restart might mend. An account that was never linked has nothing to come back to."""
    if not session.should_run or session.me_id is None:
        return None
    if word == "FAILED":
        recovers = session.engine in _RECOVERING_ENGINES and _lasts(session) < RECOVERS_WITHIN
        return None if recovers else IncidentKind.FAILED
    hangs = word == "STARTING" and _lasts(session) >= STARTS_WITHIN
    turns = word in {"STARTING", "WORKING"} and session.session_id in restless
    return IncidentKind.STUCK if hangs or turns else None


def _lasts(session: Wanted) -> timedelta:
    return session.status_for or timedelta(0)


def _step(session: Wanted, word: str | None, trouble: IncidentKind | None) -> Step | None:
    if not session.should_run:
        return Step("stop", session) if word not in {None, "STOPPED"} else None
    if word is None:
        return Step("create", session)
    if word == "STOPPED":
        return Step("start", session)
    if trouble is not None and session.restarts_today < RESTARTS_A_DAY:
        return Step("restart", session, trouble)
    return None


def _note(
    made: Plan, session: Wanted, word: str | None, trouble: IncidentKind | None, restless: Mapping[UUID, int]
) -> None:
    if trouble is IncidentKind.STUCK and not session.is_stuck:
        made.stuck.append((session, _why(session, restless)))
    if session.is_stuck and trouble is not IncidentKind.STUCK and not _is_on_its_way(session, word):
        made.freed.append(session)
    if trouble is not None and session.restarts_today >= RESTARTS_A_DAY and not session.has_given_up:
        made.given_up.append((session, trouble))
    if session.is_unsettled and trouble is None and _is_as_wanted(session, word):
        made.settled.append(session)


def _is_on_its_way(session: Wanted, word: str | None) -> bool:
    """Between the two halves of a restart a session that hung is STOPPED for a moment, and then it starts."""
    return session.should_run and word in {None, "STOPPED", "STARTING"}


def _why(session: Wanted, restless: Mapping[UUID, int]) -> str:
    minutes = int(RESTLESS_WITHIN.total_seconds() // 60)
    if (times := restless.get(session.session_id)) is not None:
        return f"It connected {times} times in {minutes} minutes, and lost the connection each time."
    return f"It has been starting for more than {int(STARTS_WITHIN.total_seconds() // 60)} minutes."


def _is_as_wanted(session: Wanted, word: str | None) -> bool:
    if not session.should_run:
        return word in {None, "STOPPED"}
    return word == "WORKING" and _lasts(session) >= STARTS_WITHIN


def _urgency(step: Step) -> tuple[int, int]:
    """What people asked for comes first; of the rest, what was tried least, so that a few try for all."""
    return {"stop": 0, "create": 1, "start": 1, "restart": 2}[step.verb], step.wanted.control_attempts


def observations(wanted: Collection[Wanted], seen: Mapping[str, SessionInfo]) -> list[Seen]:
    """What differs from what is written; a quiet poll gives nothing and so writes nothing."""
    fresh = []
    for session in wanted:
        info = seen.get(session.external_session_id)
        if info is None:
            if session.is_deleted:
                # There is nothing to stop, and it need not be looked for again.
                fresh.append(Seen(session.session_id, "STOPPED"))
        elif _differs(session, info):
            me = info.me
            fresh.append(
                Seen(
                    session.session_id,
                    info.waha_status,
                    me_chat_id=me.chat_id if me is not None else None,
                    me_name=me.push_name if me is not None else None,
                )
            )
    return fresh


def _differs(session: Wanted, info: SessionInfo) -> bool:
    if info.me is not None and info.me.chat_id != session.me_id:
        return True
    if info.waha_status == session.raw_status:
        return status_of(info.waha_status) not in {None, session.status}
    # One word of ours stands for several of WAHA's: what a person has to do differs.
    return session.raw_status is not None or status_of(info.waha_status) not in {None, session.status}


def pause_after(verb: Verb, before: int) -> timedelta:
    """5 s, 10 s, 20 s … up to 15 minutes between tries to bring a session where it should be; restarts 5, 15, 60.

    `before` is how many tries there were in a row, of restarts how many that day.
    """
    if verb == "restart":
        return _PAUSES_OF_RESTARTS[min(before, len(_PAUSES_OF_RESTARTS) - 1)]
    doubled: timedelta = _FIRST_PAUSE * 2 ** min(before, 20)
    return min(doubled, _LONGEST_PAUSE)
