"""Whose turn it is to read what was missed, and up to when a place is caught up with.

A place is a WhatsApp session or a Slack channel. It is read again after a gap and, as a safety net, every few minutes.
Only a completed catch-up moves `caught_up_to`: what is read but not stored, for whatever reason, is read again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from database import notify, tenant_transaction, transaction
from models import uuid7
from operations.posting import tell_person
from operations.sql import changed, database_now, rows, value
from slack.mrkdwn import foreign

# Renewed before every call; longer than the longest one, and what a crash leaves is taken up soon.
LEASE = timedelta(seconds=45)

# What has just happened may still be on its usual way: it is not read before that is over.
_SETTLED = timedelta(seconds=10)
_ONCE_MORE_AFTER = _SETTLED + timedelta(seconds=1)
# Where nothing points to a gap, what is repeated for a minute is waited for too.
_SETTLED_QUIET = timedelta(minutes=2)
# WAHA sorts by seconds of WhatsApp's clock, and may learn of a message some minutes after it was written.
_OVERLAP_OF_SESSIONS = timedelta(seconds=300)
# `until` is PostgreSQL's clock, which may be ahead of Slack's; what is known is not stored again.
_OVERLAP_OF_CHANNELS = timedelta(minutes=5)
# The inbox handles meanwhile what was stored: the next turn reads past it from the beginning.
MORE_AFTER = timedelta(seconds=5)

# A gap that none preceded closely; of those that follow each reads what this one's end may not have brought yet.
_IS_FIRST_GAP = (
    "(mark IS DISTINCT FROM %s OR gap_read_at IS NULL OR requested_at > gap_read_at) "
    "AND (gap_read_at < clock_timestamp() - interval '15 min') IS NOT FALSE"
)

# Some minutes, for a WAHA that is only just starting.
_TOLD_AFTER = 5


@dataclass(frozen=True)
class LeasedSession:
    """A session to be read by us, until the lease ends."""

    catch_up_id: UUID
    lease_token: UUID
    tenant_id: UUID
    session_id: UUID
    external_session_id: str
    server: str
    engine: str
    version: str | None
    chooses_ids: bool
    account: str | None
    since: datetime
    working_since: datetime
    until: datetime
    cause: str
    mark: str

    def since_of(self, account: str | None) -> datetime:
        """Where reading begins: what another account has written before it came here was not missed."""
        is_another = account is not None and self.account is not None and account != self.account
        return max(self.since, self.working_since) if is_another else self.since


@dataclass(frozen=True)
class LeasedChannel:
    """A channel to be read by us, until the lease ends."""

    catch_up_id: UUID
    lease_token: UUID
    slack_team_id: str
    slack_channel_id: str
    since: datetime
    until: datetime
    cause: str


Leased = LeasedSession | LeasedChannel


def request(*, team_id: str = "", servers: Collection[str] = ()) -> None:
    """Say that a gap has just ended, for the channels of a workspace or the sessions of some servers."""
    with transaction():
        if value("SELECT request_catch_ups(%s, %s)", (team_id, list(servers))):
            notify("catch_ups")


def request_session(external_session_id: str) -> None:
    """Say, in the running transaction, that WAHA knows what it did not tell of this session: it is read at once.

    Where reading was asked for already that stands, with its cause and its pauses between tries.
    """
    if changed(
        "INSERT INTO catch_ups AS known (id, side, place, requested_at, requested_for) "
        "VALUES (%s, 'waha', %s, clock_timestamp(), 'waha') ON CONFLICT (side, place) DO UPDATE SET "
        "requested_at = clock_timestamp(), requested_for = 'waha', "
        "next_attempt_at = greatest(least(known.next_attempt_at, clock_timestamp()), known.not_before) "
        "WHERE known.caught_up_to IS NOT NULL AND coalesce(known.requested_at <= known.caught_up_to, true)",
        (uuid7(), external_session_id),
    ):
        notify("catch_ups")


def away_until(external_session_id: str) -> datetime | None:
    """When we, or the server, were back, if what was written meanwhile is not read yet: not told, it is no silence.

    In the running transaction, which is one of the session's tenant.
    """
    found: datetime | None = value(
        "SELECT greatest("
        "CASE WHEN c.requested_for = 'switchboard' AND coalesce(c.requested_at > c.caught_up_to, true) "
        "THEN c.requested_at END, "
        "CASE WHEN v.state_changed_at > c.caught_up_to THEN v.state_changed_at END) "
        "FROM catch_ups c LEFT JOIN waha_sessions s ON s.external_session_id = c.place "
        "LEFT JOIN waha_servers v ON v.name = s.server WHERE c.side = 'waha' AND c.place = %s",
        (external_session_id,),
    )
    return found


def lease_sessions(limit: int, *, servers: Collection[str], every: timedelta) -> list[LeasedSession]:
    """Sessions that may have missed something, or were not read for `every`."""
    with transaction():
        return rows(
            LeasedSession,
            "SELECT * FROM lease_session_catch_ups(%s, %s, %s, %s, %s, %s, %s)",
            (limit, LEASE, list(servers), every, _SETTLED, _SETTLED_QUIET, _OVERLAP_OF_SESSIONS),
        )


def lease_channel(team_id: str, *, every: timedelta) -> LeasedChannel | None:
    """The channel to read next; None also while another daemon reads one of this workspace."""
    with transaction():
        found = rows(
            LeasedChannel,
            "SELECT * FROM lease_channel_catch_up(%s, %s, %s, %s, %s, %s)",
            (team_id, LEASE, every, _SETTLED, _SETTLED_QUIET, _OVERLAP_OF_CHANNELS),
        )
    return found[0] if found else None


def renew(leased: Leased) -> bool:
    """Keep a place for longer; False when it was lost, and must not be read on."""
    with transaction():
        return _write(leased, "lease_expires_at = clock_timestamp() + %s", LEASE)


def complete_session(leased: LeasedSession, *, since: datetime, account: str | None) -> bool:
    """All there was until `leased.until` is stored; False when the lease was lost, and another has the last word.

    After a gap it is read once more: what was on its usual way at its edge was left to that way, and may be lost.
    """
    with tenant_transaction(leased.tenant_id):
        is_mine = _write(
            leased,
            "caught_up_to = %s, mark = %s, attempts = 0, error = NULL, lease_token = NULL, lease_expires_at = NULL, "
            "begins_at = CASE WHEN account <> %s THEN %s ELSE coalesce(begins_at, %s) END, "
            "account = coalesce(%s, account), "
            "requested_at = CASE WHEN mark IS DISTINCT FROM %s THEN greatest(requested_at, %s) ELSE requested_at END, "
            "requested_for = CASE WHEN mark IS DISTINCT FROM %s THEN 'waha' ELSE requested_for END, "
            "next_attempt_at = clock_timestamp() + %s, "
            f"gap_since = CASE WHEN {_IS_FIRST_GAP} THEN %s ELSE gap_since END, "
            f"gap_read_at = CASE WHEN {_IS_FIRST_GAP} THEN clock_timestamp() ELSE gap_read_at END",
            *(leased.until, leased.mark, account, since, since, account),
            *(leased.mark, leased.until + _SETTLED, leased.mark, _ONCE_MORE_AFTER),
            *(leased.mark, since, leased.mark),
        )
        if is_mine:
            changed(
                "UPDATE waha_sessions SET caught_up_to = %s WHERE id = %s AND tenant_id = %s",
                (leased.until, leased.session_id, leased.tenant_id),
            )
    return is_mine


def complete_channel(leased: LeasedChannel) -> bool:
    """All that people had written until `leased.until` is stored; False when the lease was lost."""
    with transaction():
        return _write(
            leased,
            "caught_up_to = %s, attempts = 0, error = NULL, lease_token = NULL, lease_expires_at = NULL, "
            "next_attempt_at = clock_timestamp() + %s",
            *(leased.until, _ONCE_MORE_AFTER),
        )


def go_on(leased: Leased, *, pause: timedelta = timedelta(0)) -> bool:
    """It ends early: the rest is read at the next turn, which begins at the same place.

    A thread may get a second divider then, for what the first one does not count.
    """
    with transaction():
        return _write(
            leased,
            "lease_token = NULL, lease_expires_at = NULL, next_attempt_at = clock_timestamp() + %s",
            pause,
        )


def postpone(
    leased: Leased,
    reason: str,
    *,
    pause: timedelta | None = None,
    is_asked: bool = False,
    operators: Collection[str] = (),
) -> bool:
    """It could not be read: later again, or after `pause`, which a gap shortens unless it `is_asked` for by Slack.

    The operators are told once of what keeps failing: what was missed there reaches nobody meanwhile.
    """
    with transaction():
        is_mine = _write(
            leased,
            "lease_token = NULL, lease_expires_at = NULL, attempts = attempts + 1, error = %s, next_attempt_at = "
            "clock_timestamp() + coalesce(%s, least(interval '5 s' * 2 ^ least(attempts, 6), interval '5 min')), "
            "not_before = CASE WHEN %s THEN clock_timestamp() + %s END",
            *(reason, pause, is_asked, pause),
        )
        if is_mine and value("SELECT attempts FROM catch_ups WHERE id = %s", (leased.catch_up_id,)) == _TOLD_AFTER:
            _tell(leased, reason, operators)
    return is_mine


def _tell(leased: Leased, reason: str, operators: Collection[str]) -> None:
    if not isinstance(leased, LeasedSession):
        return
    text = (
        f"🔴 What session `{foreign(leased.external_session_id)}` may have missed could not be read "
        f"{_TOLD_AFTER} times: {foreign(reason)} What can be read is shown; it is tried again, see the runbook."
    )
    for operator in operators:
        team_id, _, user_id = operator.partition("/")
        slot = f"catch-up:{leased.catch_up_id}:{database_now():%Y-%m-%d}:{operator}"
        tell_person(team_id, user_id, text, tenant_id=None, slot=slot)


def _write(leased: Leased, assignments: str, *parameters: object) -> bool:
    return bool(
        changed(
            f"UPDATE catch_ups SET {assignments} WHERE id = %s AND lease_token = %s",  # noqa: S608 - words of ours
            (*parameters, leased.catch_up_id, leased.lease_token),
        )
    )
