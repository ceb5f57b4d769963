"""A session that writes to itself, and should hear it: sent, heard, or missed."""

from __future__ import annotations

from database import tenant_transaction
from models import SessionWatch, Suspicion
from operations import catching_up, silence, silence_course
from operations.silence_course import Watched
from waha.message_ids import new_message_id


def begin(watched: Watched) -> str:
    """The id of the message to be written now, kept before it goes; "" while another one is awaited."""
    with tenant_transaction(watched.tenant_id):
        watch = silence.mine(watched)
        if watch is None or watched.account is None or watch.canary_id is not None:
            return ""
        canary_id = new_message_id()
        silence.keep(watch, canary_id=canary_id, canary_sent_at=watched.now, canary_taken_at=None)
        return canary_id


def taken(watched: Watched, canary_id: str) -> None:
    """WAHA has it: from now on it should be heard. What a crash or a time-out leaves open proves nothing."""
    with tenant_transaction(watched.tenant_id):
        watch = silence.mine(watched)
        if watch is not None and watch.canary_id == canary_id:
            silence.keep(watch, canary_taken_at=watched.now)


def not_sent(watched: Watched, canary_id: str) -> None:
    """WAHA did not take it, so that nothing need be heard; the next one goes at its time."""
    with tenant_transaction(watched.tenant_id):
        watch = silence.mine(watched)
        if watch is not None and watch.canary_id == canary_id:
            silence.keep(watch, canary_id=None)


def look(watched: Watched) -> str:
    """Draw the conclusion where a canary should have been heard by now; a word for the log."""
    with tenant_transaction(watched.tenant_id):
        watch = silence.mine(watched)
        if watch is None or not _is_over(watched, watch):
            return ""
        silence.keep(watch, canary_id=None)
        if watch.canary_taken_at is None:
            return ""
        if watch.suspected_at is None:
            return _suspect(watched, watch)
        if watch.suspicion is Suspicion.CANARY and watch.restarted_at and watch.canary_sent_at > watch.restarted_at:
            course = silence_course.give_up(watched, watch)
            silence.keep(watch, **course.changes)
            return course.word
        return ""


def _suspect(watched: Watched, watch: SessionWatch) -> str:
    course = silence_course.suspect(watched, Suspicion.CANARY, missed_from=watch.canary_sent_at)
    silence_course.name(watch, Suspicion.CANARY, now=watched.now)
    catching_up.request_session(watched.external_session_id)
    silence.keep(watch, **(dict(course.changes) | {"named_at": watched.now}))
    return course.word


def _is_over(watched: Watched, watch: SessionWatch) -> bool:
    return watch.canary_id is not None and watched.now - watch.canary_sent_at >= silence.ANSWERED_WITHIN
