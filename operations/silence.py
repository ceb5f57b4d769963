"""Sessions that say that they work and are silent: checked, suspected, named, restarted once, and heard again.

A check compares WAHA's own view of the chats with what it told. What it knows and did not tell is read as after any
gap, and only when that recovers something is the session named: a row that is no message restarts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from database import tenant_transaction, transaction
from models import SessionWatch, Suspicion
from operations import catching_up, silence_course
from operations.silence_course import News, Watched
from operations.sql import changed, entity, rows
from waha.chat_ids import IGNORED_KINDS, kind_of
from waha.payloads import ChatOverview

# A message is named within five minutes: after it was written a check comes within four, or finds it too young and
# comes again in `_SETTLES_IN`.
QUIET: Final = timedelta(minutes=2)
CHECK_EVERY: Final = timedelta(minutes=4)
# What was written this moment may be on its usual way.
_SETTLED: Final = timedelta(seconds=30)
_SETTLES_IN: Final = timedelta(seconds=35)
# By so much WhatsApp's clock may be ahead of ours.
_CLOCKS: Final = timedelta(minutes=1)
# Calls to a server, by all daemons together: WAHA reads its store for each.
CHECKS_PER_SECOND: Final = 2.0
LEASE: Final = timedelta(seconds=60)
ANSWERED_WITHIN: Final = timedelta(seconds=60)


def sessions_within_promise(per_second: float = CHECKS_PER_SECOND) -> int:
    """How many silent sessions of a server can each be checked in time; of more, the most unusually silent are."""
    return int(per_second * CHECK_EVERY.total_seconds())


def lease(server: str, limit: int, *, now: datetime | None = None) -> list[Watched]:
    """Sessions to be checked, within the budget of calls to their server, the most unusually silent first."""
    asked = (server, limit, CHECKS_PER_SECOND, LEASE, QUIET, ANSWERED_WITHIN, now)
    with transaction():
        return rows(Watched, "SELECT * FROM lease_silence_checks(%s, %s, %s, %s, %s, %s, %s)", asked)


def record_chats(watched: Watched, chats: Sequence[ChatOverview]) -> str:
    """Draw the conclusions from WAHA's view of the chats; a word for the log, "" where nothing came of it."""
    with tenant_transaction(watched.tenant_id):
        watch = mine(watched)
        if watch is None:
            return ""
        news = _news(watched, watch, chats)
        if news.is_any:
            catching_up.request_session(watched.external_session_id)
        course = _look(watched, news) if watch.suspected_at is None else silence_course.follow(watched, watch, news)
        write(watched, checked_at=watched.now, **course.changes)
        return course.word


def record_unasked(watched: Watched) -> None:
    """WAHA did not answer: whether its server is away is others' to say."""
    with tenant_transaction(watched.tenant_id):
        write(watched, next_check_at=watched.now + CHECK_EVERY)


def give_back(watched: Watched) -> None:
    """There was no check to be made of it."""
    with tenant_transaction(watched.tenant_id):
        write(watched)


def _look(watched: Watched, news: News) -> silence_course.Course:
    if news.missed_from is None:
        pause = _SETTLES_IN if news.is_young else CHECK_EVERY
        return silence_course.Course("", {"next_check_at": watched.now + pause})
    return silence_course.suspect(watched, Suspicion.UNHEARD, missed_from=news.missed_from)


def _news(watched: Watched, watch: SessionWatch, chats: Sequence[ChatOverview]) -> News:
    """What WAHA knows and has not told, though it had the time, since the session was last heard."""
    since = heard_until(watched.working_since, watch)
    if (back_at := catching_up.away_until(watched.external_session_id)) is not None:
        since = max(since, back_at)
    told_of = [one for one in chats if _is_new(one, watched.caught_up_to or since)]
    unknown = [one for one in told_of if not _is_known(watched, one)]
    settled = [at for one in unknown if (at := one.last_message_at) and at <= watched.now - _SETTLED]
    return News(
        missed_from=min((at for at in settled if at > since), default=None),
        is_young=len(unknown) > len(settled),
        is_any=bool(settled),
    )


def heard_until(working_since: datetime, watch: SessionWatch) -> datetime:
    """Since when nothing was told: the start of a session is as good as a message."""
    heard_at: datetime | None = watch.heard_at
    return max(working_since, heard_at) if heard_at is not None else working_since


def _is_new(chat: ChatOverview, since: datetime) -> bool:
    """Whether it may have been missed: what a catch-up has read and not kept is no message."""
    if chat.last_message_id is None or chat.last_message_at is None or kind_of(chat.chat_id) in IGNORED_KINDS:
        return False
    return chat.last_message_at > since


@dataclass(frozen=True)
class _Known:
    is_known: bool


def _is_known(watched: Watched, chat: ChatOverview) -> bool:
    """Whether it was told: it is kept, is a canary, or waits in its lane, where it may be stuck for reasons of ours."""
    asked = {
        "tenant": watched.tenant_id,
        "session": watched.session_id,
        "id": chat.last_message_id.bare[:255] if chat.last_message_id else "",
        "lane": f"{watched.external_session_id}/{chat.chat_id}",
        "at": chat.last_message_at,
        "clocks": _CLOCKS,
        "own": watched.account == chat.chat_id,
    }
    found = rows(
        _Known,
        "SELECT EXISTS (SELECT 1 FROM messages WHERE tenant_id = %(tenant)s AND session_id = %(session)s "
        "AND direction IN ('inbound', 'outbound') AND waha_message_id = %(id)s) "
        "OR EXISTS (SELECT 1 FROM webhook_events WHERE lane = %(lane)s AND processed_at IS NULL AND parked_at IS NULL) "
        "OR EXISTS (SELECT 1 FROM webhook_events WHERE lane = %(lane)s AND parked_at IS NOT NULL "
        "AND created_at > %(at)s - %(clocks)s) "
        "OR %(own)s AND EXISTS (SELECT 1 FROM session_watches WHERE tenant_id = %(tenant)s "
        "AND session_id = %(session)s AND canary_sent_at IS NOT NULL) AS is_known",
        asked,
    )
    return found[0].is_known


def mine(watched: Watched) -> SessionWatch | None:
    """The row as it is now, locked; None when the lease was lost."""
    return entity(
        SessionWatch,
        "SELECT * FROM session_watches WHERE id = %s AND tenant_id = %s AND lease_token = %s FOR NO KEY UPDATE",
        (watched.watch_id, watched.tenant_id, watched.lease_token),
    )


def of_session(tenant_id: UUID, session_id: UUID) -> SessionWatch | None:
    """The row of a session whose tenant is set, locked."""
    return entity(
        SessionWatch,
        "SELECT * FROM session_watches WHERE session_id = %s AND tenant_id = %s FOR NO KEY UPDATE",
        (session_id, tenant_id),
    )


def keep(watch: SessionWatch, **changes: Any) -> None:
    """Write what is new of a row that is locked."""
    assignments = ", ".join(f"{name} = %({name})s" for name in changes)
    changed(
        f"UPDATE session_watches SET {assignments} WHERE id = %(row)s",  # noqa: S608 - names of ours
        changes | {"row": watch.id},
    )


def write(watched: Watched, **changes: Any) -> None:
    """Keep what was concluded, and give the session back."""
    watch = mine(watched)
    if watch is not None:
        keep(watch, **changes, lease_token=None, lease_expires_at=None)
